import { formatHost, isLocal, isUnspecified, relayRefusal, scopeOf, subnetOf } from "./address.ts";

/** Peers whose vote is remembered; the first of them go first. */
const MAX_VOTES = 64;

/**
 * Finds out at which address we are seen from outside: what enough peers in different places agree on.
 *
 * Only peers that we chose to dial are to vote, for whoever dials us may be anybody.
 */
export class AddressVotes {
  readonly #confirmations: number;
  /** By where the voter is: one vote for each public subnet. */
  readonly #votes = new Map<string, string>();
  #winner: string | undefined;

  constructor(confirmations: number) {
    this.#confirmations = confirmations;
  }

  /** The address that has won, for as long as no other one wins. */
  get winner(): string | undefined {
    return this.#winner;
  }

  /**
   * Counts what a peer says.
   *
   * @param voter - its id in hexadecimal, which counts where its address is local
   * @param host - the peer's own address
   * @param seen - where it sees us, 4 or 16 bytes
   * @returns whether the winner is another now
   */
  add(voter: string, host: string, seen: Uint8Array): boolean {
    const address = formatHost(seen);
    if (address === undefined || isUnspecified(address)) return false;
    const from = scopeOf(host);
    if (relayRefusal(from, scopeOf(address)) !== undefined) return false;
    const place = isLocal(from) ? voter : subnetOf(host);
    this.#votes.delete(place);
    this.#votes.set(place, address);
    for (const oldest of this.#votes.keys()) {
      if (this.#votes.size <= MAX_VOTES) break;
      this.#votes.delete(oldest);
    }
    const before = this.#winner;
    this.#winner = this.#count() ?? before;
    return this.#winner !== before;
  }

  #count(): string | undefined {
    const counts = new Map<string, number>();
    for (const address of this.#votes.values()) {
      counts.set(address, (counts.get(address) ?? 0) + 1);
    }
    let [best, most] = [this.#winner, counts.get(this.#winner ?? "") ?? 0];
    for (const [address, count] of counts) if (count > most) [best, most] = [address, count];
    return most >= this.#confirmations ? best : undefined;
  }
}

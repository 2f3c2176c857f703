import { DisconnectReason } from "@heddle/p2p";
import type { Clock } from "@heddle/p2p";

import type { PexLimits } from "./limits.ts";
import type { Member, Roster } from "./member.ts";

/** What places are kept free by. */
export interface InboundPlacesOptions {
  readonly roster: Roster;
  readonly clock: Clock;
  readonly random: () => number;
  readonly limits: PexLimits;
}

/**
 * Keeps a share of the inbound places free, so that a newcomer finds one even at a node that everybody
 * knows: it comes in, learns whom else to dial, and may have to leave again.
 */
export class InboundPlaces {
  readonly #options: InboundPlacesOptions;
  /** How many inbound peers the server takes. */
  #most = Infinity;
  #timer: unknown;
  #isStopped = false;

  constructor(options: InboundPlacesOptions) {
    this.#options = options;
  }

  /** @param maxInbound - how many inbound peers the server takes */
  limit(maxInbound: number): void {
    this.#most = Math.floor(maxInbound * (1 - this.#options.limits.freeInbound));
  }

  /** Sends away as many as are too many, at random among those who have been here long enough. */
  check(): void {
    const { roster, clock, random, limits } = this.#options;
    const inbound = roster.list().filter(({ peer }) => peer.inbound && !peer.signal.aborted);
    const excess = inbound.length - this.#most;
    if (excess <= 0 || this.#timer !== undefined || this.#isStopped) return;
    const since = clock.now() - limits.graceMs;
    const mayGo = (member: Member): boolean =>
      member.peer.inbound && member.since <= since && !member.peer.info().network.trusted;
    const leaving = roster.pick(excess, random, mayGo);
    for (const { peer } of leaving) void peer.disconnect(DisconnectReason.tooManyPeers);
    if (leaving.length === excess) return;
    this.#timer = clock.setTimeout(() => {
      this.#timer = undefined;
      this.check();
    }, limits.graceMs);
  }

  /** Sends nobody away any more. */
  stop(): void {
    this.#isStopped = true;
    this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

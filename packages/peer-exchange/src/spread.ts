import type { Clock } from "@heddle/p2p";

import type { PexLimits } from "./limits.ts";
import type { Member, Roster } from "./member.ts";
import { MAX_ANNOUNCED } from "./messages.ts";
import { RecentMap } from "./recent.ts";
import type { VerifiedRecord } from "./verified-record.ts";

/** What spreading works with. */
export interface SpreadOptions {
  readonly roster: Roster;
  readonly clock: Clock;
  readonly random: () => number;
  readonly limits: PexLimits;
  /** Sends records to a peer; must not throw. */
  readonly send: (member: Member, records: readonly VerifiedRecord[]) => void;
}

interface News {
  readonly verified: VerifiedRecord;
  /** Those who have it: they told us. */
  readonly tellers: Set<Member>;
}

/** Ids whose record was handed on lately. */
const MAX_REMEMBERED = 8_192;

/** Hands news of nodes on to a few peers each, gathered for a moment, and each version only once. */
export class Spread {
  readonly #options: SpreadOptions;
  readonly #queue = new Map<string, News>();
  readonly #last = new RecentMap<{ readonly seq: bigint; readonly at: number }>(MAX_REMEMBERED);
  #timer: unknown;
  #isStopped = false;

  constructor(options: SpreadOptions) {
    this.#options = options;
  }

  /** News waiting to be handed on. */
  get size(): number {
    return this.#queue.size;
  }

  /**
   * Takes news to hand on.
   *
   * @returns false when it is not: the node was in the news a moment ago, or too much is waiting
   */
  add(verified: VerifiedRecord, teller: Member): boolean {
    const { clock, limits } = this.#options;
    const { key, record } = verified;
    if (this.#isStopped) return false;
    const waiting = this.#queue.get(key);
    if (waiting !== undefined) {
      // The newer version takes the place of the one that waits, and those who told that lack it.
      this.#queue.set(key, { verified, tellers: new Set([teller]) });
      this.#last.set(key, { seq: record.seq, at: clock.now() });
      return true;
    }
    const now = clock.now();
    const last = this.#last.get(key);
    if (last !== undefined && (record.seq <= last.seq || now - last.at < limits.repeatMs)) {
      return false;
    }
    if (this.#queue.size >= limits.maxQueued) return false;
    this.#last.set(key, { seq: record.seq, at: now });
    this.#queue.set(key, { verified, tellers: new Set([teller]) });
    this.#timer ??= clock.setTimeout(() => this.#flush(), limits.forwardMs);
    return true;
  }

  /** Notes that a peer has a record, so that it is not told of it. */
  has(member: Member, verified: VerifiedRecord): void {
    const waiting = this.#queue.get(verified.key);
    if (waiting?.verified.record.seq === verified.record.seq) waiting.tellers.add(member);
  }

  /** Forgets what waits, and takes no more. */
  stop(): void {
    this.#isStopped = true;
    this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#queue.clear();
  }

  #flush(): void {
    this.#timer = undefined;
    const { roster, random, limits, send } = this.#options;
    const outgoing = new Map<Member, VerifiedRecord[]>();
    for (const { verified, tellers } of this.#queue.values()) {
      const { key, address } = verified;
      if (address === undefined) continue;
      const lacks = (member: Member): boolean =>
        !tellers.has(member) && member.key !== key && member.mayHear(address.scope);
      for (const member of roster.pick(limits.fanout, random, lacks)) {
        const records = outgoing.get(member) ?? [];
        records.push(verified);
        outgoing.set(member, records);
      }
    }
    this.#queue.clear();
    for (const [member, records] of outgoing) {
      for (let at = 0; at < records.length; at += MAX_ANNOUNCED) {
        send(member, records.slice(at, at + MAX_ANNOUNCED));
      }
    }
  }
}

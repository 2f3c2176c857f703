import type { Clock, Peer } from "@heddle/p2p";
import type { Context } from "@heddle/protocol";

import { relayRefusal, scopeOf, subnetOf } from "./address.ts";
import type { Scope } from "./address.ts";
import type { PexLimits } from "./limits.ts";
import type { Pex1 } from "./messages.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { VerifiedRecord } from "./verified-record.ts";

/** One peer's end of `pex`. */
export type PexContext = Context<typeof Pex1, Member>;

/** One peer that speaks `pex`: who it is, and what it may still spend. */
export class Member {
  readonly peer: Peer;
  /** Where the connection comes from; for an inbound one not where the peer listens. */
  readonly host: string;
  readonly scope: Scope;
  readonly subnet: string;
  readonly questions: TokenBucket;
  readonly announcements: TokenBucket;
  readonly misuse: TokenBucket;
  /** By the server's clock. */
  readonly since: number;
  /** What it introduced itself with; undefined before. */
  record: VerifiedRecord | undefined;
  /** From where we come, as it sees us: by that it judges what we tell. */
  seesUs: Scope;
  /** Set while the connection is up and introductions are over. */
  context: PexContext | undefined;

  constructor(peer: Peer, clock: Clock, limits: PexLimits) {
    this.peer = peer;
    // A transport without addresses, such as a pipe, does not leave the machine.
    this.host = peer.remoteAddress?.host ?? "127.0.0.1";
    this.scope = scopeOf(this.host);
    this.seesUs = this.scope;
    this.subnet = subnetOf(this.host);
    this.questions = new TokenBucket(clock, limits.questions);
    this.announcements = new TokenBucket(clock, limits.announcements);
    this.misuse = new TokenBucket(clock, limits.misuse);
    this.since = clock.now();
  }

  /** The node id in hexadecimal. */
  get key(): string {
    return this.record?.key ?? "";
  }

  /** Whether it can make use of an address, and would take it from us. */
  mayHear(told: Scope): boolean {
    return (
      relayRefusal(this.scope, told) === undefined && relayRefusal(this.seesUs, told) === undefined
    );
  }
}

/** Those who have introduced themselves and are connected. */
export class Roster {
  readonly #members = new Map<string, Member>();

  get size(): number {
    return this.#members.size;
  }

  get(key: string): Member | undefined {
    return this.#members.get(key);
  }

  list(): Member[] {
    return [...this.#members.values()];
  }

  add(member: Member): void {
    this.#members.set(member.key, member);
  }

  /** Takes this very member out; one that has taken its place stays. */
  delete(member: Member): void {
    if (this.#members.get(member.key) === member) this.#members.delete(member.key);
  }

  /** Up to `count` of those that `accept` likes, at random. */
  pick(count: number, random: () => number, accept: (member: Member) => boolean): Member[] {
    const liked = this.list().filter(accept);
    const chosen = Math.min(count, liked.length);
    for (let place = 0; place < chosen; place += 1) {
      const other = place + Math.floor(random() * (liked.length - place));
      const [a, b] = [liked[place], liked[other]];
      if (a !== undefined && b !== undefined) [liked[place], liked[other]] = [b, a];
    }
    return liked.slice(0, chosen);
  }
}

import type { Context } from "@heddle/protocol";
import type { Clock, Peer } from "@heddle/p2p";

import type { GossipLimits } from "./config.ts";
import { keyOf } from "./message.ts";
import type { GossipMessage, SignedContent } from "./message.ts";
import { MAX_ANNOUNCED } from "./protocol.ts";
import type { Gossip1 } from "./protocol.ts";
import { TokenBucket } from "./token-bucket.ts";

/** `gossip/1` on one connection. */
export type GossipContext = Context<typeof Gossip1, Link>;

/** Pushes that may wait to be accepted by one connection; beyond them messages are only announced. */
const MAX_PENDING_PUSHES = 64;

/** Ids that may wait to be announced to one peer; the oldest give way, and reconciliation brings them. */
const MAX_QUEUED_IDS = 4_096;

/** What the fields of a message besides its payload take on the wire, about. */
const FIELD_BYTES = 256;

/** We use half of what a peer allows, so that clocks that differ a little never make us a flooder. */
const OWN_SHARE = 0.5;

/** One peer, as gossip sees it: what it may still send, and what waits to be sent to it. */
export class Link {
  readonly peer: Peer;
  /** Its id, as a key. */
  readonly node: string;
  /** The peer holds nothing of this time and before. */
  remoteFloor = 0;
  /** It was disconnected for what it sent: nothing of it is read any more. */
  isDropped = false;
  /** Everything has been compared with it once; from then on only what should have come by itself. */
  isCompared = false;
  /** Messages asked for first because of it. */
  wanted = 0;
  /** What it may have us look up and compare. */
  readonly service: TokenBucket;
  readonly #pushes: TokenBucket;
  readonly #pushBytes: TokenBucket;
  readonly #announcements: TokenBucket;
  readonly #ownPushes: TokenBucket;
  readonly #ownPushBytes: TokenBucket;
  readonly #ownAnnouncements: TokenBucket;
  readonly #queued = new Map<string, Uint8Array>();
  #pendingPushes = 0;
  #isAnnouncing = false;
  #context: GossipContext | undefined;

  constructor(peer: Peer, clock: Clock, limits: GossipLimits) {
    const { announcements, pushBytes, pushes, service } = limits;
    this.peer = peer;
    this.node = keyOf(peer.id);
    this.service = new TokenBucket(service, clock);
    this.#pushes = new TokenBucket(pushes, clock);
    this.#pushBytes = new TokenBucket(pushBytes, clock);
    this.#announcements = new TokenBucket(announcements, clock);
    this.#ownPushes = new TokenBucket(shareOf(pushes), clock);
    this.#ownPushBytes = new TokenBucket(shareOf(pushBytes), clock);
    this.#ownAnnouncements = new TokenBucket(shareOf(announcements), clock);
  }

  /** Everything it takes to speak to the peer; set once `run` begins. */
  get context(): GossipContext {
    if (this.#context === undefined) throw new Error("the link is not open");
    return this.#context;
  }

  open(context: GossipContext): void {
    this.#context = context;
  }

  /** How many ids wait to be announced. */
  get queued(): number {
    return this.#queued.size;
  }

  /** Whether the peer may push this message. */
  admitPush(message: SignedContent): boolean {
    return this.#pushes.take(1) && this.#pushBytes.take(sizeOf(message));
  }

  /** Whether the peer may announce so many ids. */
  admitAnnouncement(count: number): boolean {
    return this.#announcements.take(Math.max(1, count));
  }

  /** Sends the message, unless that would be more than the peer takes; says whether it does. */
  push(message: GossipMessage): boolean {
    if (this.#pendingPushes >= MAX_PENDING_PUSHES) return false;
    if (!this.#ownPushes.take(1) || !this.#ownPushBytes.take(sizeOf(message))) return false;
    this.#pendingPushes += 1;
    const done = (): void => void (this.#pendingPushes -= 1);
    // That the connection is over is no failure of a broadcast.
    void this.context.send.push(message).then(done, done);
    return true;
  }

  /** Puts an id into the next announcement. */
  announce(key: string, id: Uint8Array): void {
    this.#queued.set(key, id);
    if (this.#queued.size <= MAX_QUEUED_IDS) return;
    for (const oldest of this.#queued.keys()) {
      this.#queued.delete(oldest);
      break;
    }
  }

  /** The peer has shown that it has this message. */
  unqueue(key: string): void {
    this.#queued.delete(key);
  }

  /** Sends the next announcement, one at a time; returns how many ids it has. */
  flush(): number {
    const count = Math.min(this.#queued.size, MAX_ANNOUNCED);
    if (this.#isAnnouncing || count === 0 || !this.#ownAnnouncements.take(count)) return 0;
    const ids: Uint8Array[] = [];
    for (const [key, id] of this.#queued) {
      if (ids.length === count) break;
      this.#queued.delete(key);
      ids.push(id);
    }
    this.#isAnnouncing = true;
    const done = (): void => void (this.#isAnnouncing = false);
    void this.context.send.announce(ids).then(done, done);
    return ids.length;
  }
}

function sizeOf({ payload }: SignedContent): number {
  return payload.length + FIELD_BYTES;
}

function shareOf<T extends { perSecond: number; burst: number }>(allowance: T): T {
  const { perSecond, burst } = allowance;
  return { ...allowance, perSecond: perSecond * OWN_SHARE, burst: burst * OWN_SHARE };
}

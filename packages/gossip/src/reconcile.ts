import { bytesEqual } from "@heddle/identity";
import { PeerGone, RequestError } from "@heddle/protocol";

import type { GossipConfig } from "./config.ts";
import type { GossipCounters } from "./counters.ts";
import type { Link } from "./link.ts";
import { keyOf } from "./message.ts";
import type { GossipMessage } from "./message.ts";
import { compareBounds, MAX_FETCHED, MAX_IDS, MAX_RANGES, SPLIT } from "./protocol.ts";
import type { Differences, Range, RangeIds, RangeSummary, Summary } from "./protocol.ts";
import type { MessageStore } from "./store.ts";

/** How long one comparison may take, its fetches included: a slow peer must not keep us from the others. */
const DEADLINE_MS = 20_000;

/** Questions in one comparison; 10,000 messages of which all are missing take six. */
const MAX_CALLS = 256;

/** Ranges that may wait to be looked into; what is beyond them is left to the next comparison. */
const MAX_OPEN = 4_096;

/** Messages younger than this are on their way by themselves, and no difference worth asking about. */
const SETTLED_MS = 2_000;

const NO_ID: Uint8Array = new Uint8Array(0);

/** What a {@link Reconciler} works with. */
export interface ReconcilerParts {
  readonly config: GossipConfig;
  readonly counters: GossipCounters;
  readonly store: MessageStore;
  /** All peers. */
  readonly links: ReadonlySet<Link>;
  /** Whether there is nothing to be gained by asking for a message. */
  readonly isKnown: (key: string) => boolean;
  /** Asks for messages and takes in what comes; says which came. Never rejects. */
  readonly fetch: (link: Link, ids: readonly Uint8Array[]) => Promise<ReadonlySet<string>>;
  /** Tells a peer of a message it lacks. */
  readonly announce: (message: GossipMessage, link: Link) => void;
}

/**
 * Finds out, now and then and with every new peer, who lacks what, and has both sides fill it.
 *
 * This is range-based set reconciliation (A. Meyer, *Range-Based Set Reconciliation*, SRDS 2023, as in
 * Negentropy): fingerprints of ranges are compared, those that differ are split, and small ones are listed.
 * Equal stores cost one small round trip; d differences among n messages O(d log n) bytes.
 *
 * One comparison runs at a time, so that what the first peer brings is not asked of the second.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  /** Peers to compare with next. */
  readonly #queue = new Set<Link>();
  #isRunning = false;
  #timer: unknown;
  #isClosed = false;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** Compares everything with a peer, as soon as those before it are done. */
  request(link: Link): void {
    if (this.#isClosed) return;
    this.#queue.add(link);
    if (!this.#isRunning) void this.#work();
  }

  /** Compares with a peer chosen at random, after an interval, again and again while there are peers. */
  arm(): void {
    const { config, links } = this.#parts;
    if (this.#timer !== undefined || links.size === 0 || this.#isClosed) return;
    const delay = config.limits.reconcileIntervalMs * (0.5 + config.random());
    this.#timer = config.clock.setTimeout(() => {
      this.#timer = undefined;
      this.#parts.store.expire(config.clock.wallNow());
      const candidates = [...links].filter((link) => !link.isDropped);
      const chosen = candidates[Math.floor(config.random() * candidates.length)];
      if (chosen !== undefined && this.#queue.size === 0) this.request(chosen);
      this.arm();
    }, delay);
  }

  /** Stops comparing when nobody is left to compare with. */
  disarm(): void {
    if (this.#parts.links.size > 0 && !this.#isClosed) return;
    this.#parts.config.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#queue.clear();
    this.disarm();
  }

  async #work(): Promise<void> {
    this.#isRunning = true;
    for (const link of this.#queue) {
      this.#queue.delete(link);
      if (link.isDropped || link.peer.signal.aborted) continue;
      await this.#reconcile(link);
    }
    this.#isRunning = false;
  }

  async #reconcile(link: Link): Promise<void> {
    const { config, counters } = this.#parts;
    const { clock, logger } = config;
    const deadline = new AbortController();
    const timer = clock.setTimeout(() => deadline.abort(new Error("too slow")), DEADLINE_MS);
    const fetchedBefore = counters.fetched;
    counters.reconciled += 1;
    try {
      await this.#compare(link, deadline.signal);
    } catch (error) {
      // The peer is gone or slow: there are others, and there is a next time.
      if (error instanceof PeerGone) return;
      const isExpected = error instanceof RequestError || deadline.signal.aborted;
      if (isExpected) logger.debug("a gossip comparison was given up", { error });
      else logger.error("a gossip comparison failed", { error });
      // There is much to catch up with: go on, after the others.
      if (deadline.signal.aborted && counters.fetched > fetchedBefore) this.#queue.add(link);
    } finally {
      clock.clearTimeout(timer);
    }
  }

  async #compare(link: Link, signal: AbortSignal): Promise<void> {
    const { config, store } = this.#parts;
    const wallNow = config.clock.wallNow();
    store.expire(wallNow);
    const age = link.isCompared ? SETTLED_MS : -config.limits.maxSkewMs - 1;
    const to = Math.max(0, Math.floor(wallNow - age));
    let open: readonly Range[] = this.#clip([{ from: bound(0), to: bound(to) }], link);
    for (let calls = 0; open.length > 0 && calls < MAX_CALLS; calls++) {
      const asked = open.slice(0, MAX_RANGES).map((range) => this.#summarize(range));
      const reply = await link.context.call.compare(asked, { signal });
      if (this.#isClosed) return;
      link.remoteFloor = Math.max(link.remoteFloor, reply.floor);
      for (const set of reply.sets) this.#announceRest(set, link);
      if (!(await this.#fetchMissing(reply.sets, link, signal))) return;
      const parts = reply.parts.filter((part) => !this.#agrees(part));
      open = this.#clip([...parts, ...open.slice(MAX_RANGES)], link).slice(0, MAX_OPEN);
    }
    link.isCompared = true;
  }

  /** Leaves out times of which one side keeps nothing; what is left is ascending and apart. */
  #clip(ranges: readonly Range[], link: Link): Range[] {
    const least = bound(Math.max(this.#parts.store.floor, link.remoteFloor) + 1);
    let end = least;
    const clipped: Range[] = [];
    for (const { from, to } of ranges) {
      const start = compareBounds(from, end) < 0 ? end : from;
      if (compareBounds(start, to) >= 0) continue;
      clipped.push({ from: start, to });
      end = to;
    }
    return clipped;
  }

  #summarize(range: Range): RangeSummary {
    return { ...range, ...this.#parts.store.summarize(range) };
  }

  #agrees(part: RangeSummary): boolean {
    return isSame(this.#parts.store.summarize(part), part);
  }

  /** Announces what we hold of a range and the peer does not. */
  #announceRest(set: RangeIds, link: Link): void {
    const held = new Set(set.ids.map(([, id]) => keyOf(id)));
    for (const message of this.#parts.store.slice(set)) {
      if (!held.has(keyOf(message.id))) this.#parts.announce(message, link);
    }
  }

  /** Fetches what the peer holds and we do not; says whether the peer had what it named. */
  async #fetchMissing(
    sets: readonly RangeIds[],
    link: Link,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { floor } = this.#parts.store;
    let missing = sets
      .flatMap(({ ids }) => ids)
      .filter(([time]) => time > floor)
      .map(([, id]) => id);
    for (;;) {
      missing = missing.filter((id) => !this.#parts.isKnown(keyOf(id)));
      if (missing.length === 0) return true;
      signal.throwIfAborted();
      const came = await this.#parts.fetch(link, missing.slice(0, MAX_FETCHED));
      if (came.size === 0) return false;
      missing = missing.filter((id) => !came.has(keyOf(id)));
    }
  }
}

/** What was found to differ, and what finding it cost, in messages looked at. */
export interface Answer {
  readonly differences: Differences;
  readonly cost: number;
}

/** Answers a peer that compares: a range that differs is listed if it is small, or else split. */
export function findDifferences(store: MessageStore, ranges: readonly RangeSummary[]): Answer {
  const parts: RangeSummary[] = [];
  const sets: RangeIds[] = [];
  let cost = 0;
  for (const range of ranges) {
    const own = store.summarize(range);
    cost += 1 + own.count;
    if (isSame(own, range)) continue;
    const { from, to } = range;
    if (own.count <= MAX_IDS) {
      sets.push({ from, to, ids: store.slice(range).map(({ time, id }) => [time, id]) });
      continue;
    }
    cost += own.count;
    parts.push(...store.split(range, SPLIT).map((part) => ({ ...part, ...store.summarize(part) })));
  }
  return { differences: { floor: store.floor, parts, sets }, cost };
}

function isSame(a: Summary, b: Summary): boolean {
  return a.count === b.count && bytesEqual(a.fingerprint, b.fingerprint);
}

function bound(time: number): { time: number; id: Uint8Array } {
  return { time, id: NO_ID };
}

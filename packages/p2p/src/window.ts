import type { Clock } from "./clock.ts";
import { INITIAL_WINDOW } from "./flow.ts";

/** What is free is granted again once it is this part of the window: large messages must not wait for a grant. */
const GRANTS_PER_WINDOW = 4;

/**
 * What a protocol gets that has had the connection to itself for {@link ALONE_MS}: grants are few then, and
 * both ends have something to do while the other waits for its processor.
 */
const ALONE_WINDOW = 2 * 1024 * 1024;
const ALONE_MS = 250;

/** A window read in less than so many round trips, by a connection that mostly waits, limits the sender. */
const TIGHT_ROUND_TRIPS = 1.5;
const WAITING_SHARE = 0.5;

/** A window read in more than so many is a queue, in which what others send has to wait. */
const LOOSE_ROUND_TRIPS = 6;

/** What a {@link ReceiveWindow} works with. */
export interface ReceiveWindowOptions {
  readonly clock: Clock;
  /** How far it may grow, in bytes. */
  readonly max: number;
  /** The shortest round trip of the connection, in milliseconds; undefined while it is not known. */
  readonly rttMs: () => number | undefined;
  /** For how long the connection has been busy with what arrived, in milliseconds. */
  readonly busyMs: () => number;
  /** When messages of two protocols last arrived one behind the other, on the clock's monotonic scale. */
  readonly sharedAt: () => number;
}

/**
 * How much the other side may send of one protocol before it is read, with `flow/1`.
 *
 * It is larger than the largest message, so that the next may follow before the first is read: one can be
 * sealed while another is opened. Beyond that it follows what is read in a round trip: a window too small for
 * that slows the sender down, one much larger only makes a queue, which is well where nobody else has to
 * stand in it. All costs are in bytes, with the overhead of each message.
 */
export class ReceiveWindow {
  readonly #options: ReceiveWindowOptions;
  #size: number = INITIAL_WINDOW;
  #ungranted = 0;
  /** The dearest message of this round and of the last. */
  #largest = 0;
  #lastLargest = 0;
  /** What the round trip needs. */
  #reach = 0;
  /** A round is the time in which one window is read. */
  #roundBytes = 0;
  #roundAt = Number.NEGATIVE_INFINITY;
  #busyBefore = 0;

  constructor(options: ReceiveWindowOptions) {
    this.#options = options;
  }

  /** What the other side may have on its way and in the inbox, in bytes. */
  get size(): number {
    return this.#size;
  }

  /** How much of it is used when `unread` bytes wait in the inbox. */
  used(unread: number): number {
    return unread + this.#ungranted;
  }

  /** A message arrived. */
  arrived(cost: number): void {
    if (cost > this.#largest) this.#largest = cost;
  }

  /** A message was read: returns how many bytes to grant now, or 0 when it is not worth a grant yet. */
  taken(cost: number): number {
    this.#ungranted += cost;
    const free = this.#ungranted;
    if (free * GRANTS_PER_WINDOW < this.#size) return 0;
    const now = this.#options.clock.now();
    this.#roundBytes += free;
    if (this.#roundBytes >= this.#size) this.#endRound(now);
    // What was granted once cannot be taken back, only not be granted again.
    const change = Math.max(this.#wantedSize(now) - this.#size, -free);
    this.#size += change;
    this.#ungranted = 0;
    return free + change;
  }

  #wantedSize(now: number): number {
    const { max, sharedAt } = this.#options;
    const alone = now - sharedAt() >= ALONE_MS ? ALONE_WINDOW : 0;
    const largest = Math.max(this.#largest, this.#lastLargest);
    return Math.max(INITIAL_WINDOW, Math.min(Math.max(largest + 1, this.#reach, alone), max));
  }

  #endRound(now: number): void {
    const { busyMs, rttMs } = this.#options;
    const elapsed = now - this.#roundAt;
    const busy = busyMs() - this.#busyBefore;
    this.#roundAt = now;
    this.#busyBefore += busy;
    this.#roundBytes = 0;
    this.#lastLargest = this.#largest;
    this.#largest = 0;
    const rtt = rttMs();
    if (rtt === undefined) return;
    const isWaiting = busy <= elapsed * (1 - WAITING_SHARE);
    if (elapsed <= rtt * TIGHT_ROUND_TRIPS && isWaiting) this.#reach = this.#size * 2;
    else if (elapsed > rtt * LOOSE_ROUND_TRIPS) this.#reach = Math.floor(this.#reach / 2);
  }
}

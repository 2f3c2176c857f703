import type { Clock } from "./clock.ts";
import { INITIAL_WINDOW } from "./flow.ts";

/** What is free is granted again once it is this part of the window: large messages must not wait for a grant. */
const GRANTS_PER_WINDOW = 4;

/** A window read in less than so many round trips, by a reader that mostly waited, is what limits the sender. */
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
}

/**
 * How much the other side may send of one protocol before it is read, with `flow/1`.
 *
 * Two of the largest messages fit, so that one can be sealed while another is opened. Beyond that it
 * follows what is read in a round trip: a window too small for that slows the sender down, one much larger
 * only makes a queue. All costs are in bytes, with the overhead of each message.
 */
export class ReceiveWindow {
  readonly #options: ReceiveWindowOptions;
  #size: number = INITIAL_WINDOW;
  #ungranted = 0;
  /** The dearest message of this round and of the last. */
  #largest = 0;
  #lastLargest = 0;
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
    if (this.#ungranted * GRANTS_PER_WINDOW < this.#size) return 0;
    const change = this.#resize(this.#ungranted);
    const bytes = this.#ungranted + change;
    this.#size += change;
    this.#ungranted = 0;
    return bytes;
  }

  /** By how much the window changes when `free` bytes of it are granted again; at least `-free`. */
  #resize(free: number): number {
    const { busyMs, clock, max, rttMs } = this.#options;
    this.#roundBytes += free;
    const least = this.#leastSize();
    if (this.#size < least) return least - this.#size;
    if (this.#roundBytes < this.#size) return 0;
    const now = clock.now();
    const elapsed = now - this.#roundAt;
    const busy = busyMs() - this.#busyBefore;
    this.#roundAt = now;
    this.#busyBefore += busy;
    this.#roundBytes = 0;
    this.#lastLargest = this.#largest;
    this.#largest = 0;
    const rtt = rttMs();
    if (rtt === undefined) return 0;
    const isWaiting = busy <= elapsed * (1 - WAITING_SHARE);
    if (elapsed <= rtt * TIGHT_ROUND_TRIPS) {
      if (!isWaiting) return 0;
      return Math.min(this.#size, Math.max(0, max - this.#size));
    }
    if (elapsed <= rtt * LOOSE_ROUND_TRIPS) return 0;
    return -Math.min(free, Math.floor(this.#size / 2), this.#size - least);
  }

  #leastSize(): number {
    const pair = 2 * Math.max(this.#largest, this.#lastLargest);
    return Math.max(INITIAL_WINDOW, Math.min(pair, this.#options.max));
  }
}

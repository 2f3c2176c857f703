/** Chunks that should wait at the holder or on the way beyond what the round trip needs. */
const MIN_QUEUED = 3;
const MAX_QUEUED = 6;

const FIRST_WINDOW = 4;

/**
 * How many chunks to ask of one holder ahead of time.
 *
 * It follows the product of bandwidth and round trip: with `window` requests under way and replies after
 * `rtt` instead of the shortest `minRtt`, `window * (1 - minRtt / rtt)` of them stand in a queue. Fewer than
 * 3 mean that the way has room, more than 6 that asking earlier only makes other protocols wait. It doubles per round trip
 * until a queue first forms, and halves when a chunk does not come in time.
 *
 * @see Brakmo and Peterson, "TCP Vegas: End to End Congestion Avoidance on a Global Internet" (1995)
 */
export class AdaptiveWindow {
  readonly #max: number;
  #size: number;
  #minRttMs = Infinity;
  #smoothedMs = 0;
  #isStarting = true;
  #credit = 0;

  /** @param max - most chunks at once */
  constructor(max: number) {
    this.#max = max;
    this.#size = Math.min(FIRST_WINDOW, max);
  }

  get size(): number {
    return this.#size;
  }

  /** The smoothed time of a reply, in milliseconds; 0 before the first. */
  get rttMs(): number {
    return this.#smoothedMs;
  }

  /** A chunk came after `ms`. */
  answered(ms: number): void {
    const rtt = Math.max(ms, 0.01);
    this.#minRttMs = Math.min(this.#minRttMs, rtt);
    this.#smoothedMs =
      this.#smoothedMs === 0 ? rtt : this.#smoothedMs + (rtt - this.#smoothedMs) / 8;
    const queued = this.#size * (1 - this.#minRttMs / this.#smoothedMs);
    if (queued > MIN_QUEUED) this.#isStarting = false;
    if (this.#isStarting) this.#grow(1);
    else if (queued < MIN_QUEUED) this.#grow(1 / this.#size);
    else if (queued > MAX_QUEUED) this.#grow(-1 / this.#size);
  }

  /** A chunk did not come in time. */
  timedOut(): void {
    this.#isStarting = false;
    this.#credit = 0;
    this.#size = Math.max(1, this.#size >> 1);
  }

  #grow(by: number): void {
    this.#credit += by;
    if (Math.abs(this.#credit) < 1) return;
    this.#size = Math.min(this.#max, Math.max(2, this.#size + Math.sign(this.#credit)));
    this.#credit = 0;
  }
}

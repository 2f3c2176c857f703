/** From where to where waits grow, in milliseconds. */
export interface BackoffOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/**
 * Waits that double from `minMs` to `maxMs`, each drawn from the upper half of its range.
 *
 * Half of a wait is fixed, so that no two attempts follow at once; half is random, so that nodes that
 * lost the same peer at the same time do not come back together.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  /** What the next wait is at most. */
  #fullMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#fullMs = Math.min(options.minMs, options.maxMs);
  }

  /** The next wait, in milliseconds: at least half of `minMs` times 1, 2, 4, 8 …, and less than all of it. */
  next(): number {
    const { maxMs, random } = this.#options;
    const full = this.#fullMs;
    this.#fullMs = Math.min(2 * full, maxMs);
    return full / 2 + (full / 2) * random();
  }

  /** Starts again at `minMs`. */
  reset(): void {
    const { minMs, maxMs } = this.#options;
    this.#fullMs = Math.min(minMs, maxMs);
  }
}

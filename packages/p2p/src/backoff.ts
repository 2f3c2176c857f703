/** Waits that double from `minMs` to `maxMs`, each drawn from the upper half of its range. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #attempt = 0;

  /** @param options.random - uniform in [0, 1) */
  constructor(options: { minMs: number; maxMs: number; random: () => number }) {
    this.#minMs = options.minMs;
    this.#maxMs = options.maxMs;
    this.#random = options.random;
  }

  /** The next wait, in milliseconds: half of it fixed, half random, so that many nodes spread out. */
  next(): number {
    const full = Math.min(this.#maxMs, this.#minMs * 2 ** this.#attempt);
    this.#attempt += 1;
    return full / 2 + (full / 2) * this.#random();
  }

  /** Starts again at `minMs`. */
  reset(): void {
    this.#attempt = 0;
  }
}

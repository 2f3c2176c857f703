import type { Clock } from "@heddle/p2p";

/** How much may be spent: `burst` at once, and `perSecond` in the long run. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Counts what one side spends of its {@link Rate}; starts full. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #rate: Rate;
  #tokens: number;
  #at: number;

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock;
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#at = clock.now();
  }

  /** Whole tokens that are there now. */
  get available(): number {
    const now = this.#clock.now();
    const gained = ((now - this.#at) / 1_000) * this.#rate.perSecond;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + gained);
    this.#at = now;
    return Math.floor(this.#tokens);
  }

  /** Spends `count` tokens if there are as many; says whether it did. */
  take(count = 1): boolean {
    if (this.available < count) return false;
    this.#tokens -= count;
    return true;
  }
}

import type { Clock } from "@heddle/p2p";

/** An allowance: so much at once, and so much a second. */
export interface Allowance {
  readonly perSecond: number;
  readonly burst: number;
}

/** Spends an {@link Allowance} as time passes. */
export class TokenBucket {
  readonly #allowance: Allowance;
  readonly #clock: Clock;
  #tokens: number;
  #filledAt: number;

  constructor(allowance: Allowance, clock: Clock) {
    this.#allowance = allowance;
    this.#clock = clock;
    this.#tokens = allowance.burst;
    this.#filledAt = clock.now();
  }

  /** Takes `amount` if it is there. */
  take(amount: number): boolean {
    this.#fill();
    if (this.#tokens < amount) return false;
    this.#tokens -= amount;
    return true;
  }

  /** Takes `amount` even if it is not there; says how long it takes until it would be, in milliseconds. */
  borrow(amount: number): number {
    this.#fill();
    this.#tokens -= amount;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.#allowance.perSecond) * 1000;
  }

  #fill(): void {
    const { perSecond, burst } = this.#allowance;
    const now = this.#clock.now();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAt) / 1000) * perSecond);
    this.#filledAt = now;
  }
}

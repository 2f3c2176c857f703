import type { Clock } from "@heddle/p2p";

/** One timer for many deadlines: set for the earliest known, and again for what is left then. */
export class DeadlineTimer {
  readonly #clock: Clock;
  readonly #expire: (now: number) => number;
  #timer: unknown;
  #firesAt = Infinity;

  /** @param expire - ends what is due at `now`; returns the earliest deadline left, or Infinity */
  constructor(clock: Clock, expire: (now: number) => number) {
    this.#clock = clock;
    this.#expire = expire;
  }

  /** Makes sure that it fires at `deadline`, on the clock's monotonic scale. */
  arm(deadline: number): void {
    if (this.#firesAt <= deadline) return;
    this.stop();
    this.#firesAt = deadline;
    const delay = Math.max(0, deadline - this.#clock.now());
    this.#timer = this.#clock.setTimeout(() => {
      this.#firesAt = Infinity;
      this.arm(this.#expire(this.#clock.now()));
    }, delay);
  }

  /** Forgets every deadline. */
  stop(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#firesAt = Infinity;
  }
}

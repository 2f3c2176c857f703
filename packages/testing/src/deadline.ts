import type { Clock } from "@heddle/p2p";

/** When a wait of a script gives up; clear it when the wait is over. */
export class Deadline {
  readonly ms: number;
  hasPassed = false;
  readonly #clock: Clock;
  readonly #timer: unknown;

  /** @param passed - called once when the time is over */
  constructor(clock: Clock, ms: number, passed: () => void) {
    this.ms = ms;
    this.#clock = clock;
    this.#timer = clock.setTimeout(() => {
      this.hasPassed = true;
      passed();
    }, ms);
  }

  clear(): void {
    this.#clock.clearTimeout(this.#timer);
  }
}

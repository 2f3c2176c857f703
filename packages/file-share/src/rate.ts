import { sleep } from "@heddle/p2p";
import type { Clock } from "@heddle/p2p";

/** A token bucket: so much per second, and a bounded amount at once. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #rate: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;
  #queue: Promise<void> = Promise.resolve();

  /**
   * @param rate - tokens per second; Infinity for no limit
   * @param burst - most tokens at once; full at first
   */
  constructor(clock: Clock, rate: number, burst: number) {
    this.#clock = clock;
    this.#rate = rate;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = clock.now();
  }

  /** Whether {@link take} never waits. */
  get isUnlimited(): boolean {
    return this.#rate === Infinity;
  }

  /** Takes a token if there is one. */
  tryTake(): boolean {
    this.#refill();
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /**
   * Takes `count` tokens, first come first served, as soon as the rate allows.
   *
   * @throws the signal's reason
   */
  take(count: number, signal: AbortSignal): Promise<void> {
    if (this.isUnlimited) return Promise.resolve();
    const turn = this.#queue.then(() => this.#takeNow(count, signal));
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  async #takeNow(count: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#refill();
    // Taken in advance and waited for: what is larger than the burst passes, too.
    this.#tokens -= count;
    if (this.#tokens >= 0) return;
    await sleep(this.#clock, (-this.#tokens / this.#rate) * 1_000, signal);
  }

  #refill(): void {
    const now = this.#clock.now();
    const fresh = ((now - this.#at) / 1_000) * this.#rate;
    this.#at = now;
    this.#tokens = this.isUnlimited ? this.#burst : Math.min(this.#burst, this.#tokens + fresh);
  }
}

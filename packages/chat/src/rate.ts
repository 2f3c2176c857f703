import { RecentMap } from "./recent.ts";

/** An allowance: so much at once, and so much a second. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Spends a {@link Rate} as time passes, by whatever clock the caller goes. */
export class RateLimit {
  readonly #rate: Rate;
  #tokens: number;
  #filledAt: number;

  /** @param now - in milliseconds */
  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#filledAt = now;
  }

  /** Takes one if it is there; a `now` that lies before an earlier one counts as that. */
  take(now: number): boolean {
    const { perSecond, burst } = this.#rate;
    const passed = Math.max(0, now - this.#filledAt);
    this.#tokens = Math.min(burst, this.#tokens + (passed / 1000) * perSecond);
    this.#filledAt += passed;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** So many in every window of time. */
export interface Quota {
  readonly messages: number;
  readonly windowMs: number;
}

/**
 * Counts what every node says by the time it says it: in whatever order messages come, after a partition
 * for example, everybody comes to the same result.
 */
export class QuotaCounter {
  readonly #quota: Quota;
  readonly #counts: RecentMap<number>;

  /** @param capacity - how many windows of nodes are remembered */
  constructor(quota: Quota, capacity: number) {
    this.#quota = quota;
    this.#counts = new RecentMap(capacity);
  }

  /** Whether a node may say no more in the window of this time. */
  isFull(node: string, time: number): boolean {
    return (this.#counts.get(this.#keyOf(node, time)) ?? 0) >= this.#quota.messages;
  }

  /** Counts a message if it may be said. */
  take(node: string, time: number): boolean {
    if (this.isFull(node, time)) return false;
    const key = this.#keyOf(node, time);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    return true;
  }

  #keyOf(node: string, time: number): string {
    return `${node} ${Math.floor(time / this.#quota.windowMs)}`;
  }
}

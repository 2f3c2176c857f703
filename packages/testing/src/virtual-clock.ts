import { TimeoutError } from "@heddle/p2p";
import type { Clock } from "@heddle/p2p";

import { TimerQueue } from "./timer-queue.ts";
import type { Timer } from "./timer-queue.ts";

/** 2025-01-01T00:00:00Z: the same in every run, as everything else is. */
const DEFAULT_WALL_START = 1_735_689_600_000;

/** One hour: how much virtual time the waits let pass before they give up. */
const DEFAULT_LIMIT_MS = 3_600_000;

/** How often the event loop may turn with no timer set before a wait is taken to be in vain. */
const MAX_IDLE_RUNS = 100;

/** Bounds of a wait in virtual time. */
export interface WaitOptions {
  /** How much virtual time may pass, in milliseconds; one hour by default. */
  readonly limitMs?: number;
}

/**
 * Time that stands still until it is told to pass.
 *
 * Between any two timers everything runs that waits for nothing but its turn: promises, `nextTick`,
 * `setImmediate`. What waits for a socket, a file or another real thing is not waited for, so a run is
 * reproducible as long as there is no such thing in it. As in Node, a delay under 1 ms counts as 1 ms:
 * no chain of timers can keep time from passing.
 *
 * @example
 * const clock = new VirtualClock();
 * await using pair = await connectedPair([myProtocol], [myProtocol], { clock });
 * await clock.advance(60_000);
 */
export class VirtualClock implements Clock {
  readonly #timers = new TimerQueue();
  readonly #wallStart: number;
  #now = 0;
  #isRunning = false;

  /** @param wallStart - what `wallNow` starts at, in Unix milliseconds; 2025 begins by default */
  constructor(wallStart: number = DEFAULT_WALL_START) {
    this.#wallStart = wallStart;
  }

  /** Timers that are set and have neither run nor been cleared: after a clean end, none. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return this.#wallStart + this.#now;
  }

  setTimeout(task: () => void, ms: number): unknown {
    return this.#timers.add(this.#now + (ms >= 1 ? ms : 1), task);
  }

  clearTimeout(handle: unknown): void {
    if (handle !== undefined) this.#timers.delete(handle as Timer);
  }

  /**
   * Lets `ms` pass: runs what becomes due, in the order of time, then of setting.
   *
   * @throws RangeError for a time that is none; Error when time is passing already; whatever a timer throws
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0 && ms < Infinity)) throw new RangeError(`cannot advance by ${ms} ms`);
    const end = this.#now + ms;
    await this.#run(end, () => false);
    this.#now = end;
  }

  /**
   * Lets time pass until the predicate holds; it is asked after every timer.
   *
   * @throws `TimeoutError` when it does not within `limitMs`; Error when no timer is left that could
   * change anything
   */
  async runUntil(
    predicate: () => boolean,
    { limitMs = DEFAULT_LIMIT_MS }: WaitOptions = {},
  ): Promise<void> {
    const end = this.#now + limitMs;
    for (let idle = 0; idle < MAX_IDLE_RUNS; idle++) {
      if (await this.#run(end, predicate)) return;
      if (this.pending === 0) continue;
      this.#now = end;
      throw new TimeoutError("virtual time", limitMs);
    }
    throw new Error("nothing is left to wait for: no timer is set");
  }

  /**
   * Lets time pass until the promise is settled, and settles the same way.
   *
   * @throws as {@link runUntil}, and whatever the promise rejects with
   */
  async settle<T>(promise: Promise<T>, options: WaitOptions = {}): Promise<T> {
    let isSettled = false;
    const settled = (): void => {
      isSettled = true;
    };
    promise.then(settled, settled);
    await this.runUntil(() => isSettled, options);
    return promise;
  }

  /** Runs timers up to `end`, until `isDone`; says whether it was. */
  async #run(end: number, isDone: () => boolean): Promise<boolean> {
    if (this.#isRunning) throw new Error("time is passing already: await the call before");
    this.#isRunning = true;
    try {
      await turns();
      while (!isDone()) {
        const timer = this.#timers.takeUntil(end);
        if (timer === undefined) return false;
        this.#now = timer.due;
        timer.task();
        await turns();
      }
      return true;
    } finally {
      this.#isRunning = false;
    }
  }
}

/**
 * Two turns of the event loop: promises and ticks run in the first, and the second comes behind whatever
 * those have put off by `setImmediate`.
 */
async function turns(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
  await new Promise<void>((resolve) => setImmediate(resolve));
}

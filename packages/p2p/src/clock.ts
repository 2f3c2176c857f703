/** Time, as the server sees it; injected, so that tests can turn it by hand. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary start. */
  now(): number;
  /** Unix milliseconds. */
  wallNow(): number;
  /** Runs `task` once after `ms`; the handle is for {@link Clock.clearTimeout} only. */
  setTimeout(task: () => void, ms: number): unknown;
  /** Forgets a timer; undefined and timers that have run are ignored. */
  clearTimeout(handle: unknown): void;
}

/** The longest delay a platform timer takes, 24.8 days; it runs a longer one at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

type Timer = ReturnType<typeof globalThis.setTimeout>;

/**
 * Real time. Its timers keep a process alive, as sockets do.
 *
 * A server without a listener that waits to redial has nothing but a timer; were that not to count, the
 * process would end in silence, and so would one that awaits `stop()` or {@link sleep}. Every timer
 * belongs to a started server or a pending call, so what is stopped leaves none behind.
 */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimeout: (task, ms) =>
    ms > MAX_TIMER_MS ? new LongTimer(task, ms) : globalThis.setTimeout(task, ms),
  clearTimeout(handle) {
    if (handle instanceof LongTimer) handle.clear();
    else globalThis.clearTimeout(handle as Timer | undefined);
  },
};

/**
 * Resolves after `ms`.
 *
 * @throws the signal's reason when it aborts first, or an Error with that as its cause if it is none
 */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(abortError(signal?.reason));
    if (signal?.aborted === true) {
      fail();
      return;
    }
    const onAbort = (): void => {
      clock.clearTimeout(timer);
      fail();
    };
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function abortError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error("aborted", { cause: reason });
}

/** A delay over {@link MAX_TIMER_MS}, waited for in stretches. */
class LongTimer {
  readonly #task: () => void;
  #restMs: number;
  #timer: Timer;

  constructor(task: () => void, ms: number) {
    this.#task = task;
    this.#restMs = ms;
    this.#timer = this.#arm();
  }

  clear(): void {
    globalThis.clearTimeout(this.#timer);
  }

  #arm(): Timer {
    const ms = Math.min(this.#restMs, MAX_TIMER_MS);
    this.#restMs -= ms;
    return globalThis.setTimeout(() => {
      if (this.#restMs > 0) this.#timer = this.#arm();
      else this.#task();
    }, ms);
  }
}

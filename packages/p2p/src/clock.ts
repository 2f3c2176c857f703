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

/**
 * Real time. Its timers do not keep a process alive: sockets do, and a server without any has nothing
 * to wait for.
 */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimeout(task, ms) {
    const timer: unknown = globalThis.setTimeout(task, ms);
    if (typeof timer === "object" && timer !== null && "unref" in timer) {
      (timer as { unref(): void }).unref();
    }
    return timer;
  },
  clearTimeout: (handle) =>
    globalThis.clearTimeout(handle as ReturnType<typeof globalThis.setTimeout>),
};

/** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clock.clearTimeout(timer);
      reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
    };
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
}

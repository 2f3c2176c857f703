import { execFileSync } from "node:child_process";
import { getEventListeners } from "node:events";
import { fileURLToPath } from "node:url";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { sleep, systemClock } from "../src/clock.ts";
import { ManualClock } from "./manual-clock.ts";

describe("sleep", () => {
  test("resolves when its time has come, not before", async () => {
    const clock = new ManualClock();
    const woken = vi.fn<() => void>();
    const slept = sleep(clock, 100).then(woken);
    clock.advance(99);
    await Promise.resolve();
    expect(woken).not.toHaveBeenCalled();
    clock.advance(1);
    await slept;
    expect(woken).toHaveBeenCalledOnce();
  });

  test("rejects with the signal's reason and leaves neither timer nor listener", async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const slept = sleep(clock, 100, controller.signal);
    const reason = new Error("stopped");
    controller.abort(reason);
    await expect(slept).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
  });

  test("rejects at once when the signal has aborted before", async () => {
    const clock = new ManualClock();
    const reason = new Error("stopped");
    await expect(sleep(clock, 100, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
  });

  test("rejects with an Error even when the reason is none", async () => {
    const slept = sleep(new ManualClock(), 100, AbortSignal.abort("why"));
    await expect(slept).rejects.toMatchObject({ message: "aborted", cause: "why" });
  });

  test("forgets the signal once it is over", async () => {
    const clock = new ManualClock();
    const { signal } = new AbortController();
    const slept = sleep(clock, 100, signal);
    clock.advance(100);
    await slept;
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });
});

describe("systemClock", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("runs a task once, after its delay", () => {
    const task = vi.fn<() => void>();
    systemClock.setTimeout(task, 1_000);
    vi.advanceTimersByTime(999);
    expect(task).not.toHaveBeenCalled();
    vi.advanceTimersByTime(10_000);
    expect(task).toHaveBeenCalledOnce();
  });

  test("takes delays that the platform's timers would run at once", () => {
    const task = vi.fn<() => void>();
    const days60 = 60 * 24 * 3600 * 1000;
    systemClock.setTimeout(task, days60);
    vi.advanceTimersByTime(days60 - 1);
    expect(task).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(task).toHaveBeenCalledOnce();
  });

  test.each([1_000, 2 ** 31, 2 ** 33, Infinity])("forgets a timer of %d ms", (ms) => {
    const task = vi.fn<() => void>();
    const handle = systemClock.setTimeout(task, ms);
    vi.advanceTimersByTime(500);
    systemClock.clearTimeout(handle);
    expect(vi.getTimerCount()).toBe(0);
    expect(() => systemClock.clearTimeout(handle)).not.toThrow();
  });

  test("forgets a long timer in its second stretch", () => {
    const handle = systemClock.setTimeout(() => undefined, 2 ** 33);
    vi.advanceTimersByTime(2 ** 31);
    systemClock.clearTimeout(handle);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("takes undefined for a timer that was never set", () => {
    expect(() => systemClock.clearTimeout(undefined)).not.toThrow();
  });
});

test("tells monotonic and wall-clock time", () => {
  const before = Date.now();
  expect(systemClock.wallNow()).toBeGreaterThanOrEqual(before);
  const now = systemClock.now();
  expect(systemClock.now()).toBeGreaterThanOrEqual(now);
});

test("keeps a process alive that waits for nothing but a timer", () => {
  const clock = fileURLToPath(new URL("../src/clock.ts", import.meta.url));
  const program = `import(${JSON.stringify(clock)}).then(async ({ sleep, systemClock }) => {
    await sleep(systemClock, 50);
    console.log("awake");
  });`;
  const args = ["--import", "tsx", "--eval", program];
  expect(execFileSync(process.execPath, args, { encoding: "utf8" })).toBe("awake\n");
});

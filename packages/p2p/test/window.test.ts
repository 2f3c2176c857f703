import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { INITIAL_WINDOW } from "../src/flow.ts";
import { ReceiveWindow } from "../src/window.ts";
import { ManualClock } from "./manual-clock.ts";

const KIB = 1024;
const MAX = 4096 * KIB;

/** A window, and a reader of it that takes what arrives at once. */
class Bench {
  readonly clock = new ManualClock();
  rttMs: number | undefined;
  busyMs = 0;
  /** Another protocol's messages arrive all the time, unless a test says when they last did. */
  sharedAt: number | undefined;
  readonly window: ReceiveWindow;

  constructor({ max = MAX, rttMs }: { max?: number; rttMs?: number } = {}) {
    this.rttMs = rttMs;
    this.window = new ReceiveWindow({
      clock: this.clock,
      max,
      rttMs: () => this.rttMs,
      busyMs: () => this.busyMs,
      sharedAt: () => this.sharedAt ?? this.clock.now(),
    });
  }

  /** One message arrives and is read; returns what is granted for it. */
  read(cost: number): number {
    this.window.arrived(cost);
    return this.window.taken(cost);
  }

  /** A whole window arrives and is read in `ms`, in messages of `cost`, of which the reader works `busyMs`. */
  readWindow(ms: number, { cost = 16 * KIB, busyMs = 0 } = {}): void {
    const { size } = this.window;
    this.clock.advance(ms);
    this.busyMs += busyMs;
    for (let left = size; left > 0; left -= cost) this.read(cost);
  }
}

describe("what is read", () => {
  test("is granted by quarters of the window", () => {
    const bench = new Bench();
    const quarter = INITIAL_WINDOW / 4;
    expect(bench.read(quarter - 1)).toBe(0);
    expect(bench.window.used(5)).toBe(quarter + 4);
    expect(bench.read(1)).toBe(quarter);
    expect(bench.window.used(5)).toBe(5);
    expect(bench.read(10 * KIB)).toBe(0);
  });

  test("is granted to the byte, and with what the window changes, whatever is read when", () => {
    const step = fc.record({
      cost: fc.integer({ min: 256, max: 3 * MAX }),
      ms: fc.integer({ min: 0, max: 500 }),
      busyMs: fc.integer({ min: 0, max: 500 }),
      rttMs: fc.option(fc.integer({ min: 0, max: 400 }), { nil: undefined }),
      sharedAt: fc.constantFrom(undefined, 0),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const bench = new Bench();
        const { window } = bench;
        // What the sender may still send, by its own account.
        let credit = INITIAL_WINDOW;
        for (const { cost, ms, busyMs, rttMs, sharedAt } of steps) {
          bench.clock.advance(ms);
          bench.busyMs += busyMs;
          bench.rttMs = rttMs;
          bench.sharedAt = sharedAt;
          credit -= cost;
          credit += bench.read(cost);
          expect(credit).toBe(window.size - window.used(0));
          expect(credit).toBeGreaterThan(window.size / 2);
          expect(window.size).toBeGreaterThanOrEqual(INITIAL_WINDOW);
          expect(window.size).toBeLessThanOrEqual(MAX);
        }
      }),
    );
  });
});

describe("a window", () => {
  test("lets a second message follow the largest, up to its bound", () => {
    const bench = new Bench();
    expect(bench.read(1024 * KIB)).toBe(2048 * KIB + 1 - INITIAL_WINDOW);
    expect(bench.window.size).toBe(1024 * KIB + 1);
    bench.read(3072 * KIB);
    expect(bench.window.size).toBe(3072 * KIB + 1);
    bench.read(MAX);
    expect(bench.window.size).toBe(MAX);
    const small = new Bench({ max: 100 });
    small.read(1024 * KIB);
    expect(small.window.size).toBe(INITIAL_WINDOW);
  });

  test("that is read in a round trip by a reader that waits grows to its bound, twofold at a time", () => {
    const bench = new Bench({ rttMs: 100 });
    const sizes = Array.from({ length: 8 }, () => {
      bench.readWindow(100);
      return bench.window.size / INITIAL_WINDOW;
    });
    // The first round has no beginning. 4 MiB are 21.3 times 192 KiB.
    expect(sizes).toEqual([
      1,
      2,
      4,
      8,
      16,
      MAX / INITIAL_WINDOW,
      MAX / INITIAL_WINDOW,
      MAX / INITIAL_WINDOW,
    ]);
  });

  test.each([
    ["no round trip is known", undefined, 10, 0],
    ["it lasts for two round trips", 50, 100, 0],
    ["the reader works for most of the time", 100, 100, 60],
  ])("does not grow while %s", (_why, rttMs, ms, busyMs) => {
    const bench = new Bench(rttMs === undefined ? {} : { rttMs });
    for (let n = 0; n < 20; n += 1) bench.readWindow(ms, { busyMs });
    expect(bench.window.size).toBe(INITIAL_WINDOW);
  });

  test("is 2 MiB once no other protocol has had a message for 250 ms, and shrinks as soon as one has", () => {
    const bench = new Bench();
    bench.sharedAt = 0;
    bench.readWindow(249);
    expect(bench.window.size).toBe(INITIAL_WINDOW);
    bench.readWindow(1);
    expect(bench.window.size).toBe(2048 * KIB);
    bench.sharedAt = 250;
    // What is read is not granted again until the window is as small as it was.
    const granted = Array.from({ length: 256 }, () => bench.read(16 * KIB));
    const first = granted.findIndex((bytes) => bytes > 0) + 1;
    expect(first * 16 * KIB).toBeGreaterThan(1700 * KIB);
    expect(first * 16 * KIB).toBeLessThan(2048 * KIB);
    expect(bench.window.size).toBe(INITIAL_WINDOW);
    const small = new Bench({ max: 1024 * KIB });
    small.sharedAt = Number.NEGATIVE_INFINITY;
    small.readWindow(0);
    expect(small.window.size).toBe(1024 * KIB);
  });

  test("that has become a queue shrinks again, and grants less for it", () => {
    const bench = new Bench({ rttMs: 100 });
    for (let n = 0; n < 8; n += 1) bench.readWindow(100);
    expect(bench.window.size).toBe(MAX);
    for (let n = 0; n < 40; n += 1) bench.readWindow(601);
    expect(bench.window.size).toBe(INITIAL_WINDOW);
  });

  test("that grew for a large message shrinks when only small ones come, not before", () => {
    const bench = new Bench({ rttMs: 1 });
    for (let n = 0; n < 10; n += 1) {
      bench.clock.advance(100);
      bench.read(1024 * KIB);
    }
    expect(bench.window.size).toBe(1024 * KIB + 1);
    for (let n = 0; n < 40; n += 1) bench.readWindow(100);
    expect(bench.window.size).toBe(INITIAL_WINDOW);
  });
});

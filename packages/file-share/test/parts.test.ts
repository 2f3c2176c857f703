import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { VirtualClock } from "@heddle/testing";

import { Bitmap } from "../src/bitmap.ts";
import { formatHash, parseHash } from "../src/hash.ts";
import { createLimits, DEFAULT_LIMITS } from "../src/limits.ts";
import { TokenBucket } from "../src/rate.ts";
import { Results } from "../src/results.ts";
import { Schedule } from "../src/schedule.ts";
import { AdaptiveWindow } from "../src/window.ts";

describe("a bitmap", () => {
  test("is a set of numbers below its length", () => {
    const numbers = fc.array(fc.nat({ max: 99 }));
    fc.assert(
      fc.property(numbers, numbers, fc.nat({ max: 99 }), (added, deleted, from) => {
        const [bitmap, set] = [new Bitmap(100), new Set<number>()];
        for (const index of added) {
          bitmap.add(index);
          set.add(index);
        }
        for (const index of deleted) {
          bitmap.delete(index);
          set.delete(index);
        }
        const missing = Array.from({ length: 100 }, (_, i) => i).filter((i) => !set.has(i));
        expect(bitmap.count).toBe(set.size);
        expect(bitmap.nextMissing(from)).toBe(missing.find((index) => index >= from) ?? 100);
      }),
    );
  });

  test("takes nothing at its length or above", () => {
    const bitmap = new Bitmap(3);
    bitmap.add(3);
    expect(bitmap.count).toBe(0);
    expect(bitmap.nextMissing(3)).toBe(3);
  });
});

describe("a schedule", () => {
  test("gives every missing chunk out once, whoever comes and goes", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 60 }),
        fc.uniqueArray(fc.nat({ max: 59 })),
        fc.array(fc.record({ who: fc.nat({ max: 3 }), fails: fc.boolean(), leaves: fc.boolean() })),
        (length, had, steps) => {
          const have = new Bitmap(length);
          for (const index of had) have.add(index);
          const schedule = new Schedule<number>(have);
          const got = new Set<number>();
          const take = (who: number, fails: boolean): boolean => {
            const index = schedule.take(who);
            if (index === undefined) return false;
            expect(have.has(index)).toBe(false);
            expect(got.has(index)).toBe(false);
            if (fails) schedule.giveBack(index);
            else {
              got.add(index);
              have.add(index);
            }
            return true;
          };
          for (const { who, fails, leaves } of steps) {
            take(who, fails);
            if (leaves) schedule.leave(who);
          }
          while (take(9, false));
          expect(have.count).toBe(length);
        },
      ),
    );
  });

  test("lets each holder read on from where it is, in runs of four", () => {
    const schedule = new Schedule<string>(new Bitmap(100));
    const taken = { a: [] as unknown[], b: [] as unknown[] };
    for (let i = 0; i < 6; i++) {
      taken.a.push(schedule.take("a"));
      taken.b.push(schedule.take("b"));
    }
    expect(taken.a).toEqual([0, 1, 2, 3, 8, 9]);
    expect(taken.b).toEqual([4, 5, 6, 7, 12, 13]);
  });

  test("at the end takes from the runs of others", () => {
    const schedule = new Schedule<string>(new Bitmap(4));
    expect(schedule.take("a")).toBe(0);
    expect([1, 2, 3].map(() => schedule.take("b"))).toEqual([1, 2, 3]);
    expect(schedule.take("b")).toBeUndefined();
  });
});

describe("a window", () => {
  test("doubles each round trip while no queue forms, up to its bound", () => {
    const window = new AdaptiveWindow(32);
    const sizes = [window.size];
    for (let round = 0; round < 4; round++) {
      for (let left = window.size; left > 0; left--) window.answered(50);
      sizes.push(window.size);
    }
    expect(sizes).toEqual([4, 8, 16, 32, 32]);
  });

  test("settles where some chunks always wait, when the way is no faster", () => {
    const window = new AdaptiveWindow(1_000);
    // A way that takes 10 ms and then one chunk each millisecond: more than 10 at once only wait.
    for (let i = 0; i < 20_000; i++) window.answered(Math.max(10, window.size));
    expect(window.size).toBeGreaterThan(10);
    expect(window.size).toBeLessThan(40);
  });

  test("halves when a chunk does not come in time, and never closes", () => {
    const window = new AdaptiveWindow(32);
    for (let i = 0; i < 28; i++) window.answered(50);
    const sizes = Array.from({ length: 7 }, () => {
      window.timedOut();
      return window.size;
    });
    expect(sizes).toEqual([16, 8, 4, 2, 1, 1, 1]);
  });
});

describe("a rate", () => {
  test("lets through what it says, and the burst at once", async () => {
    const clock = new VirtualClock();
    const bucket = new TokenBucket(clock, 1_000, 500);
    const { signal } = new AbortController();
    const start = clock.now();
    const at: number[] = [];
    const taken = Promise.all(
      [500, 1_000, 250].map((count) =>
        bucket.take(count, signal).then(() => at.push(clock.now() - start)),
      ),
    );
    await clock.settle(taken);
    expect(at).toEqual([0, 1_000, 1_250]);
  });

  test("stops waiting when it is aborted, and serves the next", async () => {
    const clock = new VirtualClock();
    const bucket = new TokenBucket(clock, 1_000, 100);
    const controller = new AbortController();
    const first = bucket.take(600, controller.signal);
    const second = bucket.take(100, new AbortController().signal);
    controller.abort(new Error("enough"));
    await expect(first).rejects.toThrow("enough");
    await clock.settle(second);
  });

  test("without a limit never waits", async () => {
    const bucket = new TokenBucket(new VirtualClock(), Infinity, 1);
    await bucket.take(1e12, new AbortController().signal);
    expect(bucket.isUnlimited).toBe(true);
  });

  test("is tried without waiting", async () => {
    const clock = new VirtualClock();
    const bucket = new TokenBucket(clock, 10, 2);
    expect([1, 2, 3].map(() => bucket.tryTake())).toEqual([true, true, false]);
    await clock.advance(100);
    expect([1, 2].map(() => bucket.tryTake())).toEqual([true, false]);
  });
});

describe("limits", () => {
  test("are the defaults where nothing is given", () => {
    expect(createLimits({})).toEqual(DEFAULT_LIMITS);
  });

  test.each([
    { limits: { maxFiles: 0 }, error: RangeError },
    { limits: { maxFiles: 1.5 }, error: RangeError },
    { limits: { maxHops: Number.NaN }, error: RangeError },
    { limits: { uploadRate: 16 * 1024 - 1 }, error: RangeError },
    { limits: { downloadRate: Number.NaN }, error: RangeError },
    { limits: { maxWindow: 17 }, error: RangeError },
    { limits: { maxFile: 1 } as object, error: TypeError },
  ])("refuse $limits", ({ limits, error }) => {
    expect(() => createLimits(limits)).toThrow(error);
  });
});

test("results are read in order, are bounded, and end", async () => {
  const results = new Results<number>(2);
  const first = results.next();
  results.push(1);
  expect(await first).toBe(1);
  for (const value of [2, 3, 4]) results.push(value);
  results.end();
  results.push(5);
  expect([await results.next(), await results.next(), await results.next()]).toEqual([
    2,
    3,
    undefined,
  ]);
});

test("hashes are 64 hex digits of either case, and nothing else", () => {
  const text = "0123456789abcdef".repeat(4);
  expect(formatHash(parseHash(text))).toBe(text);
  expect(formatHash(parseHash(text.toUpperCase()))).toBe(text);
  for (const bad of ["", text.slice(1), `${text}0`, `0x${text.slice(2)}`, `${text.slice(1)}g`]) {
    expect(() => parseHash(bad)).toThrow(TypeError);
  }
});

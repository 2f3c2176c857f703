import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { Backoff } from "../src/backoff.ts";

const take = (backoff: Backoff, count: number): number[] =>
  Array.from({ length: count }, () => backoff.next());

describe("Backoff", () => {
  test("doubles from the least to the most wait", () => {
    const backoff = new Backoff({ minMs: 1_000, maxMs: 6_000, random: () => 0 });
    expect(take(backoff, 5)).toEqual([500, 1_000, 2_000, 3_000, 3_000]);
  });

  test("draws from the upper half of each range", () => {
    const almostOne = new Backoff({ minMs: 1_000, maxMs: 8_000, random: () => 1 - 2 ** -53 });
    const waits = take(almostOne, 5);
    for (const [i, full] of [1_000, 2_000, 4_000, 8_000, 8_000].entries()) {
      expect(waits[i]).toBeCloseTo(full, 6);
    }
  });

  test("starts again after a reset", () => {
    const backoff = new Backoff({ minMs: 1_000, maxMs: 60_000, random: () => 0.5 });
    const first = take(backoff, 4);
    backoff.reset();
    expect(take(backoff, 4)).toEqual(first);
  });

  test("never waits longer than the most, even if that is below the least", () => {
    const backoff = new Backoff({ minMs: 1_000, maxMs: 100, random: () => 0 });
    expect(take(backoff, 2)).toEqual([50, 50]);
    backoff.reset();
    expect(backoff.next()).toBe(50);
  });

  test("stays within its bounds however often and long it is asked", () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.nat(10_000), fc.nat(10_000_000), random, (minMs, more, at) => {
        const maxMs = minMs + more;
        const backoff = new Backoff({ minMs, maxMs, random: () => at });
        for (const [i, wait] of take(backoff, 2_000).entries()) {
          const full = Math.min(maxMs, minMs === 0 ? 0 : minMs * 2 ** Math.min(i, 60));
          expect(wait).toBeGreaterThanOrEqual(full / 2);
          expect(wait).toBeLessThanOrEqual(full);
        }
      }),
      { numRuns: 20 },
    );
  });
});

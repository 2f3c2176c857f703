import { expect, test } from "vitest";

import { QuotaCounter, RateLimit } from "../src/rate.ts";
import { RecentMap } from "../src/recent.ts";

test("a rate allows so much at once and so much a second, and no more for waiting long", () => {
  const limit = new RateLimit({ perSecond: 2, burst: 3 }, 1_000);
  const takeAll = (now: number): number => {
    let count = 0;
    while (limit.take(now)) count += 1;
    return count;
  };
  expect([1_000, 1_499, 1_500, 3_000, 60_000].map(takeAll)).toEqual([3, 0, 1, 3, 3]);
});

test("time that goes back gives nothing, and takes nothing away", () => {
  const limit = new RateLimit({ perSecond: 1, burst: 1 }, 10_000);
  expect(limit.take(10_000)).toBe(true);
  expect(limit.take(5_000)).toBe(false);
  expect(limit.take(11_000)).toBe(true);
});

test("a quota holds for every node and every window, in any order of time", () => {
  const counter = new QuotaCounter({ messages: 2, windowMs: 10 }, 100);
  const taken = [15, 5, 19, 9, 10, 0].map((time) => counter.take("a", time));
  expect(taken).toEqual([true, true, true, true, false, false]);
  expect(counter.isFull("a", 7)).toBe(true);
  expect(counter.isFull("b", 7)).toBe(false);
});

test("what was used longest ago is forgotten first", () => {
  const map = new RecentMap<number>(2);
  map.set("a", 1);
  map.set("b", 2);
  expect(map.get("a")).toBe(1);
  map.set("c", 3);
  expect([map.get("a"), map.get("b"), map.get("c"), map.size]).toEqual([1, undefined, 3, 2]);
});

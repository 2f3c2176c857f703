import { isSecretKey } from "@heddle/identity";
import { expect, test } from "vitest";

import { seededRandom } from "../src/index.ts";

const draw = (seed: number): number[] => {
  const random = seededRandom(seed);
  return Array.from({ length: 100 }, () => random.next());
};

test("the same seed draws the same numbers, another seed others", () => {
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

test("numbers are spread evenly over [0, 1)", () => {
  const random = seededRandom(1);
  const buckets = Array.from({ length: 10 }, () => 0);
  for (let i = 0; i < 10_000; i++) {
    const value = random.next();
    expect(value >= 0 && value < 1).toBe(true);
    const bucket = Math.floor(value * 10);
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150);
});

test("integers stay below their bound, numbers between theirs", () => {
  const random = seededRandom(2);
  const integers = new Set(Array.from({ length: 200 }, () => random.integer(5)));
  expect(integers).toEqual(new Set([0, 1, 2, 3, 4]));
  for (let i = 0; i < 100; i++) {
    const value = random.between(3, 4);
    expect(value >= 3 && value < 4).toBe(true);
  }
});

test("keys are valid secret keys, and differ", () => {
  const random = seededRandom(3);
  const keys = Array.from({ length: 5 }, () => random.secretKey());
  expect(keys.every(isSecretKey)).toBe(true);
  expect(new Set(keys.map(String)).size).toBe(5);
});

test("a shuffle holds the same items and leaves the original alone", () => {
  const items = [1, 2, 3, 4, 5, 6, 7, 8];
  const shuffled = seededRandom(4).shuffle(items);
  expect(shuffled).not.toEqual(items);
  expect(shuffled.toSorted((a, b) => a - b)).toEqual(items);
  expect(items).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test("a fork does not depend on what is drawn from its source later", () => {
  const [one, two] = [seededRandom(5), seededRandom(5)];
  const [forkOne, forkTwo] = [one.fork(), two.fork()];
  one.bytes(10);
  expect(forkOne.bytes(8)).toEqual(forkTwo.bytes(8));
});

test("it refuses what is no seed and an empty choice", () => {
  expect(() => seededRandom(0.5)).toThrow(RangeError);
  expect(() => seededRandom(1).pick([])).toThrow(RangeError);
  expect(seededRandom(1).pick(["only"])).toBe("only");
});

import { decodeRlp, encodeRlp } from "@heddle/identity";
import type { RlpValue } from "@heddle/identity";
import {
  bigint,
  bool,
  bytes,
  fixedBytes,
  item,
  list,
  optional,
  struct,
  text,
  tuple,
  uint,
  union,
} from "@heddle/protocol";
import type { Schema } from "@heddle/protocol";
import { describe, expect, test } from "vitest";

import { malformBytes, malformValue, placesOf } from "../src/malform.ts";
import { seededRandom } from "../src/random.ts";
import { drawInteger, sampleShape, toBytes } from "../src/sample-shape.ts";

const SCHEMAS: readonly (readonly [string, Schema<never>])[] = (
  [
    ["a number", uint],
    ["a bounded number", uint({ max: 5 })],
    ["a large number", bigint],
    ["a bool", bool],
    ["a text", text],
    ["a bounded text", text({ min: 7, max: 11 })],
    ["an empty text", text({ max: 0 })],
    ["bytes", bytes],
    ["bounded bytes", bytes({ min: 300, max: 400 })],
    ["a hash", fixedBytes(32)],
    ["an item", item],
    ["a list", list(uint)],
    ["a bounded list", list(text, { max: 2 })],
    ["lists of lists", list(list(list(bytes)))],
    ["a tuple", tuple(uint, text)],
    ["an optional tail", struct({ a: uint, b: optional(text), c: optional(list(uint)) })],
    ["a union", union({ one: [1, text], other: [300, struct({ n: uint })] })],
  ] as const
).map(([name, schema]) => [name, schema as unknown as Schema<never>]);

describe("what is drawn of a shape is taken by its schema:", () => {
  test.each(SCHEMAS)("%s", (_name, schema) => {
    const random = seededRandom(7);
    for (let i = 0; i < 60; i++) {
      for (const bits of [undefined, 1, 8, 53, 64, 256]) {
        const payload = encodeRlp(sampleShape(schema.shape, random, bits));
        expect(() => schema.decode(payload)).not.toThrow();
        expect(payload.length).toBeLessThan(1_000_000);
      }
    }
  });
});

test("small samples are small, extreme ones reach the bounds", () => {
  const random = seededRandom(1);
  const schema = bytes({ min: 2, max: 5_000 });
  const sizes = (bits?: number): number[] =>
    Array.from(
      { length: 100 },
      () => (sampleShape(schema.shape, random, bits) as Uint8Array).length,
    );
  expect(Math.max(...sizes())).toBeLessThan(12);
  expect(sizes(8)).toEqual(expect.arrayContaining([2, 5_000]));
});

test("integers have at most as many bits as are said, and every size among them", () => {
  const random = seededRandom(3);
  const lengths = Array.from({ length: 5_000 }, () => drawInteger(random, 64).toString(2).length);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(65);
  expect(new Set(lengths).size).toBeGreaterThan(60);
});

test.each([
  [0, []],
  [1, [1]],
  [255, [255]],
  [256, [1, 0]],
  [2n ** 64n, [1, 0, 0, 0, 0, 0, 0, 0, 0]],
])("the bytes of %d are minimal", (value, expected) => {
  expect([...toBytes(value)]).toEqual(expected);
});

describe("malformed", () => {
  const value: RlpValue = [toBytes(7), [toBytes(1), new Uint8Array(40).fill(0x61)], []];

  test("values are still RLP, mostly others, and the same for the same seed", () => {
    const make = (seed: number): string[] => {
      const random = seededRandom(seed);
      return Array.from({ length: 300 }, () => {
        const { how, payload } = malformValue(value, random, 64);
        expect(() => decodeRlp(payload)).not.toThrow();
        return `${how} ${payload.join()}`;
      });
    };
    expect(make(1)).toEqual(make(1));
    expect(new Set(make(1)).size).toBeGreaterThan(100);
  });

  test("values hold no number over the bits that are said, unless it is no number of 8 bytes", () => {
    const random = seededRandom(5);
    for (let i = 0; i < 500; i++) {
      const { how, payload } = malformValue([toBytes(1)], random, 16);
      if (!how.startsWith("a number")) continue;
      const [number] = [decodeRlp(payload)].flat();
      expect((number as Uint8Array).length).toBeLessThanOrEqual(3);
    }
  });

  test("bytes are of every kind, bounded in size", () => {
    const random = seededRandom(2);
    const made = Array.from({ length: 400 }, () => malformBytes(encodeRlp(value), random));
    expect(new Set(made.map(({ how }) => how)).size).toBe(13);
    for (const { payload } of made) expect(payload.length).toBeLessThanOrEqual(100_000);
  });

  test("lists in lists are RLP that only depth is wrong with", () => {
    const random = seededRandom(2);
    let nested: Uint8Array | undefined;
    while (nested === undefined) {
      const { how, payload } = malformBytes(new Uint8Array(1), random);
      if (how === "lists in lists") nested = payload;
    }
    // By hand, because a decoder bounds the depth: each prefix covers all that is left.
    let at = 0;
    let depth = 0;
    for (; at < nested.length; depth++) {
      const first = nested[at] ?? 0;
      const lengthBytes = Math.max(0, first - 0xf7);
      const digits = nested.subarray(at + 1, at + 1 + lengthBytes);
      const size = lengthBytes === 0 ? first - 0xc0 : digits.reduce((n, d) => n * 256 + d, 0);
      at += 1 + lengthBytes;
      expect(size).toBe(nested.length - at);
    }
    expect(depth).toBe(20_000);
  });

  test("places are all items of short lists, and the first of long ones", () => {
    expect(placesOf(value)).toEqual([[], [0], [1], [1, 0], [1, 1], [2]]);
    expect(placesOf(Array.from({ length: 100 }, () => toBytes(1)))).toHaveLength(9);
  });
});

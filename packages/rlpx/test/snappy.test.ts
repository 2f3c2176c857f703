import * as fc from "fast-check";
import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";

import { RemoteProtocolError } from "../src/errors.ts";
import { compress, decompress, uncompressedLength } from "../src/snappy.ts";
import { hex, thrown } from "./sessions.ts";

interface Snappyjs {
  compress(bytes: Uint8Array): Uint8Array;
  uncompress(bytes: Uint8Array): Uint8Array;
}
// It is CommonJS without types.
const snappyjs: Snappyjs = createRequire(import.meta.url)("snappyjs");

const MAX = 2 ** 24 - 1;
const refusal = (code: string) => expect.objectContaining({ name: "RemoteProtocolError", code });
const BAD = refusal("ERR_RLPX_BAD_SNAPPY");

/** Bytes of every kind that the two coders treat apart: short, long, repetitive, noisy, mixed. */
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 400 }),
  fc.nat({ max: 200_000 }).map((length) => new Uint8Array(length)),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat({ max: 150_000 }))
    .map(([unit, length]) => new Uint8Array(length).map((_, i) => unit[i % unit.length]!)),
  fc
    .tuple(fc.integer({ min: 1 }), fc.nat({ max: 150_000 }))
    .map(([seed, length]) => noise(seed, length)),
  fc
    .array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat({ max: 600 })), { maxLength: 60 })
    .map((parts) => Uint8Array.from(parts.flatMap(([seed, length]) => [...noise(seed, length)]))),
);

function noise(seed: number, length: number): Uint8Array {
  let x = seed;
  return new Uint8Array(length).map(() => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x;
  });
}

describe("compress", () => {
  test("is undone by decompress, and stays within its bound", () => {
    fc.assert(
      fc.property(bytes, (plain) => {
        const block = compress(plain);
        expect(block.length).toBeLessThanOrEqual(plain.length + plain.length / 64 + 16);
        expect(uncompressedLength(block)).toBe(plain.length);
        expect(Buffer.compare(decompress(block, MAX), plain)).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  test("is understood by snappyjs", () => {
    fc.assert(
      fc.property(bytes, (plain) => {
        expect(Buffer.compare(snappyjs.uncompress(compress(plain)), plain)).toBe(0);
      }),
      { numRuns: 80 },
    );
  });

  test.each([0, 1, 60, 61, 255, 256, 257, 65535, 65536, 65537, 131072 + 1, 2 ** 20 + 3])(
    "%i bytes come back, whether they repeat or not",
    (length) => {
      for (const plain of [new Uint8Array(length), noise(7, length)]) {
        expect(Buffer.compare(decompress(compress(plain), length), plain)).toBe(0);
      }
    },
  );

  test("stores noise with hardly more than its own length", () => {
    expect(compress(noise(3, 2 ** 20)).length).toBeLessThan(2 ** 20 + 100);
  });

  test("makes repetition small", () => {
    expect(compress(new Uint8Array(2 ** 20)).length).toBeLessThan(2 ** 20 / 20);
  });

  test("gives bytes that no later call changes, and that do not depend on earlier ones", () => {
    const plain = noise(5, 3000);
    const first = compress(plain);
    compress(noise(6, 60_000));
    expect(decompress(first, MAX)).toEqual(plain);
    expect(compress(plain)).toEqual(first);
  });

  test("a ping's payload becomes what every devp2p node sends", () => {
    expect(compress(Uint8Array.of(0xc0))).toEqual(hex("0100c0"));
  });
});

describe("decompress", () => {
  test("understands snappyjs", () => {
    fc.assert(
      fc.property(bytes, (plain) => {
        const block = new Uint8Array(snappyjs.compress(plain));
        expect(Buffer.compare(decompress(block, MAX), plain)).toBe(0);
      }),
      { numRuns: 80 },
    );
  });

  // Composed by hand from Snappy's format_description.txt.
  test.each([
    ["nothing", "00", ""],
    ["a literal", "0308616263", "abc"],
    ["a literal whose length takes 1 byte", "03f002616263", "abc"],
    ["a literal whose length takes 2 bytes", "03f40200616263", "abc"],
    ["a literal whose length takes 3 bytes", "03f8020000616263", "abc"],
    ["a literal whose length takes 4 bytes", "03fc02000000616263", "abc"],
    ["a copy with an offset of 1 byte", "080c616263640104", "abcdabcd"],
    ["a copy with an offset of 2 bytes", "070c616263640a0400", "abcdabc"],
    ["a copy with an offset of 4 bytes", "070c616263640b04000000", "abcdabc"],
    ["a copy over itself, offset 1", "060061120100", "aaaaaa"],
    ["a length with a needless zero digit", "830008616263", "abc"],
  ])("reads %s", (_, block, plain) => {
    expect(Buffer.from(decompress(hex(block), 100)).toString()).toBe(plain);
  });

  test.each([
    ["an empty block", ""],
    ["a length that is cut off", "80"],
    ["a length of more than 32 bits", "ffffffff1f"],
    ["a length of six bytes", "808080808001"],
    ["no elements for a length of 1", "01"],
    ["a literal that is cut off", "03086162"],
    ["a literal whose length is cut off", "03f4"],
    ["a literal of 2^32 bytes", "03fcffffffff616263"],
    ["a literal longer than declared", "0208616263"],
    ["a copy whose offset is cut off, 1 byte", "05006105"],
    ["a copy whose offset is cut off, 2 bytes", "0500610e01"],
    ["a copy whose offset is cut off, 4 bytes", "0500610f010000"],
    ["a copy from offset 0", "0500610100"],
    ["a copy from before the start", "0500610102"],
    ["a copy from offset 2^32-1", "0500610fffffffff"],
    ["a copy longer than declared", "0400610101"],
    ["a copy before anything else", "040100"],
    ["fewer bytes than declared", "0408616263"],
    ["something after the last byte", "03086162630000"],
  ])("refuses %s", (_, block) => {
    expect(() => decompress(hex(block), 100)).toThrow(BAD);
  });

  test("refuses a length above the limit, and accepts the limit", () => {
    const block = compress(new Uint8Array(1000));
    expect(decompress(block, 1000)).toHaveLength(1000);
    expect(() => decompress(block, 999)).toThrow(refusal("ERR_RLPX_MESSAGE_SIZE"));
  });

  test("refuses a length that the block is too short for, before it takes memory", () => {
    // 4 GiB: an attempt to allocate them would show as another error.
    expect(() => decompress(hex("ffffffff0f00"), 2 ** 32)).toThrow(BAD);
    expect(() => decompress(hex("80808007000000"), MAX)).toThrow(BAD);
  });

  test("accepts the densest block there is", () => {
    const copies = 1000;
    // 64,001 bytes declared, one literal "a", then copies of 64 from offset 1.
    const block = [...hex("81f4030061")];
    for (let i = 0; i < copies; i++) block.push(0xfe, 0x01, 0x00);
    expect(decompress(Uint8Array.from(block), MAX)).toEqual(new Uint8Array(64_001).fill(0x61));
  });

  test("refuses every truncation", () => {
    const mixed = Uint8Array.from([...noise(9, 300), ...new Uint8Array(300), ...noise(9, 300)]);
    const block = compress(mixed);
    for (let end = 0; end < block.length; end++) {
      expect(() => decompress(block.subarray(0, end), MAX)).toThrow(BAD);
    }
  });

  test("survives flipped bits and random bytes, within the limit", () => {
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(bytes, fc.nat(), fc.nat({ max: 7 })).map(([plain, at, bit]) => {
        const block = compress(plain.subarray(0, 5000)).slice();
        block[at % block.length]! ^= 1 << bit;
        return block;
      }),
    );
    fc.assert(
      fc.property(hostile, fc.nat({ max: 10_000 }), (block, limit) => {
        try {
          expect(decompress(block, limit).length).toBeLessThanOrEqual(limit);
        } catch (error) {
          expect(error).toBeInstanceOf(RemoteProtocolError);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("its errors repeat nothing of what the peer sent", () => {
    const error = thrown(() => decompress(Buffer.from("\u0005\u0010secret"), 100));
    expect(error.message).not.toContain("secret");
  });
});

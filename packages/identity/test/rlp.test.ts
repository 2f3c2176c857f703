import * as fc from "fast-check";
import { encode as referenceEncode } from "rlp";
import { describe, expect, test } from "vitest";
import {
  checkRlp,
  decodeBigint,
  decodeRlp,
  decodeUint,
  encodeRlp,
  fromHex,
  RLP_MAX_DEPTH,
  RLP_MAX_ITEMS,
  rlpItemLength,
  toHex,
} from "../src/index.ts";
import type { RlpInput, RlpValue } from "../src/index.ts";
import vectors from "./vectors/rlp.json" with { type: "json" };

type Json = string | number | readonly Json[];

/** Strings that start with `#` stand for big integers in the published vectors. */
function input(value: Json): RlpInput {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return value.map(input);
  return value.startsWith("#") ? BigInt(value.slice(1)) : value;
}

/** What an input must come back as: byte strings, integers in minimal big-endian. */
function asDecoded(value: RlpInput): unknown {
  if (typeof value === "string") return new Uint8Array(Buffer.from(value, "utf8"));
  if (typeof value === "number" || typeof value === "bigint") {
    const hex = value.toString(16);
    return value > 0
      ? fromHex(hex.padStart(hex.length + (hex.length % 2), "0"))
      : new Uint8Array(0);
  }
  return Array.isArray(value) ? value.map(asDecoded) : value;
}

const code = (suffix: string) =>
  expect.objectContaining({ name: "RlpError", code: `ERR_RLP_${suffix}` });

const value: fc.Arbitrary<RlpValue> = fc.letrec<{ value: RlpValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: "medium" },
    fc.uint8Array({ maxLength: 80 }),
    fc.array(tie("value")),
  ),
})).value;

function nested(depth: number): Uint8Array {
  let list: Uint8Array = new Uint8Array(0);
  for (let i = 0; i < depth; i++) {
    const length = list.length;
    const header =
      length < 56
        ? [0xc0 + length]
        : length < 256
          ? [0xf8, length]
          : [0xf9, length >> 8, length & 255];
    list = Uint8Array.from([...header, ...list]);
  }
  return list;
}

function flatList(items: number): Uint8Array {
  const list = new Uint8Array(4 + items).fill(1);
  list.set([0xfa, items >> 16, (items >> 8) & 255, items & 255]);
  return list;
}

describe("published vectors", () => {
  test.each(Object.entries(vectors.valid))("%s is encoded and decoded", (_name, vector) => {
    const plain = input(vector.in);
    expect(toHex(encodeRlp(plain))).toBe(vector.out.toLowerCase());
    expect(decodeRlp(fromHex(vector.out))).toEqual(asDecoded(plain));
  });

  test.each(Object.entries(vectors.invalid))("%s is refused", (_name, vector) => {
    expect(() => decodeRlp(fromHex(vector.out))).toThrow(
      expect.objectContaining({ name: "RlpError" }),
    );
  });
});

describe("encoding", () => {
  test("takes text as UTF-8 even if it looks like hexadecimal", () => {
    expect(toHex(encodeRlp("0x12"))).toBe("8430783132");
    expect(toHex(encodeRlp("é"))).toBe("82c3a9");
    expect(toHex(encodeRlp("\ud800"))).toBe("83efbfbd");
    const long = "é".repeat(100_000);
    expect(Buffer.compare(encodeRlp(long), referenceEncode(Buffer.from(long)))).toBe(0);
  });

  test.each<[RlpInput, string]>([
    [true, "01"],
    [false, "80"],
    [0n, "80"],
    [Number.MAX_SAFE_INTEGER, "871fffffffffffff"],
    [2n ** 64n, "89010000000000000000"],
    [new Uint8Array(55), `b7${"00".repeat(55)}`],
    [new Uint8Array(56), `b838${"00".repeat(56)}`],
    [Array.from({ length: 56 }, () => 1), `f838${"01".repeat(56)}`],
  ])("encodes case %#", (plain, hex) => {
    expect(toHex(encodeRlp(plain))).toBe(hex);
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 53, Infinity, -1n])("refuses the number %s", (number) => {
    expect(() => encodeRlp([number])).toThrow(RangeError);
  });

  test.each([null, undefined, {}, Symbol("s"), () => 1, new Uint16Array(1)])(
    "refuses case %#, which RLP cannot express",
    (other: any) => {
      expect(() => encodeRlp([other])).toThrow(TypeError);
    },
  );

  test("refuses an array that contains itself", () => {
    const cyclic: RlpInput[] = [];
    cyclic.push(cyclic);
    expect(() => encodeRlp(cyclic)).toThrow(RangeError);
  });

  test("takes lists too long for one call's arguments", () => {
    const encoded = encodeRlp(Array.from({ length: 200_000 }, () => 1));
    expect(Buffer.compare(encoded, flatList(200_000))).toBe(0);
  });
});

describe("encoding as rlp does", () => {
  test("byte strings of any length", () => {
    for (const length of [...Array(71).keys(), 255, 256, 65_535, 65_536, 2 ** 24]) {
      for (const first of [0, 1, 0x7f, 0x80, 0xff]) {
        const bytes = new Uint8Array(length).fill(7).fill(first, 0, 1);
        expect(Buffer.compare(encodeRlp(bytes), referenceEncode(bytes))).toBe(0);
      }
    }
  });

  test("numbers as the equal bigints", () => {
    const edges = Array.from({ length: 53 }, (_, bit) => [2 ** bit - 1, 2 ** bit]).flat();
    for (const number of [...edges, Number.MAX_SAFE_INTEGER]) {
      expect(toHex(encodeRlp(number))).toBe(toHex(referenceEncode(BigInt(number))));
    }
    fc.assert(
      fc.property(fc.maxSafeNat(), (number) => {
        expect(toHex(encodeRlp([number]))).toBe(toHex(referenceEncode([BigInt(number)])));
      }),
    );
  });

  test("any value, however it is nested", () => {
    fc.assert(
      fc.property(value, (plain) => {
        expect(encodeRlp(plain)).toEqual(referenceEncode(plain as Uint8Array));
      }),
    );
  });

  test("into bytes that are not the input's", () => {
    const byte = Buffer.from([5]);
    const encoded = encodeRlp(byte);
    byte[0] = 6;
    expect(encoded).toEqual(Uint8Array.of(5));
  });
});

describe("decoding", () => {
  test("returns what was encoded", () => {
    fc.assert(
      fc.property(value, (plain) => {
        expect(decodeRlp(encodeRlp(plain))).toEqual(plain);
      }),
    );
  });

  test("accepts only what encodes to the same bytes, and refuses the rest with RlpError alone", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.tuple(value, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([plain, at, flip]) => {
        const encoded = encodeRlp(plain).slice();
        const index = at % encoded.length;
        encoded[index] = (encoded[index] ?? 0) ^ flip;
        return encoded;
      }),
    );
    fc.assert(
      fc.property(bytes, (input) => {
        let decoded: RlpValue;
        try {
          decoded = decodeRlp(input);
        } catch (error) {
          expect(error).toMatchObject({ name: "RlpError" });
          return;
        }
        expect(encodeRlp(decoded)).toEqual(input);
      }),
      { numRuns: 2000 },
    );
  });

  test("refuses every truncation and every extension", () => {
    const encoded = encodeRlp(["dog", [new Uint8Array(60), [1]], []]);
    for (let length = 0; length < encoded.length; length++) {
      expect(() => decodeRlp(encoded.subarray(0, length))).toThrow(code("TRUNCATED"));
    }
    expect(() => decodeRlp(Uint8Array.of(...encoded, 0x80))).toThrow(code("TRAILING"));
  });

  test.each([
    ["", "TRUNCATED"],
    ["82aa", "TRUNCATED"],
    ["b9", "TRUNCATED"],
    ["8080", "TRAILING"],
    ["c080", "TRAILING"],
    ["c281aa", ""],
    ["c282aabb", "OVERRUN"],
    ["c1c180", "OVERRUN"],
    ["8100", "NOT_CANONICAL"],
    ["c2817f", "NOT_CANONICAL"],
    ["b800", "NOT_CANONICAL"],
    ["b90040", "NOT_CANONICAL"],
    [`b837${"aa".repeat(55)}`, "NOT_CANONICAL"],
    [`f837${"01".repeat(55)}`, "NOT_CANONICAL"],
    ["bfffffffffffffffff", "TRUNCATED"],
    ["c9bfffffffffffffffff", "OVERRUN"],
  ])("reads %s with outcome %s", (hex, suffix) => {
    if (suffix === "") expect(() => checkRlp(fromHex(hex))).not.toThrow();
    else expect(() => checkRlp(fromHex(hex))).toThrow(code(suffix));
  });

  test("bounds the depth", () => {
    expect(() => decodeRlp(nested(RLP_MAX_DEPTH))).not.toThrow();
    expect(() => decodeRlp(nested(RLP_MAX_DEPTH + 1))).toThrow(code("TOO_DEEP"));
    expect(() => decodeRlp(nested(2_000))).toThrow(code("TOO_DEEP"));
    expect(() => checkRlp(Uint8Array.of(0x80), { maxDepth: 0 })).not.toThrow();
    expect(() => checkRlp(Uint8Array.of(0xc0), { maxDepth: 0 })).toThrow(code("TOO_DEEP"));
  });

  test("bounds the number of items, the list among them", () => {
    expect(() => checkRlp(flatList(RLP_MAX_ITEMS - 1))).not.toThrow();
    expect(() => checkRlp(flatList(RLP_MAX_ITEMS))).toThrow(code("TOO_MANY_ITEMS"));
    expect(() => checkRlp(Uint8Array.of(0xc2, 1, 2), { maxItems: 3 })).not.toThrow();
    expect(() => checkRlp(Uint8Array.of(0xc2, 1, 2), { maxItems: 2 })).toThrow(
      code("TOO_MANY_ITEMS"),
    );
  });

  test("returns copies as plain Uint8Arrays, from a Buffer too", () => {
    const buffer = Buffer.from("c483646f67", "hex");
    const [dog] = decodeRlp(buffer);
    buffer.fill(0);
    expect(Object.getPrototypeOf(dog)).toBe(Uint8Array.prototype);
    expect(dog).toEqual(fromHex("646f67"));
  });
});

describe("item length", () => {
  test("tells where the first item ends, whatever follows", () => {
    fc.assert(
      fc.property(value, fc.uint8Array(), (plain, rest) => {
        const encoded = encodeRlp(plain);
        expect(rlpItemLength(Uint8Array.of(...encoded, ...rest))).toBe(encoded.length);
      }),
    );
  });

  test("refuses an item that is longer than the input", () => {
    expect(() => rlpItemLength(new Uint8Array(0))).toThrow(code("TRUNCATED"));
    expect(() => rlpItemLength(Uint8Array.of(0xc2, 1))).toThrow(code("TRUNCATED"));
  });
});

describe("integers", () => {
  test("reads back what was encoded", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.bigInt({ min: 0n }), (number, big) => {
        expect(decodeUint(decodeRlp(encodeRlp(number)), "n")).toBe(number);
        expect(decodeBigint(decodeRlp(encodeRlp(big)), "n")).toBe(big);
      }),
    );
  });

  test.each(["20000000000000", "ffffffffffffff", "ffffffffffffffff", "ff".repeat(40)])(
    "refuses %s as a safe integer",
    (hex) => {
      expect(() => decodeUint(fromHex(hex), "size")).toThrow(code("BAD_UINT"));
      expect(decodeBigint(fromHex(hex), "size")).toBe(BigInt(`0x${hex}`));
    },
  );

  test.each<[string, RlpValue]>([
    ["a list", []],
    ["a zero byte", Uint8Array.of(0)],
    ["a leading zero byte", Uint8Array.of(0, 1)],
  ])("refuses %s and names the value", (_name, bytes) => {
    for (const decode of [decodeUint, decodeBigint]) {
      expect(() => decode(bytes, "network id")).toThrow(code("BAD_UINT"));
      expect(() => decode(bytes, "network id")).toThrow(/^network id /);
    }
  });
});

import { encodeRlp, fromHex, RlpError, toHex } from "@heddle/identity";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  bytes,
  bytes32,
  describeShape,
  item,
  list,
  MAX_ITEMS,
  optional,
  RlpWriter,
  struct,
  text,
  tuple,
  uint,
  union,
} from "../../src/index.ts";
import type { Schema } from "../../src/index.ts";
import { misuse, refusal } from "./helpers.ts";

const Header = struct({ number: uint, hash: bytes32 });
const Blob = struct({ at: uint, headers: list(Header) });

describe("list", () => {
  test("encodes as the RLP codec does, and reads it back", () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeNat(), { maxLength: 50 }), (values) => {
        const schema = list(uint);
        expect(schema.encode(values)).toEqual(encodeRlp(values));
        expect(schema.decode(encodeRlp(values))).toEqual(values);
      }),
    );
  });

  test("holds its bound on both sides", () => {
    const three = list(uint, { max: 3 });
    expect(three.decode(fromHex("c3010203"))).toEqual([1, 2, 3]);
    expect(refusal(three, "c401020304")).toMatchObject({
      code: "ERR_SCHEMA_SIZE",
      message: "more than 3 elements",
    });
    expect(misuse(three, [1, 2, 3, 4]).message).toBe("4 elements, expected at most 3");
    expect(refusal(list(uint, { max: 0 }), "c101").code).toBe("ERR_SCHEMA_SIZE");
  });

  test.each([-1, 1.5, MAX_ITEMS + 1])("max %d is refused at definition", (max) => {
    expect(() => list(uint, { max })).toThrow(RangeError);
  });

  test("takes as many items as a message may have, and not one more", () => {
    const words = (count: number): Uint8Array => encodeRlp(Array.from({ length: count }, () => 1));
    expect(list(uint).decode(words(MAX_ITEMS - 1))).toHaveLength(MAX_ITEMS - 1);
    expect(refusal(list(uint), words(MAX_ITEMS))).toMatchObject({
      code: "ERR_RLP_TOO_MANY_ITEMS",
      message: `[${MAX_ITEMS - 1}]: more than ${MAX_ITEMS} items`,
    });
  });

  test("counts the items of nested lists together", () => {
    const inner = Array.from({ length: 999 }, () => 1);
    const nested = list(list(uint));
    const payload = encodeRlp(Array.from({ length: MAX_ITEMS / 1000 }, () => inner));
    expect(refusal(nested, payload).code).toBe("ERR_RLP_TOO_MANY_ITEMS");
  });

  test("counts items that are skipped: a tail cannot cost more than a message", () => {
    const payload = encodeRlp(Array.from({ length: MAX_ITEMS }, () => 1));
    expect(refusal(tuple(uint), payload).code).toBe("ERR_RLP_TOO_MANY_ITEMS");
  });

  test("refuses a byte string", () => {
    expect(refusal(list(uint), "80").message).toBe("a byte string, expected a list");
  });

  test.each([null, undefined, "ab", { length: 0 }])("does not encode %s", (value) => {
    expect(misuse(list(uint), value).message).toBe("expected an array");
  });
});

describe("struct and tuple", () => {
  test("are positional: names stay here", () => {
    const value = { word: "foo", at: 7 };
    const schema = struct({ word: text, at: uint });
    expect(schema.encode(value)).toEqual(encodeRlp(["foo", 7]));
    expect(schema.decode(encodeRlp(["foo", 7]))).toEqual(value);
    expect(tuple(text, uint).encode(["foo", 7])).toEqual(encodeRlp(["foo", 7]));
    expect(tuple(text, uint).decode(encodeRlp(["foo", 7]))).toEqual(["foo", 7]);
  });

  test("an empty one is an empty list", () => {
    expect(toHex(struct({}).encode({}))).toBe("c0");
    expect(struct({}).decode(fromHex("c0"))).toEqual({});
    expect(tuple().decode(fromHex("c0"))).toEqual([]);
  });

  test("ignore elements that a newer peer added (EIP-8)", () => {
    const more = encodeRlp(["foo", 7, ["new", [1]], "things"]);
    expect(struct({ word: text, at: uint }).decode(more)).toEqual({ word: "foo", at: 7 });
    expect(tuple(text).decode(more)).toEqual(["foo"]);
  });

  test("an ignored element must still end where its list does", () => {
    expect(refusal(tuple(uint), "c20183").code).toBe("ERR_RLP_TRUNCATED");
    expect(refusal(tuple(tuple(uint), uint), "c4c2018301").code).toBe("ERR_RLP_OVERRUN");
    expect(refusal(tuple(uint), "c301f8").code).toBe("ERR_RLP_TRUNCATED");
  });

  test("refuse a missing element, by its name", () => {
    expect(refusal(struct({ word: text, at: uint }), "c483666f6f")).toMatchObject({
      code: "ERR_SCHEMA_MISSING",
      message: "at: missing",
    });
    expect(refusal(tuple(text, uint), "c0").message).toBe("[0]: missing");
  });

  test("optional elements may be missing at the end", () => {
    const schema = struct({ a: uint, b: optional(uint), c: optional(text) });
    expect(schema.decode(encodeRlp([1]))).toEqual({ a: 1 });
    expect(schema.decode(encodeRlp([1, 2]))).toEqual({ a: 1, b: 2 });
    expect(schema.decode(encodeRlp([1, 2, "x", 4]))).toEqual({ a: 1, b: 2, c: "x" });
    expect(schema.encode({ a: 1 })).toEqual(encodeRlp([1]));
    expect(schema.encode({ a: 1, b: undefined })).toEqual(encodeRlp([1]));
    expect(schema.encode({ a: 1, b: 2, c: "x" })).toEqual(encodeRlp([1, 2, "x"]));
    const pair = tuple(uint, optional(text));
    expect(pair.decode(encodeRlp([1]))).toEqual([1]);
    expect(pair.encode([1])).toEqual(encodeRlp([1]));
    expect(pair.encode([1, undefined])).toEqual(encodeRlp([1]));
    expect(pair.encode([1, "x"])).toEqual(encodeRlp([1, "x"]));
  });

  test("a gap between optional elements cannot be written", () => {
    const schema = struct({ a: optional(uint), b: optional(uint) });
    expect(misuse(schema, { b: 2 }).message).toContain("a: expected an integer");
  });

  test("an element that must be there cannot follow an optional one", () => {
    expect(() => struct({ a: optional(uint), b: uint })).toThrow(
      new TypeError("b must be optional, because the element before it is"),
    );
    expect(() => tuple(uint, optional(uint), uint)).toThrow(TypeError);
  });

  test.each(["0", "17", "__proto__"])("a field cannot be named %s", (name) => {
    expect(() => struct(Object.fromEntries([[name, uint]]))).toThrow(TypeError);
  });

  test.each([null, undefined, 1, "x"])("do not encode %s", (value) => {
    expect(misuse(struct({ a: uint }), value).message).toBe("expected an object");
    expect(misuse(tuple(uint), value).message).toBe("expected an array");
  });

  test("a tuple with too many elements is not encoded", () => {
    expect(misuse(tuple(uint), [1, 2]).message).toBe("2 elements, expected at most 1");
  });

  test("reading a field of a hostile name sets nothing but that field", () => {
    const value = struct({ constructor: uint, toString: uint }).decode(encodeRlp([1, 2]));
    expect(Object.entries(value)).toEqual([
      ["constructor", 1],
      ["toString", 2],
    ]);
  });
});

describe("paths", () => {
  const head = new Uint8Array(32);

  test("say where a message is wrong", () => {
    const good = [1, head];
    const payload = encodeRlp([5, [good, good, good, [Uint8Array.of(0, 1), head]]]);
    const error = refusal(Blob, payload);
    expect(error.message).toBe("headers[3].number: leading zero");
    expect(error.path).toBe("headers[3].number");
    expect(error.problem).toBe("leading zero");
    expect(error).toBeInstanceOf(RlpError);
    expect(error.name).toBe("SchemaError");
  });

  test("say where a value is wrong", () => {
    const headers = [
      { number: 1, hash: head },
      { number: -1, hash: head },
    ];
    const error = misuse(Blob, { at: 0, headers });
    expect(error.message).toMatch(/^headers\[1\]\.number: expected an integer/);
    expect(error).toBeInstanceOf(TypeError);
  });

  test("go through tuples in lists", () => {
    const schema = list(tuple(uint, list(text)));
    expect(refusal(schema, encodeRlp([[1, ["a", Uint8Array.of(0xff)]]])).path).toBe("[0][1][1]");
  });
});

describe("bounds of a schema", () => {
  test("schemas of more than 32 nested lists are refused at definition", () => {
    let schema: Schema<unknown> = uint;
    for (let depth = 1; depth <= 32; depth++) schema = list(schema);
    expect(() => list(schema)).toThrow(RangeError);
    expect(() => tuple(schema)).toThrow(RangeError);
    expect(() => union({ a: [0, schema] })).toThrow(RangeError);
  });

  test("a payload nested deeper than its schema costs nothing: it is skipped or refused", () => {
    const writer = new RlpWriter();
    for (let depth = 0; depth < 100_000; depth++) writer.list(0);
    writer.uint(7);
    writer.list(0);
    const deep = writer.take();
    expect(tuple(uint).decode(deep)).toEqual([7]);
    expect(refusal(tuple(uint, uint), deep)).toMatchObject({
      code: "ERR_SCHEMA_KIND",
      path: "[1]",
    });
    expect(refusal(tuple(uint, item), deep)).toMatchObject({
      path: "[1]",
      cause: { code: "ERR_RLP_TOO_DEEP" },
    });
  });

  test("shapes say in one line what is read", () => {
    const schema = struct({
      a: uint,
      b: uint({ max: 9 }),
      c: list(tuple(text({ max: 5 }), optional(bytes))),
      d: union({ x: [0, bytes32], y: [1, bytes({ min: 2, max: 4 })] }),
      e: optional(bytes({ min: 1 })),
    });
    expect(describeShape(schema.shape)).toBe(
      "[a: uint, b: uint<=9, c: list([text<=5, bytes?]), " +
        "d: [0, x: bytes32] | [1, y: bytes2..4], e?: bytes>=1]",
    );
  });
});

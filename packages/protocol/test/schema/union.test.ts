import { encodeRlp, fromHex, toHex } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import { mapped, SchemaError, struct, text, tuple, uint, union } from "../../src/index.ts";
import { misuse, refusal } from "./helpers.ts";

const Figure = union({ circle: [0, uint], square: [7, struct({ side: uint })] });

describe("union", () => {
  test("is a code and what belongs to it", () => {
    expect(toHex(Figure.encode({ kind: "circle", value: 3 }))).toBe("c28003");
    expect(toHex(Figure.encode({ kind: "square", value: { side: 4 } }))).toBe("c307c104");
    expect(Figure.decode(fromHex("c28003"))).toEqual({ kind: "circle", value: 3 });
    expect(Figure.decode(fromHex("c307c104"))).toEqual({ kind: "square", value: { side: 4 } });
  });

  test("ignores elements behind the value", () => {
    expect(Figure.decode(fromHex("c4800309c0"))).toEqual({ kind: "circle", value: 3 });
  });

  test.each([
    ["an unknown code", "c20103", "ERR_SCHEMA_REFUSED", "no variant has code 1"],
    ["a missing value", "c180", "ERR_SCHEMA_MISSING", "circle: missing"],
    ["a missing code", "c0", "ERR_RLP_TRUNCATED", "rlp needs"],
    ["a byte string", "80", "ERR_SCHEMA_KIND", "expected a list"],
    ["a bad value", "c407c38200", "ERR_RLP_TRUNCATED", ""],
    ["a bad field", "c507c3820001", "ERR_RLP_BAD_UINT", "square.side"],
  ])("refuses %s", (_name, hex, code, problem) => {
    const error = refusal(Figure, hex);
    expect(error.code).toBe(code);
    expect(error.message).toContain(problem);
  });

  test.each([null, 3, { kind: "triangle", value: 1 }, { kind: "circle", value: -1 }, {}])(
    "does not encode %o",
    (value) => {
      expect(misuse(Figure, value).code).toBe("ERR_SCHEMA_VALUE");
    },
  );

  test("a code stands for one variant only", () => {
    expect(() => union({ a: [1, uint], b: [1, text] })).toThrow(TypeError);
    expect(() => union({ a: [-1, uint] })).toThrow(RangeError);
  });
});

describe("mapped", () => {
  const Even = mapped(uint, {
    decode(value) {
      if (value % 2 === 1) throw new RangeError(`odd\u{1b} ${value}`);
      return { half: value / 2 };
    },
    encode: ({ half }) => half * 2,
  });

  test("reads one type as another", () => {
    expect(Even.decode(encodeRlp(8))).toEqual({ half: 4 });
    expect(Even.encode({ half: 4 })).toEqual(encodeRlp(8));
  });

  test("what its reading throws is the sender's fault, with a path and the cause", () => {
    const error = refusal(tuple(uint, Even), encodeRlp([1, 3]));
    expect(error).toMatchObject({ code: "ERR_SCHEMA_REFUSED", path: "[1]" });
    expect(error.message).toBe("[1]: odd\\u{1b} 3");
    expect(error.cause).toBeInstanceOf(RangeError);
  });

  test("a schema's own refusal inside a mapping stays what it is", () => {
    const outer = mapped(uint, {
      decode: () => text.decode(fromHex("c0")),
      encode: () => 0,
    });
    expect(refusal(outer, "01")).toMatchObject({ code: "ERR_SCHEMA_KIND" });
    expect(refusal(outer, "01")).toBeInstanceOf(SchemaError);
  });

  test("what its writing throws is the caller's", () => {
    expect(misuse(tuple(Even), [{ half: 0.25 }]).path).toBe("[0]");
  });

  test("may encode another message while it encodes its own", () => {
    const nested = mapped(text, {
      decode: (value) => value,
      encode: (value: string) => toHex(tuple(text, uint).encode([value, 5])),
    });
    expect(tuple(text, nested, text).encode(["x", "y", "z"])).toEqual(
      encodeRlp(["x", "c27905", "z"]),
    );
  });
});

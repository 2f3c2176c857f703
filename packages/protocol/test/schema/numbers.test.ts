import { encodeRlp, fromHex, toHex } from "@heddle/identity";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { bigint, bool, uint } from "../../src/index.ts";
import { misuse, refusal } from "./helpers.ts";

describe("uint", () => {
  test.each([
    [0, "80"],
    [1, "01"],
    [0x7f, "7f"],
    [0x80, "8180"],
    [1024, "820400"],
    [0xffffffff, "84ffffffff"],
    [0x100000000, "850100000000"],
    [Number.MAX_SAFE_INTEGER, "871fffffffffffff"],
  ])("%d is %s on the wire", (value, hex) => {
    expect(toHex(uint.encode(value))).toBe(hex);
    expect(uint.decode(fromHex(hex))).toBe(value);
  });

  test("encodes every safe integer as the RLP codec does, and reads it back", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        expect(uint.encode(value)).toEqual(encodeRlp(value));
        expect(uint.decode(encodeRlp(value))).toBe(value);
      }),
    );
  });

  test.each([
    ["a zero byte", "00", "ERR_RLP_BAD_UINT", "leading zero"],
    ["a leading zero byte", "820001", "ERR_RLP_BAD_UINT", "leading zero"],
    ["2^53", "8720000000000000", "ERR_SCHEMA_RANGE", "an integer over 2^53-1"],
    ["8 bytes", "880100000000000000", "ERR_SCHEMA_RANGE", "an integer over 2^53-1"],
    ["a list", "c101", "ERR_SCHEMA_KIND", "a list, expected a byte string"],
    ["nothing", "", "ERR_RLP_TRUNCATED", "rlp needs 1 bytes, got 0"],
    ["a byte with a header of its own", "8101", "ERR_RLP_NOT_CANONICAL", "a byte below 0x80"],
    ["two integers", "0102", "ERR_RLP_TRAILING", "1 bytes after the rlp item"],
    ["too few bytes", "8201", "ERR_RLP_TRUNCATED", "rlp needs 3 bytes, got 2"],
  ])("refuses %s", (_name, hex, code, problem) => {
    const error = refusal(uint, hex);
    expect(error.code).toBe(code);
    expect(error.message).toContain(problem);
    expect(error.path).toBe("");
  });

  test("holds a bound of its own on both sides", () => {
    const small = uint({ max: 255 });
    expect(small.decode(fromHex("81ff"))).toBe(255);
    expect(refusal(small, "820100")).toMatchObject({ code: "ERR_SCHEMA_RANGE" });
    expect(misuse(small, 256).message).toBe("expected an integer from 0 to 255, got 256");
    expect(small.encode(0)).toEqual(fromHex("80"));
  });

  test.each([-1, 1.5, Number.NaN, Infinity, 2 ** 53, "1", 1n, null, undefined])(
    "does not encode %s",
    (value) => {
      expect(misuse(uint, value).code).toBe("ERR_SCHEMA_VALUE");
    },
  );

  test("encodes minus zero as zero", () => {
    expect(uint.encode(-0)).toEqual(fromHex("80"));
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 53])("max %d is refused at definition", (max) => {
    expect(() => uint({ max })).toThrow(RangeError);
  });
});

describe("bigint", () => {
  test("encodes every value up to 2^256-1 as the RLP codec does, and reads it back", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), (value) => {
        expect(bigint.encode(value)).toEqual(encodeRlp(value));
        expect(bigint.decode(encodeRlp(value))).toBe(value);
      }),
    );
  });

  test.each([0n, 1n, 0x7fn, 0x80n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 64n - 1n, 2n ** 256n - 1n])(
    "%d survives the wire",
    (value) => {
      expect(bigint.decode(bigint.encode(value))).toBe(value);
      expect(bigint.encode(value)).toEqual(encodeRlp(value));
    },
  );

  test.each([
    ["2^256", `a101${"00".repeat(32)}`, "ERR_SCHEMA_RANGE"],
    ["a leading zero byte", "820001", "ERR_RLP_BAD_UINT"],
    ["a zero byte", "00", "ERR_RLP_BAD_UINT"],
    ["a list", "c0", "ERR_SCHEMA_KIND"],
  ])("refuses %s", (_name, hex, code) => {
    expect(refusal(bigint, hex).code).toBe(code);
  });

  test("holds a bound of its own to the unit", () => {
    const u64 = bigint({ max: 2n ** 64n - 2n });
    expect(u64.decode(fromHex("88fffffffffffffffe"))).toBe(2n ** 64n - 2n);
    expect(refusal(u64, "88ffffffffffffffff").code).toBe("ERR_SCHEMA_RANGE");
    expect(misuse(u64, 2n ** 64n - 1n).code).toBe("ERR_SCHEMA_VALUE");
    expect(() => bigint({ max: -1n })).toThrow(RangeError);
  });

  test.each([-1n, 1, "1", null])("does not encode %s", (value) => {
    expect(misuse(bigint, value).code).toBe("ERR_SCHEMA_VALUE");
  });
});

describe("bool", () => {
  test("is 0x01 and 0x80 on the wire", () => {
    expect(toHex(bool.encode(true))).toBe("01");
    expect(toHex(bool.encode(false))).toBe("80");
    expect(bool.decode(fromHex("01"))).toBe(true);
    expect(bool.decode(fromHex("80"))).toBe(false);
  });

  test.each([
    ["02", "ERR_SCHEMA_REFUSED"],
    ["00", "ERR_RLP_BAD_UINT"],
    ["c0", "ERR_SCHEMA_KIND"],
  ])("refuses %s", (hex, code) => {
    expect(refusal(bool, hex).code).toBe(code);
  });

  test.each([0, 1, "true", undefined])("does not encode %s", (value) => {
    expect(misuse(bool, value).message).toBe("expected a boolean");
  });
});

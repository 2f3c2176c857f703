import { encodeRlp, fromHex, toHex } from "@heddle/identity";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { bytes, bytes32, fixedBytes, item, text } from "../../src/index.ts";
import { misuse, refusal } from "./helpers.ts";

const wellFormed = fc
  .string({ unit: "binary", maxLength: 200 })
  .filter((value) => !/\p{Surrogate}/u.test(value));

describe("text", () => {
  test("encodes every well-formed string as the RLP codec does, and reads it back", () => {
    fc.assert(
      fc.property(wellFormed, (value) => {
        expect(text.encode(value)).toEqual(encodeRlp(value));
        expect(text.decode(encodeRlp(value))).toBe(value);
      }),
    );
  });

  test.each([0, 1, 24, 25, 55, 56, 64, 65, 255, 256, 65_536, 100_000])(
    "a text of %d characters survives the wire",
    (length) => {
      for (const character of ["a", "ä", "€", "😀"]) {
        const value = character.repeat(length);
        expect(text.encode(value)).toEqual(encodeRlp(value));
        expect(text.decode(text.encode(value))).toBe(value);
      }
    },
  );

  test("keeps a byte order mark and a zero: what was sent is what is read", () => {
    expect(text.decode(text.encode("\u{feff}a\0"))).toBe("\u{feff}a\0");
  });

  test.each([
    ["a stray continuation byte", "8180"],
    ["an overlong slash", "82c0af"],
    ["half of a surrogate pair", "83eda080"],
    ["a sequence cut short", "82e282"],
    ["a value over U+10FFFF", "84f4908080"],
    ["a bad byte behind much ASCII", `b0${"61".repeat(47)}ff`],
  ])("refuses %s", (_name, hex) => {
    const error = refusal(text, hex);
    expect(error).toMatchObject({ code: "ERR_SCHEMA_TEXT", message: "not UTF-8" });
    expect(error.cause).toBeInstanceOf(Error);
  });

  test("refuses a list", () => {
    expect(refusal(text, "c0").code).toBe("ERR_SCHEMA_KIND");
  });

  test.each([
    ["a lone surrogate", "\u{d800}"],
    ["a lone surrogate in a long text", `${"a".repeat(100)}\u{dc00}`],
  ])("does not encode %s", (_name, value) => {
    expect(misuse(text, value).message).toBe("a lone surrogate in a text");
  });

  test.each([1, null, undefined, fromHex("61")])("does not encode %s", (value) => {
    expect(misuse(text, value).message).toBe("expected a text");
  });

  test("counts its bounds in bytes of UTF-8, on both sides", () => {
    const short = text({ min: 1, max: 4 });
    expect(short.decode(fromHex("8461626364"))).toBe("abcd");
    expect(short.encode("€")).toEqual(fromHex("83e282ac"));
    expect(refusal(short, "80")).toMatchObject({
      code: "ERR_SCHEMA_SIZE",
      message: "0 bytes, expected 1 to 4",
    });
    expect(refusal(short, "856162636465").message).toBe("5 bytes, expected 1 to 4");
    expect(misuse(short, "€€").message).toBe("6 bytes, expected 1 to 4");
    expect(misuse(short, "").code).toBe("ERR_SCHEMA_VALUE");
  });
});

describe("bytes", () => {
  test("encodes every byte string as the RLP codec does, and reads it back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (value) => {
        expect(bytes.encode(value)).toEqual(encodeRlp(value));
        expect(bytes.decode(encodeRlp(value))).toEqual(value);
      }),
    );
  });

  test("is a view into the message, and a copy where that is asked for", () => {
    const payload = fromHex("83010203");
    const view = bytes.decode(payload);
    const copy = bytes({ copy: true }).decode(payload);
    expect(view.buffer).toBe(payload.buffer);
    payload[1] = 9;
    expect([...view]).toEqual([9, 2, 3]);
    expect([...copy]).toEqual([1, 2, 3]);
  });

  test("never shows a Buffer, whatever it was given", () => {
    const value = bytes.decode(Buffer.from("83010203", "hex"));
    expect(value.constructor).toBe(Uint8Array);
    expect([...value]).toEqual([1, 2, 3]);
    const copy = fixedBytes(3).decode(Buffer.from("83010203", "hex"));
    expect(copy.constructor).toBe(Uint8Array);
  });

  test("does not keep what it encoded: the result is the caller's", () => {
    const value = fromHex("010203");
    const encoded = bytes.encode(value);
    value.fill(0);
    bytes.encode(fromHex("ffffffff"));
    expect(toHex(encoded)).toBe("83010203");
  });

  test("encodes megabytes with little memory to spare", () => {
    const value = new Uint8Array(1_000_000).fill(7);
    const encoded = bytes.encode(value);
    expect(encoded).toEqual(encodeRlp(value));
    expect(encoded.buffer.byteLength).toBeLessThan(value.length + 64 * 1024);
  });

  test("holds its bounds on both sides", () => {
    const some = bytes({ min: 2, max: 3 });
    expect([...some.decode(fromHex("820102"))]).toEqual([1, 2]);
    expect(refusal(some, "01").message).toBe("1 bytes, expected 2 to 3");
    expect(refusal(some, "8401020304").code).toBe("ERR_SCHEMA_SIZE");
    expect(misuse(some, fromHex("01")).message).toBe("1 bytes, expected 2 to 3");
  });

  test.each(["0x00", [1], null, undefined, new Uint16Array(1)])("does not encode %s", (value) => {
    expect(misuse(bytes, value).message).toBe("expected a Uint8Array");
  });

  test.each([{ min: -1 }, { max: 1.5 }, { max: Number.NaN }, { min: 2, max: 1 }])(
    "bounds %o are refused at definition",
    (bounds) => {
      expect(() => bytes(bounds)).toThrow(RangeError);
      expect(() => text(bounds)).toThrow(RangeError);
    },
  );
});

describe("fixed sizes", () => {
  test("bytes32 takes 32 bytes and nothing else", () => {
    expect(bytes32.decode(fromHex(`a0${"ab".repeat(32)}`))).toEqual(fromHex("ab".repeat(32)));
    expect(refusal(bytes32, `9f${"ab".repeat(31)}`).message).toBe("31 bytes, expected 32");
    expect(refusal(bytes32, `a1${"ab".repeat(33)}`).message).toBe("33 bytes, expected 32");
    expect(misuse(bytes32, new Uint8Array(33)).message).toBe("33 bytes, expected 32");
  });

  test("a hash that is kept does not keep its message", () => {
    const payload = fromHex(`a0${"ab".repeat(32)}`);
    expect(bytes32.decode(payload).buffer).not.toBe(payload.buffer);
    const large = encodeRlp(new Uint8Array(65));
    expect(fixedBytes(65).decode(large).buffer).toBe(large.buffer);
  });
});

describe("item", () => {
  test.each(["80", "01", "c0", "c4830a0b0c", "c2c1c0"])("%s is taken as it stands", (hex) => {
    expect(toHex(item.decode(fromHex(hex)))).toBe(hex);
    expect(toHex(item.encode(fromHex(hex)))).toBe(hex);
  });

  test("is checked to its last byte", () => {
    expect(refusal(item, "c28101")).toMatchObject({ code: "ERR_SCHEMA_REFUSED" });
    expect(refusal(item, "c0c0").code).toBe("ERR_RLP_TRAILING");
  });

  test("does not encode what is no item", () => {
    expect(misuse(item, fromHex("8101")).code).toBe("ERR_SCHEMA_VALUE");
    expect(misuse(item, "c0").code).toBe("ERR_SCHEMA_VALUE");
  });
});

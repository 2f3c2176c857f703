import * as fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { bytesEqual, concatBytes, escapeText, fromHex, toHex } from "../src/index.ts";

test("hexadecimal reads back what was written", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(fromHex(toHex(bytes))).toEqual(bytes);
      expect(toHex(bytes)).toBe(Buffer.from(bytes).toString("hex"));
    }),
  );
});

test.each(["0", "0x00", "0g", " 00", "00\n", "é0"])("refuses %j as hexadecimal", (text) => {
  expect(() => fromHex(text)).toThrow(TypeError);
});

test("does not repeat text that is not hexadecimal, which may be a key", () => {
  expect(() => fromHex("my secret")).toThrow(/^(?!.*secret)/);
});

test("compares bytes by content and length", () => {
  expect(bytesEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  expect(bytesEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
  expect(bytesEqual(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
  expect(bytesEqual(new Uint8Array(0), new Uint8Array(0))).toBe(true);
});

test("joins bytes into new ones", () => {
  expect(concatBytes()).toEqual(new Uint8Array(0));
  expect(concatBytes(Uint8Array.of(1), Uint8Array.of(2, 3))).toEqual(Uint8Array.of(1, 2, 3));
});

test.each([
  ["plain text", "Geth/v1.2 (linux) é 日本 🙂", "Geth/v1.2 (linux) é 日本 🙂"],
  ["a terminal escape", "\u001b[2Jx", "\\u{1b}[2Jx"],
  ["a C1 control", "\u009b31m", "\\u{9b}31m"],
  ["line ends", "a\r\nb\u2028", "a\\u{d}\\u{a}b\\u{2028}"],
  ["a bidirectional override", "a\u202Eb\u2066", "a\\u{202e}b\\u{2066}"],
  ["a zero-width space", "a\u200Bb", "a\\u{200b}b"],
  ["a lone surrogate", "a\ud800b", "a\\u{d800}b"],
  ["the backslash", "\\u{1b}", "\\u{5c}u{1b}"],
])("escapes %s", (_name, text, safe) => {
  expect(escapeText(text)).toBe(safe);
});

test("cuts long text and never inside an escape", () => {
  expect(escapeText("x".repeat(80))).toBe("x".repeat(80));
  expect(escapeText("x".repeat(81))).toBe(`${"x".repeat(80)}…`);
  expect(escapeText("ab\u0000", 5)).toBe("ab…");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.nat(50), (text, maxLength) => {
      const safe = escapeText(text, maxLength);
      expect(safe.length).toBeLessThanOrEqual(maxLength + 1);
      expect(safe).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
    }),
  );
});

afterEach(() => {
  vi.unstubAllGlobals();
});

test.each([0, 1, 255, 300_000])("writes %i bytes as hexadecimal, also without Buffer", (length) => {
  const bytes = Uint8Array.from({ length: length + 5 }, (_, at) => at * 37).subarray(5);
  const expected = Buffer.from(bytes).toString("hex");
  expect(toHex(bytes)).toBe(expected);
  vi.stubGlobal("Buffer", undefined);
  expect(toHex(bytes)).toBe(expected);
});

test("reads every character that is a hexadecimal digit, and no other", () => {
  for (let code = 0; code < 0x200; code++) {
    const text = String.fromCharCode(code);
    const value = /^[0-9a-fA-F]$/.test(text) ? Number.parseInt(text, 16) : undefined;
    if (value === undefined) {
      expect(() => fromHex(`0${text}`)).toThrow(TypeError);
      expect(() => fromHex(`${text}0`)).toThrow(TypeError);
    } else {
      expect(fromHex(`0${text}${text}0`)).toEqual(Uint8Array.of(value, value * 16));
    }
  }
});

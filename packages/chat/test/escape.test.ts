import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { escapeMessage } from "../src/index.ts";

/** What no terminal may ever be sent because of a stranger. */
const DANGEROUS = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/u;

/** Text with more trouble in it than chance would put there. */
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ unit: "grapheme" }),
      fc.constantFrom(
        "\u001b[31m",
        "\u001b]0;title\u0007",
        "\u009b2J",
        "\r\n",
        "\u202e",
        "\u2066",
        "\u200d",
        "\u200c",
        "\ufe0f",
        "\u3164",
        "\ud800",
        "\u{e0041}",
        "\\u{1b}",
        "\\",
        "a\u0301\u0301\u0301\u0301\u0301\u0301",
      ),
    ),
  )
  .map((parts) => parts.join(""));

/** Undoes the escapes, as nothing but the notation says. */
function unescape(safe: string): string {
  return safe.replaceAll(/\\u\{([0-9a-f]+)\}/g, (_all, hex: string) =>
    String.fromCodePoint(Number.parseInt(hex, 16)),
  );
}

describe("whatever a stranger writes", () => {
  test("nothing that a terminal obeys, reorders or hides comes through", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(escapeMessage(text)).not.toMatch(DANGEROUS);
      }),
    );
  });

  test("the escapes can be undone, so that no two texts look alike because of them", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(unescape(escapeMessage(text, { maxLength: 1e6 }))).toBe(text);
      }),
    );
  });

  test("the result is never longer than asked for, and a cut one is the beginning of the whole", () => {
    fc.assert(
      fc.property(hostile, fc.nat(60), (text, maxLength) => {
        const whole = escapeMessage(text, { maxLength: 1e6 });
        const cut = escapeMessage(text, { maxLength });
        if (whole.length <= maxLength) {
          expect(cut).toBe(whole);
          return;
        }
        expect(cut.length).toBeLessThanOrEqual(maxLength + 1);
        expect(cut.endsWith("…")).toBe(true);
        expect(whole.startsWith(cut.slice(0, -1))).toBe(true);
      }),
    );
  });

  test("letters, digits, punctuation and spaces stay as they are, in every script", () => {
    const plain = fc
      .string({ unit: "grapheme" })
      .filter((text) => /^[\p{L}\p{N}\p{P}\p{S} ]*$/u.test(text))
      .filter((text) => !/\p{Default_Ignorable_Code_Point}|\\u\{/u.test(text));
    fc.assert(
      fc.property(plain, (text) => {
        expect(escapeMessage(text)).toBe(text);
      }),
    );
  });
});

test.each([
  ["a terminal escape", "\u001b[2Jhello", "\\u{1b}[2Jhello"],
  ["an 8-bit control sequence", "\u009b31m", "\\u{9b}31m"],
  ["a window title", "\u001b]0;x\u0007", "\\u{1b}]0;x\\u{7}"],
  ["a line break that fakes a line", "hi\n<bob> yes", "hi\\u{a}<bob> yes"],
  ["a carriage return that hides a line", "hi\r<bob>", "hi\\u{d}<bob>"],
  ["a bidirectional override", "abc\u202edef", "abc\\u{202e}def"],
  ["a bidirectional isolate", "\u2067x\u2069", "\\u{2067}x\\u{2069}"],
  ["an invisible letter", "a\u3164b", "a\\u{3164}b"],
  ["a zero-width space", "a\u200bb", "a\\u{200b}b"],
  ["a tab", "a\tb", "a\\u{9}b"],
  ["a lone surrogate", "a\ud83d", "a\\u{d83d}"],
  ["an escape that was typed", "\\u{1b}[2J", "\\u{5c}u{1b}[2J"],
  ["a pile of marks", `z${"\u0301".repeat(6)}`, `z${"\u0301".repeat(4)}\\u{301}\\u{301}`],
  ["a joiner that joins nothing", "a \u200d b", "a \\u{200d} b"],
  ["a joiner at the end", "a\u200d", "a\\u{200d}"],
  ["several joiners", "a\u200d\u200db", "a\\u{200d}\\u{200d}b"],
  ["a variation selector at the start", "\ufe0fa", "\\u{fe0f}a"],
])("%s is written out", (_name, text, expected) => {
  expect(escapeMessage(text)).toBe(expected);
});

test.each([
  ["a shrug", "¯\\_(ツ)_/¯"],
  ["a path", "C:\\users\\ann"],
  ["a family", "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}"],
  ["a skin tone before a joiner", "\u{1f469}\u{1f3fd}\u200d\u{1f4bb}"],
  ["a heart in colour", "\u2764\ufe0f"],
  ["a Persian word with a non-joiner", "می\u200cخواهم"],
  ["Hindi with a joiner", "क्\u200dष"],
  ["Vietnamese in composed and decomposed form", "tiếng Việt tie\u0302\u0301ng"],
])("%s stays as it is", (_name, text) => {
  expect(escapeMessage(text)).toBe(text);
});

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { checkNick, MAX_NICK_LENGTH } from "../src/index.ts";
import { nickKey, showNick } from "../src/nick.ts";

describe("a nickname of our own", () => {
  test.each(["ann", "Ann_2", "o'neill", "jean-luc", "Zoë", "Владимир", "李雷", "नमस्ते", "a.b"])(
    "may be %s",
    (nick) => expect(checkNick(nick)).toBe(nick),
  );

  test("comes in its normal form", () => {
    expect(checkNick("Zoe\u0308")).toBe("Zoë");
    expect(checkNick("ａｎｎ")).toBe("ann");
  });

  test.each([
    ["empty", ""],
    ["with a space", "ann lee"],
    ["with the mark of a collision", "ann#3f2a"],
    ["with a slash", "/quit"],
    ["beginning with a sign", "-ann"],
    ["with a control character", "ann\u001b"],
    ["with an override", "ann\u202e"],
    ["with an invisible letter", "ann\u3164"],
    ["with a pile of marks", "a\u0335\u0336\u0337\u0338"],
    ["too long in characters", "a".repeat(MAX_NICK_LENGTH + 1)],
    ["too long in bytes", "李".repeat(22)],
    ["endless", "a".repeat(1_000_000)],
  ])("may not be %s", (_name, nick) => {
    expect(() => checkNick(nick)).toThrow(RangeError);
  });

  test("is a string", () => {
    expect(() => checkNick(undefined)).toThrow(TypeError);
  });
});

describe("a nickname of somebody else", () => {
  test("that is valid is shown as it is", () => {
    expect(showNick("Ann")).toEqual({ text: "Ann", key: "ann", isOdd: false });
  });

  test.each([
    ["has the mark of a collision", "ann#3f2a", "ann?3f2a"],
    ["has terminal escapes", "\u001b[31mann", "??31mann"],
    ["has a line break", "ann\n", "ann?"],
    ["has an invisible letter", "an\u3164n", "an n".replace(" ", "?")],
  ])("that %s is shown without, and counts as odd", (_name, nick, text) => {
    expect(showNick(nick)).toMatchObject({ text, isOdd: true });
  });

  test("that mixes scripts to look like another counts as odd", () => {
    expect(showNick("\u0430nn")).toMatchObject({ text: "\u0430nn", isOdd: true });
    expect(showNick("\u0430\u043d\u043d")).toMatchObject({ isOdd: false });
  });

  test("is never longer than a nickname, and of harmless characters, whatever it is", () => {
    const any = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }));
    fc.assert(
      fc.property(any, (nick) => {
        const { text, key } = showNick(nick);
        expect(text).toMatch(/^[\p{L}\p{N}\p{M}_.'?-]*$/u);
        expect(text).not.toMatch(/\p{Default_Ignorable_Code_Point}/u);
        expect(Array.from(text).length).toBeLessThanOrEqual(MAX_NICK_LENGTH);
        expect(nickKey(text)).toBe(key);
      }),
    );
  });

  test("is told apart from others by more than case and form", () => {
    expect(nickKey("ANN")).toBe(nickKey("ann"));
    expect(nickKey("ａｎｎ")).toBe(nickKey("ann"));
    expect(nickKey("Zoe\u0308")).toBe(nickKey("zoë"));
    expect(nickKey("anne")).not.toBe(nickKey("ann"));
  });
});

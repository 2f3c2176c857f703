import { fromHex } from "@heddle/identity";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { NameBook } from "../src/names.ts";

/** An id that begins with these digits. */
function idOf(digits: string): Uint8Array {
  return fromHex(digits.padEnd(128, "0"));
}

const SELF = idOf("aaaa");
const BOB = idOf("b0b0");
const EVE = idOf("e4e4");

/** A book whose claims come in the order they are made. */
class Book extends NameBook {
  #time = 0;

  say(id: Uint8Array, nick: string) {
    return this.claim(id, nick, ++this.#time);
  }
}

function bookOf(nick = "me", maxNodes = 10): Book {
  return new Book(maxNodes, SELF, nick);
}

describe("a nick", () => {
  test("that one node claims is shown alone", () => {
    const book = bookOf();
    book.say(BOB, "bob");
    expect(book.nameOf(BOB)).toBe("bob");
  });

  test("that two nodes claim is shown with the first digits of the id, for both", () => {
    const book = bookOf();
    book.say(BOB, "bob");
    book.say(EVE, "Bob");
    expect([book.nameOf(BOB), book.nameOf(EVE)]).toEqual(["bob#b0b0", "Bob#e4e4"]);
  });

  test("that is ours is no other's, either", () => {
    const book = bookOf("ann");
    book.say(EVE, "ann");
    expect([book.nameOf(SELF), book.nameOf(EVE)]).toEqual(["ann#aaaa", "ann#e4e4"]);
  });

  test("has as many digits as tell the nodes apart", () => {
    const book = bookOf();
    const ids = ["12345678", "12345679", "1234ff"].map(idOf);
    for (const id of ids) book.say(id, "bob");
    expect(ids.map((id) => book.nameOf(id))).toEqual(["bob#12345678", "bob#12345679", "bob#1234f"]);
  });

  test("stands alone again when the other claimant takes another", () => {
    const book = bookOf();
    book.say(BOB, "bob");
    book.say(EVE, "bob");
    expect(book.say(EVE, "eve")).toEqual({ from: "bob#e4e4", to: "eve" });
    expect(book.nameOf(BOB)).toBe("bob");
  });

  test("that is not what it looks like never stands alone", () => {
    const book = bookOf();
    book.say(EVE, "b\u043eb");
    expect(book.nameOf(EVE)).toBe("b\u043eb#e4e4");
  });

  test("that was said before the last one counts no more, when it comes late", () => {
    const book = bookOf();
    book.claim(BOB, "robert", 2_000);
    expect(book.claim(BOB, "bob", 1_000)).toBeUndefined();
    expect(book.nameOf(BOB)).toBe("robert");
  });

  test("that was never said is replaced by the id", () => {
    expect(bookOf().nameOf(BOB)).toBe("#b0b00000");
  });
});

test("two nodes are never shown by one name, and each is found by its own", () => {
  const nicks = fc.constantFrom(
    "ann",
    "Ann",
    "bob",
    "ann#1",
    "\u0430nn",
    "ann\u202e",
    "a b",
    "a\u0000b",
  );
  const digits = fc.string({ unit: fc.constantFrom("1", "2"), minLength: 8, maxLength: 8 });
  const claims = fc.array(fc.tuple(digits, nicks), { maxLength: 20 });
  fc.assert(
    fc.property(claims, (said) => {
      const book = new Book(100, SELF, "ann");
      for (const [hex, nick] of said) book.say(idOf(hex), nick);
      const ids = [...new Set(said.map(([hex]) => hex))].map(idOf);
      const names = ids.map((id) => book.nameOf(id));
      expect(new Set([...names, book.nameOf(SELF)]).size).toBe(ids.length + 1);
      expect(names.map((name) => book.resolve(name))).toEqual(ids);
    }),
  );
});

describe("finding somebody", () => {
  test("works by nick in any case, with an at sign, by name with digits, and by id", () => {
    const book = bookOf();
    book.say(BOB, "bob");
    for (const name of ["bob", "BOB", "@bob", "bob#b0b0", "#b0b0", `b0b0${"0".repeat(124)}`]) {
      expect(book.resolve(name)).toEqual(BOB);
    }
  });

  test("fails clearly when nobody is called so", () => {
    const unknown = { code: "ERR_CHAT_UNKNOWN_NICK" };
    expect(() => bookOf().resolve("bob")).toThrow("nobody here is called bob");
    expect(() => bookOf().resolve("b\u001bb")).toThrow("nobody here is called b\\u{1b}b");
    expect(() => bookOf().resolve("me")).toThrow(expect.objectContaining(unknown));
    expect(() => bookOf().resolve("#aa")).toThrow(expect.objectContaining(unknown));
    expect(() => bookOf().resolve("")).toThrow(expect.objectContaining(unknown));
  });

  test("fails with the names to choose from when several are called so", () => {
    const book = bookOf();
    book.say(BOB, "bob");
    book.say(EVE, "bob");
    expect(() => book.resolve("bob")).toThrow(
      expect.objectContaining({
        code: "ERR_CHAT_AMBIGUOUS_NICK",
        message: "several are called bob: bob#b0b0, bob#e4e4",
      }),
    );
    expect(book.resolve("bob#e4")).toEqual(EVE);
  });

  test("lists at most eight names", () => {
    const book = bookOf("me", 100);
    for (let i = 10; i < 30; i++) book.say(idOf(`${i}${i}`), "bob");
    expect(() => book.resolve("bob")).toThrow(
      /^several are called bob: (?:[^,]+, ){7}\S+ and 12 more$/,
    );
  });
});

describe("the book is bounded", () => {
  test("who was heard longest ago is forgotten, but never we", () => {
    const book = bookOf("me", 3);
    book.say(BOB, "bob");
    book.say(EVE, "eve");
    book.say(BOB, "bob");
    book.say(idOf("cccc"), "cal");
    expect(book.size).toBe(3);
    expect([SELF, BOB, EVE].map((id) => book.nameOf(id))).toEqual(["me", "bob", "#e4e40000"]);
  });

  test("the claim goes with the node", () => {
    const book = bookOf("me", 2);
    book.say(EVE, "bob");
    book.say(BOB, "bob");
    expect(book.nameOf(BOB)).toBe("bob");
  });
});

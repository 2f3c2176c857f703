import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { consoleLogger, LOG_LEVELS, pinoLogger, silentLogger } from "../src/logger.ts";
import type { Logger, LogLevel } from "../src/logger.ts";

type Line = readonly [LogLevel, ...unknown[]];

function record(): {
  lines: Line[];
  target: Record<LogLevel, (...args: unknown[]) => void>;
} {
  const lines: Line[] = [];
  const at =
    (level: LogLevel) =>
    (...args: unknown[]): void =>
      void lines.push([level, ...args]);
  const target = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  return { lines, target };
}

const sayAll = (logger: Logger): void => {
  for (const level of LOG_LEVELS) logger[level](`at ${level}`, { n: 1 });
};

function show(fields: Record<string, unknown>, message = "said"): string {
  const { lines, target } = record();
  consoleLogger(target).info(message, fields);
  expect(lines).toHaveLength(1);
  const [level, text, ...rest] = lines[0] ?? [];
  expect([level, rest]).toEqual(["info", []]);
  return String(text);
}

describe("levels", () => {
  test.each(LOG_LEVELS)("from %s up are logged, those below are not", (least) => {
    const expected = LOG_LEVELS.slice(LOG_LEVELS.indexOf(least));
    const [text, pino] = [record(), record()];
    sayAll(consoleLogger(text.target, least));
    sayAll(pinoLogger(pino.target, least));
    expect(text.lines).toEqual(expected.map((level) => [level, `at ${level} n=1`]));
    expect(pino.lines).toEqual(expected.map((level) => [level, { n: 1 }, `at ${level}`]));
  });

  test("start at info for a console, and pino decides for itself", () => {
    const [text, pino] = [record(), record()];
    sayAll(consoleLogger(text.target));
    sayAll(pinoLogger(pino.target));
    expect(text.lines.map(([level]) => level)).toEqual(["info", "warn", "error"]);
    expect(pino.lines.map(([level]) => level)).toEqual(LOG_LEVELS);
  });

  test("take the real console", () => {
    expect(() => consoleLogger(console, "error").info("not shown")).not.toThrow();
  });
});

describe("silentLogger", () => {
  test("takes everything and says nothing", () => {
    expect(() => sayAll(silentLogger)).not.toThrow();
  });
});

describe("pinoLogger", () => {
  test("puts an error where pino's serializer looks for it", () => {
    const { lines, target } = record();
    const error = new Error("broken");
    pinoLogger(target).warn("failed", { error, peer: "p" });
    expect(lines).toEqual([["warn", { peer: "p", err: error }, "failed"]]);
  });

  test("passes an empty object where there are no fields", () => {
    const { lines, target } = record();
    pinoLogger(target).info("started");
    expect(lines).toEqual([["info", {}, "started"]]);
  });
});

describe("consoleLogger", () => {
  test("writes the message alone where there are no fields", () => {
    const { lines, target } = record();
    consoleLogger(target).error("stopped");
    expect(lines).toEqual([["error", "stopped"]]);
  });

  test.each<[string, unknown, string]>([
    ["a word", "geth/v1.16", "geth/v1.16"],
    ["a number", 4, "4"],
    ["a bigint", 4n, "4"],
    ["a truth value", true, "true"],
    ["undefined", undefined, "undefined"],
    ["null", null, "null"],
    ["a symbol", Symbol("s"), "Symbol(s)"],
    ["an empty text", "", '""'],
    ["text with spaces", "two words", '"two words"'],
    ["text that looks like a field", "x peer=evil", '"x peer=evil"'],
    ["text with quotes", 'a"b', '"a\\u{22}b"'],
    ["a terminal escape", "\u{1b}[2J", "\\u{1b}[2J"],
    ["a line feed", "a\nb", "a\\u{a}b"],
    ["an error", new Error("too many peers"), '"too many peers"'],
    ["bytes", Uint8Array.of(1, 0xab), "01ab"],
    ["a list with a terminal escape", ["\u{1b}[2J"], '"[\\u{22}\\u{5c}u001b[2J\\u{22}]"'],
    ["an object", { a: 1n }, '"{\\u{22}a\\u{22}:\\u{22}1\\u{22}}"'],
  ])("shows %s", (_name, value, shown) => {
    expect(show({ it: value })).toBe(`said it=${shown}`);
  });

  test("shows what contains itself, and what cannot be shown", () => {
    const loop: Record<string, unknown> = {};
    loop["self"] = loop;
    const hostile = {
      toJSON: () => {
        throw new Error("no");
      },
    };
    const nothing = { toJSON: () => undefined };
    expect(show({ loop, hostile, nothing })).toBe(
      "said loop=[object] hostile=[object] nothing=[object]",
    );
    expect(show({ bare: Object.create(null) as unknown })).toBe("said bare={}");
  });

  test("cuts long text and bytes", () => {
    expect(show({ it: "x".repeat(100_000) }).length).toBeLessThan(600);
    expect(show({ it: new Uint8Array(100_000) }).length).toBeLessThan(600);
  });

  test("escapes the message too", () => {
    expect(show({}, "said\u{1b}[2J")).toBe("said\\u{1b}[2J");
  });

  test("writes one line of printable characters, whatever a peer says", () => {
    const text = fc.string({ unit: "binary" });
    const value = fc.oneof(text, fc.array(text), fc.dictionary(text, text), fc.anything());
    fc.assert(
      fc.property(value, (it) => {
        expect(show({ it })).toMatch(/^said it=[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u);
      }),
    );
  });

  test("keeps what a peer says within one field", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 50 }), (it) => {
        expect(show({ it, end: 1 })).toMatch(/^said it=(?:[^\s"=]+|"[^"]*") end=1$/);
      }),
    );
  });
});

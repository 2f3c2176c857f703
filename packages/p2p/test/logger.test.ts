import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { StreamEndedError } from "../src/connection.ts";
import { Disconnect } from "../src/disconnect.ts";
import { DialError, DisconnectedError, RemoteProtocolError, TimeoutError } from "../src/errors.ts";
import { EstablishError } from "../src/establish.ts";
import { consoleLogger, guardLogger, LOG_LEVELS, pinoLogger, silentLogger } from "../src/logger.ts";
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

describe("where an error was thrown", () => {
  const wrapped = new Error("handler failed", { cause: new Error("boom") });

  test.each([
    ["an error", new Error("boom")],
    ["what it is wrapped in", wrapped],
  ])("stands on the line, file and line number of %s", (_what, error) => {
    const line = show({ error, peer: "p" });
    expect(line).toMatch(/^said error="?[a-z ]+"? peer=p at="[^"]*logger\.test\.ts:\d+:\d+[^"]*"$/);
    expect(line).not.toMatch(/\p{Cc}/u);
    expect(line.split(" < ").length).toBeLessThanOrEqual(3);
  });

  test.each([
    ["a disconnect", new Disconnect(0x03)],
    ["an end", new DisconnectedError(0x03, "remote", "session", new Error("boom"))],
    ["a peer's breach", new RemoteProtocolError("ERR_P2P_BAD_PAYLOAD", "bad")],
    ["a dial", new DialError("refused", "dial", 0x01, "local", new Error("ECONNREFUSED"))],
    ["a handshake", new EstablishError("no", { phase: "hello", reason: 3, side: "local" })],
    ["a stream's end", new StreamEndedError()],
    ["a deadline", new TimeoutError("read", 1)],
    ["what wraps one", new Error("handler failed", { cause: new Disconnect(0x03) })],
    ["what is no error", "boom"],
    ["an error without a stack", Object.assign(new Error("boom"), { stack: undefined })],
  ])("is not of interest for %s", (_what, error) => {
    expect(show({ error })).not.toContain(" at=");
  });

  test("is cut, and escaped", () => {
    const error = new Error("boom");
    error.stack = `Error: boom\n${'    at f\u{1b} (x" peer=evil)\n'.repeat(2)}    at ${"x".repeat(10_000)}`;
    expect(show({ error })).toMatch(/^said error=boom at="f\\u\{1b\}[^"\p{Cc}]{1,600}"$/u);
  });

  test("does not matter to a chain of causes that goes round", () => {
    const error = new Error("boom");
    error.cause = error;
    expect(show({ error })).toContain(" at=");
  });
});

describe("guardLogger", () => {
  test("passes everything on, and lets nothing out that the logger throws", () => {
    const { lines, target } = record();
    const guarded = guardLogger(consoleLogger(target, "debug"));
    sayAll(guarded);
    expect(lines).toHaveLength(LOG_LEVELS.length);
    const fail = (): never => {
      throw new Error("disk full");
    };
    const failing = guardLogger({ debug: fail, info: fail, warn: fail, error: fail });
    expect(() => sayAll(failing)).not.toThrow();
  });

  test("leaves the silent one alone: the server asks whether it is that", () => {
    expect(guardLogger(silentLogger)).toBe(silentLogger);
  });
});

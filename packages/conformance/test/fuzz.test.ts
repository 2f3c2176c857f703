import {
  bytesEqual,
  decodeRlp,
  encodeRlp,
  nodeIdOf,
  parseEnode,
  RlpError,
  toHex,
} from "@heddle/identity";
import { seededRandom } from "@heddle/testing";
import { assert, property, integer, uint8Array } from "fast-check";
import { describe, expect, test, vi } from "vitest";

import { InputBoard } from "../src/fuzz/board.ts";
import { Coverage } from "../src/fuzz/coverage.ts";
import { fuzz } from "../src/fuzz/fuzzer.ts";
import { minimize } from "../src/fuzz/minimize.ts";
import { MAX_INPUT_SIZE, mutate } from "../src/fuzz/mutate.ts";
import { formatFinding, formatHeading, formatReport, formatTotal } from "../src/fuzz/report.ts";
import { parseTree, writeTree } from "../src/fuzz/rlp-tree.ts";
import { refusals } from "../src/fuzz/target.ts";
import type { FuzzTarget } from "../src/fuzz/target.ts";
import { TARGETS } from "../src/fuzz/targets/index.ts";

/** Thousands of inputs each, on a machine that may have other things to do. */
vi.setConfig({ testTimeout: 120_000 });

const ENODE = `enode://${toHex(nodeIdOf(new Uint8Array(32).fill(1)))}@127.0.0.1:30303`;

/** A target that does what a test says. */
function target(run: (input: Uint8Array) => void, changes: Partial<FuzzTarget> = {}): FuzzTarget {
  return {
    name: "made-up",
    kind: "bytes",
    corpus: [Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)],
    refusals: refusals("RangeError", ["ERR_SHORT"]),
    run,
    ...changes,
  };
}

describe("every decoder of the house", () => {
  test.each(TARGETS.map((each) => [each.name, each] as const))(
    "%s takes 3,000 mutations of its corpus with documented errors alone",
    (_name, each) => {
      const report = fuzz(each, { seed: 1, maxInputs: 3_000 });
      expect(report.finding && formatFinding(report.finding)).toBeUndefined();
      expect(report.inputs).toBe(3_000);
      expect(report.outcomes).toBeGreaterThan(3);
    },
  );

  test("every corpus is valid but where it is meant not to be", () => {
    const refused = TARGETS.flatMap((each) =>
      each.corpus.flatMap((input) => {
        try {
          each.run(input, seededRandom(1));
          return [];
        } catch {
          return [each.name];
        }
      }),
    );
    // Packets of each side are fed to both; a header's size is never that of the data behind it; version 4
    // has no Snappy; and a block that copies from before its start stands beside those that do not.
    expect(refused).toEqual([
      "handshake-packet",
      "handshake-packet",
      "frames-wire",
      "frames-header",
      "frames-header",
      "snappy",
    ]);
  });
});

describe("a finding", () => {
  test("is an error that is not documented, with the shortest input that shows it", () => {
    const report = fuzz(
      target((input) => {
        if (input.includes(0xff)) throw new TypeError("not a byte I like");
      }),
      { seed: 7, maxInputs: 100_000 },
    );
    expect(report.finding).toMatchObject({ kind: "undocumented error", target: "made-up" });
    expect(report.finding?.what).toBe("TypeError: not a byte I like");
    expect(toHex(report.finding?.input ?? new Uint8Array())).toBe("ff");
  });

  test("is also a documented class with a code that is not, and something thrown that is no error", () => {
    const wrongCode = Object.assign(new RangeError("long"), { code: "ERR_LONG" });
    const thrown: unknown[] = [wrongCode, "text", undefined];
    const found = thrown.map((what) => {
      const throwing = target(() => {
        throw what;
      });
      return fuzz(throwing, { seed: 1, maxInputs: 10 }).finding?.what;
    });
    expect(found).toEqual([
      "RangeError ERR_LONG: long",
      "a thrown string",
      "Error: nothing was thrown",
    ]);
  });

  test("is an input that takes long every time, not one that did once", () => {
    let runs = 0;
    const wait = (ms: number): void => {
      for (const end = performance.now() + ms; performance.now() < end;);
    };
    const once = target(() => {
      runs += 1;
      if (runs === 5) wait(150);
    });
    expect(fuzz(once, { seed: 1, maxInputs: 50 }).finding).toBeUndefined();
    const always = target((input) => {
      if (input.length < 8) wait(101);
    });
    const { finding } = fuzz(always, { seed: 1, maxInputs: 1_000 });
    expect(finding).toMatchObject({ kind: "slow" });
    expect(finding?.input).toHaveLength(0);
  });

  test("a documented error is none, and is counted", () => {
    const refusing = target((input) => {
      if (input.length < 8) throw Object.assign(new RangeError("short"), { code: "ERR_SHORT" });
    });
    const report = fuzz(refusing, { seed: 1, maxInputs: 1_000 });
    expect(report.finding).toBeUndefined();
    const refused = report.refused["RangeError ERR_SHORT"] ?? 0;
    expect(refused).toBeGreaterThan(0);
    expect(report.accepted + refused).toBe(1_000);
  });
});

describe("runs", () => {
  test("with the same seed are the same, with another they are not", () => {
    const inputsOf = (seed: number): string[] => {
      const inputs: string[] = [];
      const onInput = (_target: FuzzTarget, input: Uint8Array): void => {
        // One that seems slow is run again, and how often depends on the machine.
        if (inputs.at(-1) !== toHex(input)) inputs.push(toHex(input));
      };
      fuzz(
        target(() => undefined),
        { seed, maxInputs: 200, onInput },
      );
      return inputs;
    };
    expect(inputsOf(3)).toEqual(inputsOf(3));
    expect(inputsOf(3)).not.toEqual(inputsOf(4));
  });

  test("stop when their time is over", () => {
    expect(
      fuzz(
        target(() => undefined),
        { seed: 1, maxMs: 1 },
      ).inputs,
    ).toBeGreaterThan(0);
  });

  test("keep an input that ended in a new way, and mutate it further", () => {
    // Each step is found from the one before alone.
    const lock = target((input) => {
      const depth = [0x41, 0x42, 0x43].findIndex((byte, at) => input[at] !== byte);
      if (depth < 0) throw new TypeError("open");
      throw Object.assign(new RangeError("abc".slice(0, depth)), { code: "ERR_SHORT" });
    });
    expect(fuzz(lock, { seed: 2, maxInputs: 200_000 }).finding?.what).toBe("TypeError: open");
  });
});

describe("coverage", () => {
  test("tells blocks that ran for the first time, once", () => {
    using coverage = new Coverage();
    parseEnode(ENODE);
    expect(coverage.takeFresh().size).toBeGreaterThan(0);
    const { blocks } = coverage;
    parseEnode(ENODE);
    expect(coverage.takeFresh().size).toBe(0);
    expect(coverage.blocks).toBe(blocks);
    // The same code, to a place where it has not been.
    expect(() => parseEnode(`${ENODE}?discport=x`)).toThrow("a port");
    expect(coverage.takeFresh().size).toBeGreaterThan(0);
  });

  test("keeps inputs that are the first to run some code, though they end like others", () => {
    using coverage = new Coverage();
    // All end alike: only the code that ran tells them apart.
    const silent = target((input) => {
      try {
        decodeRlp(input);
      } catch (error) {
        if (!(error instanceof RlpError)) throw error;
      }
    });
    const plain = fuzz(silent, { seed: 1, maxInputs: 2_000 });
    const guided = fuzz(silent, { seed: 1, maxInputs: 2_000, coverage });
    expect(guided.finding).toBeUndefined();
    expect(guided.kept).toBeGreaterThan(plain.kept);
  });
});

describe("mutations", () => {
  test("of any bytes are bytes of their own, within the limit", () => {
    assert(
      property(uint8Array({ maxLength: 200 }), integer(), (input, seed) => {
        const before = input.slice();
        const random = seededRandom(seed);
        const material = { kind: "rlp", corpus: [input], dictionary: [] } as const;
        const output = mutate(input, material, random);
        expect(output.length).toBeLessThanOrEqual(MAX_INPUT_SIZE);
        output.fill(0x55);
        expect(bytesEqual(input, before)).toBe(true);
      }),
    );
  });

  test("parse and write valid RLP back as it was", () => {
    for (const { kind, corpus } of TARGETS) {
      if (kind !== "rlp") continue;
      for (const input of corpus) {
        const [first = 0] = input;
        // One item that is a list: what follows a list is no part of its tree.
        if (first < 0xc0) continue;
        expect(toHex(writeTree(parseTree(input) ?? { items: [] }))).toBe(toHex(input));
      }
    }
  });

  test("write each way in which a prefix can be wrong", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const written = (["long-form", "one-more", "one-less", "leading-zero", "huge"] as const).map(
      (fault) => toHex(writeTree({ bytes, fault })),
    );
    expect(written).toEqual([
      "b803010203",
      "84010203",
      "82010203",
      "b90003010203",
      "bf7fffffffffffffff010203",
    ]);
    expect(toHex(writeTree({ bytes: Uint8Array.of(5), fault: "wrapped-byte" }))).toBe("8105");
    expect(toHex(writeTree({ items: [], fault: "long-form" }))).toBe("f800");
  });
});

test("minimizing leaves what is needed and nothing else", () => {
  const input = Uint8Array.from({ length: 1_000 }, (_, i) => i & 0xff);
  const needs = (bytes: Uint8Array): boolean => bytes.includes(0x07) && bytes.includes(0xfe);
  expect(minimize(input, "bytes", needs)).toEqual(Uint8Array.of(0xfe, 0x07));
  expect(minimize(Uint8Array.of(9, 9), "bytes", () => true)).toEqual(new Uint8Array(0));
});

test("minimizing RLP leaves out items, and what is left is RLP", () => {
  const noise = Array.from({ length: 50 }, (_, i) => [i, "x".repeat(60)]);
  const input = encodeRlp([noise, [["needle", noise]], "more"]);
  const holdsNeedle = (bytes: Uint8Array): boolean => {
    try {
      return JSON.stringify(decodeRlp(bytes), (_key, value: unknown) =>
        value instanceof Uint8Array ? new TextDecoder().decode(value) : value,
      ).includes("needle");
    } catch (error) {
      if (error instanceof RlpError) return false;
      throw error;
    }
  };
  expect(toHex(minimize(input, "rlp", holdsNeedle))).toBe(toHex(encodeRlp("needle")));
});

test("the board shows another thread what runs", () => {
  const board = new InputBoard();
  const other = new InputBoard(board.memory);
  board.show(3, Uint8Array.of(1, 2, 3));
  expect(other.count).toBe(1);
  expect(other.current).toEqual({ target: 3, input: Uint8Array.of(1, 2, 3) });
  board.show(4, new Uint8Array(MAX_INPUT_SIZE + 1));
  expect(other.current.input).toHaveLength(MAX_INPUT_SIZE);
});

test("the table has a line for each target, and the input of a finding in hexadecimal", () => {
  const report = fuzz(
    target(() => undefined),
    { seed: 1, maxInputs: 1_234 },
  );
  const line = formatReport({ ...report, elapsedMs: 500, slowestMs: 1 });
  expect(line).toMatch(/^made-up +1,234 +2,468 +100.0 % +\d+ +\d+ +1.0 ms +0$/);
  expect(formatHeading()).toHaveLength(line.length);
  expect(formatTotal([report, { ...report, elapsedMs: 2_000 }])).toContain("2,468 inputs");
  const finding = {
    target: "a",
    kind: "slow",
    what: "x\u001b",
    input: Uint8Array.of(171),
  } as const;
  expect(formatFinding(finding)).toBe("a: slow: x\\u{1b}\n  input: ab");
});

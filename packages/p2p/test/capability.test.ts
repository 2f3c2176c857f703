import { readFileSync } from "node:fs";

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  compareCapabilities,
  formatCapability,
  matchCapabilities,
  validateProtocols,
} from "../src/capability.ts";
import type { Capability, ProtocolShape } from "../src/capability.ts";

interface Case {
  readonly from: string;
  readonly remote: readonly [string, number][];
  readonly local: readonly ProtocolShape[];
  readonly match: Record<string, { version: number; offset: number }>;
}

const { cases } = JSON.parse(
  readFileSync(new URL("vectors/capability-negotiation.json", import.meta.url), "utf8"),
) as { cases: Case[] };

// Few names and versions, so that they collide; names that a locale sorts otherwise than bytes do.
const name = fc.constantFrom("a", "B", "ab", "MyProtocol", "bench", "__proto__", "eth", "a/1");
const version = fc.integer({ min: 1, max: 4 });
const capabilities = fc.array(fc.record({ name, version }), { maxLength: 30 });
const protocols = fc.uniqueArray(fc.record({ name, version, length: fc.nat(20) }), {
  selector: formatCapability,
  maxLength: 20,
});

describe("matchCapabilities", () => {
  test.each(cases.map((entry, i) => ({ ...entry, i })))(
    "agrees with published case $i, from $from",
    ({ remote, local, match }) => {
      const offered = remote.map(([name, version]) => ({ name, version }));
      const shared = matchCapabilities(local, offered);
      expect(
        Object.fromEntries(shared.map(({ name, version, offset }) => [name, { version, offset }])),
      ).toEqual(match);
      expect(shared).toHaveLength(Object.keys(match).length);
    },
  );

  test("gives back the very protocol that was registered", () => {
    const foo = { name: "foo", version: 2, length: 3, extra: "mine" };
    const [shared] = matchCapabilities([foo], [{ name: "foo", version: 2 }]);
    expect(shared?.protocol).toBe(foo);
    expect(shared).toEqual({ name: "foo", version: 2, length: 3, offset: 0x10, protocol: foo });
  });

  test("agrees with a search through all pairs", () => {
    fc.assert(
      fc.property(protocols, capabilities, (local, remote) => {
        expect(matchCapabilities(local, remote)).toEqual(matchNaively(local, remote));
      }),
    );
  });

  test("does not depend on the order of either side, nor on duplicates", () => {
    fc.assert(
      fc.property(protocols, capabilities, (local, remote) => {
        const turned = matchCapabilities(local.toReversed(), [...remote, ...remote].toReversed());
        expect(turned).toEqual(matchCapabilities(local, remote));
      }),
    );
  });

  test("gives both sides the same message ids when they agree on lengths", () => {
    const lengthOf = (capability: Capability): number => capability.name.length;
    const withLengths = (list: readonly Capability[]): ProtocolShape[] =>
      list.map((capability) => ({ ...capability, length: lengthOf(capability) }));
    fc.assert(
      fc.property(protocols, protocols, (ours, theirs) => {
        const here = matchCapabilities(withLengths(ours), theirs);
        const there = matchCapabilities(withLengths(theirs), ours);
        expect(here).toEqual(there);
      }),
    );
  });

  test("takes names and versions that only a liar would send", () => {
    const foo = { name: "foo", version: 1, length: 1 };
    const odd = [
      { name: "", version: 0 },
      { name: "constructor", version: Number.MAX_SAFE_INTEGER },
      { name: "foo", version: 1e300 },
      { name: "foo/1", version: Number.NaN },
      { name: "\u{1b}[2J", version: 1 },
    ];
    expect(matchCapabilities([foo], odd)).toEqual([]);
  });
});

describe("compareCapabilities", () => {
  test("orders names by bytes, never by locale, and versions by number", () => {
    const sorted = ["MyProtocol/1", "bench/9", "bench/10", "eth/68"];
    const shuffled = [
      { name: "bench", version: 10 },
      { name: "eth", version: 68 },
      { name: "bench", version: 9 },
      { name: "MyProtocol", version: 1 },
    ];
    expect(shuffled.toSorted(compareCapabilities).map(formatCapability)).toEqual(sorted);
  });

  test("orders ASCII names as their bytes compare", () => {
    const ascii = fc.stringMatching(/^[\x21-\x7e]{1,8}$/);
    fc.assert(
      fc.property(ascii, ascii, (a, b) => {
        const order = compareCapabilities({ name: a, version: 1 }, { name: b, version: 1 });
        expect(Math.sign(order)).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });
});

describe("validateProtocols", () => {
  const foo = { name: "foo", version: 1, length: 1 };

  test.each([
    ["an ordinary protocol", [foo]],
    ["no protocol", []],
    ["two versions of one name", [foo, { ...foo, version: 2 }]],
    ["a version of 255", [{ ...foo, version: 255 }]],
    ["a length of 0, which only says that a node has something", [{ ...foo, length: 0 }]],
    ["a name of 8 characters", [{ ...foo, name: "12345678" }]],
    ["lengths that sum up to 0x70", [foo, { name: "bar", version: 1, length: 0x6f }]],
    [
      "versions of one name that are 0x70 long each",
      [1, 2, 3].map((v) => ({ ...foo, version: v, length: 0x70 })),
    ],
  ])("takes %s", (_name, list) => {
    expect(validateProtocols(list)).toEqual([]);
  });

  test.each([
    ["an empty name", { name: "" }, TypeError, 'got ""'],
    ["a name with a space", { name: "a b" }, TypeError, 'got "a b"'],
    ["a name with an umlaut", { name: "für" }, TypeError, 'got "für"'],
    ["a name with a control character", { name: "a\u{7f}" }, TypeError, "printable ASCII"],
    ["a name with a line feed at its end", { name: "a\n" }, TypeError, "printable ASCII"],
    ["a name that is none", { name: undefined }, TypeError, "got undefined"],
    ["version 0", { version: 0 }, RangeError, "from 1 to 255, got 0"],
    ["version 256", { version: 256 }, RangeError, "from 1 to 255, got 256"],
    ["version 1.5", { version: 1.5 }, RangeError, "got 1.5"],
    ["a version in words", { version: "1" }, RangeError, "version of foo"],
    ["a negative length", { length: -1 }, RangeError, "length of foo/1"],
    ["a fractional length", { length: 0.5 }, RangeError, "got 0.5"],
    ["an endless length", { length: Infinity }, RangeError, "got Infinity"],
    ["a length that is none", { length: undefined }, RangeError, "got undefined"],
  ])("refuses %s", (_name, fault, type, message) => {
    const list = [{ ...foo, ...fault } as ProtocolShape];
    expect(() => validateProtocols(list)).toThrow(type);
    expect(() => validateProtocols(list)).toThrow(message);
  });

  test("refuses the same name and version twice", () => {
    expect(() => validateProtocols([foo, { ...foo, length: 2 }])).toThrow(
      new TypeError("protocols: foo/1 is registered twice"),
    );
  });

  test("warns of a name longer than the specification allows", () => {
    const warnings = validateProtocols([{ ...foo, name: "MyProtocol" }]);
    expect(warnings).toEqual([
      "protocols: the name of MyProtocol/1 has 10 characters, the specification allows 8",
    ]);
  });

  test("warns of more message codes than fit the one byte some implementations read", () => {
    const warnings = validateProtocols([foo, { name: "bar", version: 1, length: 0x70 }]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("113 message codes");
  });
});

function matchNaively(local: readonly ProtocolShape[], remote: readonly Capability[]): unknown {
  const common = local.filter((protocol) =>
    remote.some(({ name, version }) => name === protocol.name && version === protocol.version),
  );
  const highest = common.filter(
    ({ name, version }) => !common.some((other) => other.name === name && other.version > version),
  );
  const sorted = highest.toSorted((a, b) => Buffer.from(a.name).compare(Buffer.from(b.name)));
  return sorted.map((protocol, i) => ({
    ...protocol,
    offset: sorted.slice(0, i).reduce((sum, { length }) => sum + length, 16),
    protocol,
  }));
}

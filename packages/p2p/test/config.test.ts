import { formatEnode, nodeIdOf, parseEnode } from "@heddle/identity";
import type { Enode } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import { createConfig, parseListen } from "../src/config.ts";
import type { ServerOptions } from "../src/config.ts";
import { DEFAULT_LIMITS } from "../src/limits.ts";
import { silentLogger } from "../src/logger.ts";
import type { Protocol } from "../src/protocol.ts";
import { Server } from "../src/server.ts";
import { idle, keyOf } from "./harness.ts";

const key = keyOf(1);
const node: Enode = { id: nodeIdOf(keyOf(2)), host: "10.0.0.2", tcpPort: 30_303, udpPort: 0 };
const create = (options: object = {}) => createConfig({ key, clientId: "test/1", ...options });

/** What is wrong with options that a type checker would not have let through either. */
function refusal(options: object): Error {
  try {
    create(options);
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("expected a refusal");
}

describe("defaults", () => {
  test("are go-ethereum's numbers of peers, no listening, no trust, no restriction", () => {
    expect(create()).toMatchObject({
      clientId: "test/1",
      listen: undefined,
      maxPeers: 50,
      maxDialed: 16,
      maxInbound: 34,
      trusted: [],
      allow: undefined,
      candidates: [],
      flowControl: true,
      limits: DEFAULT_LIMITS,
    });
  });

  test("of limits fill in what is not given, or given as undefined", () => {
    const { limits } = create({ limits: { graceMs: 1, idleTimeoutMs: undefined } });
    expect(limits).toEqual({ ...DEFAULT_LIMITS, graceMs: 1 });
  });
});

describe("a configuration", () => {
  test("is frozen, its lists and limits too", () => {
    const config = create({ trusted: [node], limits: { graceMs: 1 } });
    const { limits, protocols, trusted, candidates } = config;
    for (const part of [config, limits, protocols, trusted, candidates, DEFAULT_LIMITS]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  test("keeps nothing that whoever gave it may change", () => {
    const given = { key: keyOf(1), protocols: [idle("a")], trusted: [{ ...node }] };
    const config = create(given);
    given.key.fill(0);
    given.protocols.pop();
    Object.assign(given.trusted[0] ?? {}, { host: "10.9.9.9" });
    expect(config.key).toEqual(keyOf(1));
    expect(config.protocols).toHaveLength(1);
    expect(config.trusted).toEqual([node]);
  });

  test("takes nodes as enode URLs, too", () => {
    const { trusted } = create({ trusted: [formatEnode(node), node] });
    expect(trusted).toEqual([node, node]);
  });

  test.each([
    [0, 3, { maxDialed: 0, maxInbound: 0 }],
    [1, 3, { maxDialed: 1, maxInbound: 0 }],
    [50, 1, { maxDialed: 50, maxInbound: 50 }],
    [50, 2, { maxDialed: 25, maxInbound: 25 }],
    [10, 1_000, { maxDialed: 1, maxInbound: 9 }],
  ])("of %i peers, one in %i dialed, has these shares", (maxPeers, dialRatio, shares) => {
    expect(create({ maxPeers, dialRatio })).toMatchObject(shares);
  });
});

describe("what cannot be used is refused at construction, by name, value and range", () => {
  const enode = formatEnode(node);
  const cases: [string, object, new () => Error, string][] = [
    [
      "a short key",
      { key: new Uint8Array(31) },
      TypeError,
      "key: expected a secp256k1 secret key of 32 bytes, got 31 bytes",
    ],
    [
      "a key of zero",
      { key: new Uint8Array(32) },
      TypeError,
      "key: expected a secp256k1 secret key of 32 bytes, got 32 bytes",
    ],
    [
      "an empty client id",
      { clientId: "" },
      TypeError,
      'clientId: expected a non-empty string, got ""',
    ],
    [
      "a client id that is none",
      { clientId: 5 },
      TypeError,
      "clientId: expected a non-empty string, got 5",
    ],
    [
      "a long client id",
      { clientId: "é".repeat(257) },
      RangeError,
      "clientId: expected at most 512 bytes, got 514",
    ],
    [
      "a fraction of a peer",
      { maxPeers: 1.5 },
      RangeError,
      "maxPeers: expected an integer from 0 to 1000000, got 1.5",
    ],
    [
      "fewer than no peers",
      { maxPeers: -1 },
      RangeError,
      "maxPeers: expected an integer from 0 to 1000000, got -1",
    ],
    [
      "a number as text",
      { maxPeers: "10" },
      RangeError,
      'maxPeers: expected an integer from 0 to 1000000, got "10"',
    ],
    [
      "no dial ratio",
      { dialRatio: 0 },
      RangeError,
      "dialRatio: expected an integer from 1 to 1000000, got 0",
    ],
    ["an unknown option", { maxpeers: 5 }, TypeError, "maxpeers: no such option; there are key, "],
    [
      "an unknown limit",
      { limits: { grace: 1 } },
      TypeError,
      "limits.grace: no such limit; there are ",
    ],
    ["limits that are none", { limits: 5 }, TypeError, "limits: expected an object, got 5"],
    [
      "a time of zero",
      { limits: { graceMs: 0 } },
      RangeError,
      "limits.graceMs: expected an integer from 1 to 2147483647, got 0",
    ],
    [
      "a time no timer takes",
      { limits: { graceMs: 2 ** 31 } },
      RangeError,
      "limits.graceMs: expected an integer from 1 to 2147483647, got 2147483648",
    ],
    [
      "a size of no number",
      { limits: { inboxBytes: Number.NaN } },
      RangeError,
      `limits.inboxBytes: expected an integer from 1 to ${Number.MAX_SAFE_INTEGER}, got NaN`,
    ],
    [
      "waits in the wrong order",
      { limits: { redialMinMs: 5, redialMaxMs: 4 } },
      RangeError,
      "limits.redialMinMs: expected at most redialMaxMs (4), got 5",
    ],
    [
      "a trusted node that is no URL",
      { trusted: [enode, "http://x"] },
      TypeError,
      'trusted[1]: expected a URL that starts with enode://, got 8 characters "http://x"',
    ],
    [
      "a trusted node that is nothing",
      { trusted: [undefined] },
      TypeError,
      "trusted[0]: expected an enode URL or its parts, got undefined",
    ],
    [
      "a trusted node without a host",
      { trusted: [{ ...node, host: "" }] },
      TypeError,
      "trusted[0]: expected an IP address or a host name",
    ],
    [
      "a trusted node with a wrong port",
      { trusted: [{ ...node, tcpPort: 65_536 }] },
      TypeError,
      'trusted[0]: expected a port from 0 to 65535, got 5 characters "65536"',
    ],
    [
      "a trusted node with half an id",
      { trusted: [{ ...node, id: node.id.subarray(32) }] },
      TypeError,
      "trusted[0]: expected a node id of 64 bytes, got 32",
    ],
    ["trusted that is no list", { trusted: enode }, TypeError, "trusted: expected a list, got "],
    [
      "an allowed range that is none",
      { allow: ["10.0.0.0/8", "10.0.0.0/33"] },
      TypeError,
      'allow[1]: expected an address range such as "10.0.0.0/8" or "2001:db8::/32", got "10.0.0.0/33"',
    ],
    [
      "an allowed range that is no text",
      { allow: [8] },
      TypeError,
      "allow[0]: expected an address range",
    ],
    [
      "an allowed range without its list",
      { allow: "10.0.0.0/8" },
      TypeError,
      'allow: expected a list, got "10.0.0.0/8"',
    ],
    [
      "candidates that cannot be iterated",
      { candidates: [[node]] },
      TypeError,
      "candidates[0]: expected an async iterable of nodes, got a list of 1",
    ],
    [
      "half a transport",
      { transport: { dial: () => undefined } },
      TypeError,
      "transport: expected an object with listen, dial, got an object",
    ],
    [
      "a session that is no function",
      { session: {} },
      TypeError,
      "session: expected a function, got an object",
    ],
    [
      "a flag that is neither",
      { flowControl: "no" },
      TypeError,
      'flowControl: expected true or false, got "no"',
    ],
    [
      "half a logger",
      { logger: { info: () => undefined } },
      TypeError,
      "logger: expected an object with debug, info, warn, error, got an object",
    ],
    [
      "a clock that is a function",
      { clock: Date.now },
      TypeError,
      "clock: expected an object with now, wallNow, setTimeout, clearTimeout, got a function",
    ],
    ["a random number", { random: 4 }, TypeError, "random: expected a function, got 4"],
    [
      "a protocol that does not run",
      { protocols: [{ name: "a", version: 1, length: 1 }] },
      TypeError,
      "protocols[0]: expected an object with run, got an object",
    ],
    [
      "a protocol that is none",
      { protocols: [null] },
      TypeError,
      "protocols[0]: expected an object with run, got null",
    ],
    [
      "our own protocol's name",
      { protocols: [idle("flow")] },
      TypeError,
      'protocols: the name "flow" is taken by Heddle itself',
    ],
    [
      "a protocol without its companion",
      { protocols: [{ ...idle("a"), requires: [{ name: "b", version: 2 }] }] },
      TypeError,
      "protocols: a/1 requires b/2, which is not registered",
    ],
    [
      "companions in a circle",
      {
        protocols: [
          { ...idle("a"), requires: [{ name: "b" }] },
          { ...idle("b"), requires: [{ name: "a" }] },
        ],
      },
      TypeError,
      "protocols: requires goes round in a circle: a/1 -> b/1 -> a/1",
    ],
  ];

  test.each(cases)("%s", (_what, options, kind, message) => {
    const error = refusal(options);
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toContain(message);
  });

  test("a key in the wrong form, without showing it", () => {
    const secret = "6b".repeat(32);
    expect(refusal({ key: secret }).message).toBe(
      "key: expected a secp256k1 secret key of 32 bytes, got string",
    );
  });

  test("more protocols than a Hello has room for", () => {
    const many = Array.from({ length: 300 }, (_, n) => idle(`p${n}`));
    expect(refusal({ protocols: many }).message).toMatch(/Hello of \d+ bytes, .* 2048/);
    expect(create({ protocols: many.slice(0, 100) }).protocols).toHaveLength(100);
  });

  test("by the Server, too", () => {
    const options: ServerOptions = { key, clientId: "test/1", maxPeers: -1 };
    expect(() => new Server(options)).toThrow(RangeError);
  });
});

test("what only some implementations mind is a warning", () => {
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
  create({ logger, protocols: [idle("MyProtocol")] });
  expect(warnings).toEqual([expect.stringContaining("MyProtocol/1 has 10 characters")]);
});

test("a companion may be any version where none is asked for", () => {
  const dependent: Protocol = { ...idle("a"), requires: [{ name: "b" }] };
  expect(create({ protocols: [dependent, idle("b", 1), idle("b", 2)] }).protocols).toHaveLength(3);
});

describe("listen addresses", () => {
  test.each([
    [":30303", { host: "::", port: 30_303 }],
    ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }],
    ["[::1]:65535", { host: "::1", port: 65_535 }],
    ["localhost:1", { host: "localhost", port: 1 }],
    [false, undefined],
  ] as const)("%j", (listen, address) => {
    expect(parseListen(listen)).toEqual(address);
  });

  test.each([
    "",
    "30303",
    ":",
    "::1:30303",
    "[::1]",
    "127.0.0.1:65536",
    ":-1",
    ":1e3",
    "[x]:1",
    true,
    30_303,
  ])("%j is none", (listen) => {
    const { message } = refusal({ listen });
    expect(message).toBe(
      `listen: expected "HOST:PORT", ":PORT" or false with a port from 0 to 65535, got ${JSON.stringify(listen)}`,
    );
  });
});

test("an enode that was trusted by its parts reads as the URL of those parts", () => {
  const { trusted } = create({ trusted: [{ ...node, host: "EXAMPLE.org" }] });
  expect(trusted[0]).toEqual(parseEnode(formatEnode({ ...node, host: "example.org" })));
});

test.each([
  [undefined, "undefined"],
  [null, "null"],
  ["x", '"x"'],
])("options that are %j are refused as what they are", (options, shown) => {
  expect(() => createConfig(options as unknown as ServerOptions)).toThrow(
    new TypeError(`options: expected an object, got ${shown}`),
  );
});

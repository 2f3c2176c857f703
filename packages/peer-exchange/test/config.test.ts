import { seededRandom } from "@heddle/testing";
import { expect, test } from "vitest";

import { createPeerExchange, DEFAULT_PEX_LIMITS, RecordCache } from "../src/index.ts";

const key = seededRandom(1).secretKey();
// The generator of the curve.
const enode =
  "enode://79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8@52.1.1.1";

test.each<[string, object, new () => Error, string]>([
  ["a key of zeros", { key: new Uint8Array(32) }, TypeError, "key"],
  ["a short key", { key: new Uint8Array(31) }, TypeError, "key"],
  ["a negative target", { targetPeers: -1 }, RangeError, "targetPeers"],
  ["a fractional target", { targetPeers: 1.5 }, RangeError, "targetPeers"],
  ["a huge target", { targetPeers: 1_001 }, RangeError, "1000"],
  ["a long network name", { network: "é".repeat(33) }, RangeError, "66"],
  ["a host name", { address: { host: "example.org" } }, TypeError, "example.org"],
  ["port 0", { address: { host: "52.1.1.1", port: 0 } }, RangeError, "address.port"],
  ["a pair of our own", { pairs: { cap: "x" } }, RangeError, "cap"],
  ["a bootstrap node without a port", { bootstrap: [`${enode}:0`] }, RangeError, "bootstrap"],
  ["a bootstrap node that is no URL", { bootstrap: ["node"] }, Error, "enode"],
  ["an unknown limit", { limits: { perMoon: 1 } }, TypeError, "perMoon"],
  ["a limit of zero", { limits: { perSubnet: 0 } }, RangeError, "perSubnet"],
  ["a limit that is no number", { limits: { perSubnet: "4" } }, RangeError, "perSubnet"],
  ["every place free", { limits: { freeInbound: 1 } }, RangeError, "freeInbound"],
  [
    "a rate of nothing",
    { limits: { questions: { perSecond: 0, burst: 1 } } },
    RangeError,
    "questions",
  ],
  ["a number for a rate", { limits: { questions: 5 } }, RangeError, "questions"],
  [
    "a rate for a number",
    { limits: { perSubnet: { perSecond: 1, burst: 1 } } },
    RangeError,
    "perSubnet",
  ],
  [
    "waits in the wrong order",
    { limits: { retryMinMs: 5, retryMaxMs: 4 } },
    RangeError,
    "retryMinMs",
  ],
  [
    "questions in the wrong order",
    { limits: { refreshMinMs: 5, refreshMaxMs: 4 } },
    RangeError,
    "refreshMinMs",
  ],
])("%s is refused by name", (_name, options, kind, text) => {
  const make = (): unknown => createPeerExchange({ key, ...options });
  expect(make).toThrow(kind);
  expect(make).toThrow(text);
});

test("the smallest and the largest of what is allowed are taken", () => {
  for (const targetPeers of [0, 1_000]) createPeerExchange({ key, targetPeers });
  createPeerExchange({ key, network: "x".repeat(64), bootstrap: [`${enode}:1`] });
  createPeerExchange({ key, limits: { ...DEFAULT_PEX_LIMITS, freeInbound: 0 } });
  createPeerExchange({ key, address: { host: "::1", port: 65_535 } });
});

test("a cache has a size", () => {
  for (const size of [0, -1, 1.5, NaN]) expect(() => new RecordCache(size)).toThrow(RangeError);
});

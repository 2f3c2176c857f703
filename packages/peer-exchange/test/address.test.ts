import * as fc from "fast-check";
import { expect, test } from "vitest";

import {
  formatHost,
  isLocal,
  isUnspecified,
  parseHost,
  relayRefusal,
  scopeOf,
  subnetOf,
} from "../src/address.ts";
import type { Scope } from "../src/address.ts";

test.each<[string, string]>([
  ["52.1.2.3", "52.1.2.0/24"],
  ["52.1.2.255", "52.1.2.0/24"],
  ["::ffff:52.1.2.3", "52.1.2.0/24"],
  ["2a00:1:2:3:4:5:6:7", "2a00:1:2:3::/64"],
  ["2a00:1:2:3::", "2a00:1:2:3::/64"],
  ["fe80::1%eth0", "fe80::/64"],
  ["example.org", "example.org"],
])("%s counts with %s", (host, subnet) => {
  expect(subnetOf(host)).toBe(subnet);
});

test.each<[string, Scope]>([
  ["52.1.2.3", "public"],
  ["2a00::1", "public"],
  ["10.1.2.3", "lan"],
  ["172.31.255.255", "lan"],
  ["172.32.0.0", "public"],
  ["192.168.0.1", "lan"],
  ["169.254.1.1", "lan"],
  ["100.64.0.1", "lan"],
  ["fd00::1", "lan"],
  ["fe80::1", "lan"],
  ["127.0.0.1", "loopback"],
  ["127.255.255.254", "loopback"],
  ["::1", "loopback"],
  ["::ffff:127.0.0.1", "loopback"],
  ["::ffff:10.0.0.1", "lan"],
  ["0.0.0.0", "special"],
  ["::", "special"],
  ["224.0.0.1", "special"],
  ["255.255.255.255", "special"],
  ["192.0.2.1", "special"],
  ["2001:db8::1", "special"],
  ["example.org", "special"],
  ["", "special"],
])("%s is %s", (host, scope) => {
  expect(scopeOf(host)).toBe(scope);
});

test("a teller may tell of what is as far out as itself, or farther", () => {
  const scopes: readonly Scope[] = ["public", "lan", "loopback", "special"];
  const rows = scopes.map((teller) =>
    scopes.map((told) => relayRefusal(teller, told) ?? "-").join(" "),
  );
  expect(rows).toEqual([
    "- lan loopback special",
    "- - loopback special",
    "- - - special",
    "- lan loopback special",
  ]);
  expect(scopes.filter(isLocal)).toEqual(["lan", "loopback"]);
});

test("every 4 or 16 bytes can be written and read back, the mapped ones as IPv4", () => {
  const four = fc.uint8Array({ minLength: 4, maxLength: 4 });
  const sixteen = fc.uint8Array({ minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(fc.oneof(four, sixteen), (bytes) => {
      expect(parseHost(formatHost(bytes) ?? "")).toEqual(bytes);
    }),
  );
  fc.assert(
    fc.property(four, (bytes) => {
      const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...bytes);
      expect(formatHost(mapped)).toBe(formatHost(bytes));
    }),
  );
});

test("bytes of any other length are no address", () => {
  for (const length of [0, 1, 3, 5, 15, 17, 64]) {
    expect(formatHost(new Uint8Array(length))).toBeUndefined();
  }
});

test("the address for every interface is told from others", () => {
  expect(["0.0.0.0", "::", "::ffff:0.0.0.0"].map(isUnspecified)).toEqual([true, true, true]);
  expect(["0.0.0.1", "::1", "example.org"].map(isUnspecified)).toEqual([false, false, false]);
});

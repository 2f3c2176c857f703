import * as fc from "fast-check";
import { isIPv4, isIPv6 } from "node:net";
import { expect, test } from "vitest";
import { formatIp, fromHex, parseIp4, parseIp6, toHex } from "../src/index.ts";

// Forms and canonical forms from RFC 4291 §2.2 and RFC 5952 §4, §5.
test.each([
  ["::", "00".repeat(16), "::"],
  ["::1", `${"00".repeat(15)}01`, "::1"],
  ["2001:DB8:0:0:8:800:200C:417A", "20010db80000000000080800200c417a", "2001:db8::8:800:200c:417a"],
  ["2001:db8:0:1:1:1:1:1", "20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "20010000000000010000000000000001", "2001:0:0:1::1"],
  ["2001:db8:0:0:1:0:0:1", "20010db8000000000001000000000001", "2001:db8::1:0:0:1"],
  ["ff01::", `ff01${"00".repeat(14)}`, "ff01::"],
  ["::ffff:192.0.2.33", "00000000000000000000ffffc0000221", "::ffff:192.0.2.33"],
  ["1::2:3:4:5:6:7", "00010000000200030004000500060007", "1:0:2:3:4:5:6:7"],
])("reads %s and writes it in canonical form", (text, hex, canonical) => {
  expect(toHex(parseIp6(text) ?? new Uint8Array(0))).toBe(hex);
  expect(formatIp(fromHex(hex))).toBe(canonical);
});

test.each([
  "",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7:8::",
  "g::",
  "12345::",
  "::1%eth0",
  "[::1]",
  "1.2.3.4",
  "1.2.3.4::",
  "::1.2.3",
  ":1:2:3:4:5:6:7:8",
  "1:2:3:4:5:6:7:8:",
])("refuses %j as IPv6", (text) => {
  expect(parseIp6(text)).toBeUndefined();
});

test.each([
  "",
  "1.2.3",
  "1.2.3.4.5",
  "256.1.1.1",
  "01.2.3.4",
  "1.2.3.",
  "1.2.3.4 ",
  "+1.2.3.4",
  "0x1.2.3.4",
  "1e0.2.3.4",
])("refuses %j as IPv4", (text) => {
  expect(parseIp4(text)).toBeUndefined();
});

test("reads back every address it writes", () => {
  const address = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 })
      .map((a) => Uint8Array.from(a)),
  );
  fc.assert(
    fc.property(address, (bytes) => {
      const text = formatIp(bytes);
      expect((bytes.length === 4 ? parseIp4 : parseIp6)(text)).toEqual(bytes);
    }),
  );
});

test("accepts what node:net accepts, but for zones", () => {
  const text = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.string({ unit: fc.constantFrom(":", "::", "1", "ff", "0", ".", "1.2.3.4"), maxLength: 12 }),
  );
  fc.assert(
    fc.property(text, (address) => {
      expect(parseIp4(address) !== undefined).toBe(isIPv4(address));
      expect(parseIp6(address) !== undefined).toBe(isIPv6(address));
    }),
    { numRuns: 2000 },
  );
});

test("refuses to write other lengths", () => {
  expect(() => formatIp(new Uint8Array(5))).toThrow(RangeError);
});

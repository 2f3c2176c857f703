import { BlockList } from "node:net";

import { formatIp } from "@heddle/identity";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { addressKey, CidrList, isLan, isLoopback, isSpecial } from "../src/cidr.ts";

const ip4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(formatIp);
const ip6 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .filter((bytes) => bytes.subarray(0, 12).some((byte) => byte !== 0))
  .map(formatIp);

describe("CidrList", () => {
  test.each([
    ["10.0.0.0/8", "10.255.255.255", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.1.2.3/8", "10.9.9.9", true],
    ["0.0.0.0/0", "255.255.255.255", true],
    ["0.0.0.0/0", "::1", false],
    ["192.168.1.64/26", "192.168.1.127", true],
    ["192.168.1.64/26", "192.168.1.128", false],
    ["192.168.1.1", "192.168.1.1", true],
    ["192.168.1.1", "192.168.1.2", false],
    ["2001:db8::/32", "2001:db8:ffff::1", true],
    ["2001:db8::/32", "2001:db9::", false],
    ["2001:DB8::/33", "2001:db8:8000::", false],
    ["::/0", "2001:db8::", true],
    ["::/0", "1.2.3.4", false],
    ["::1", "::1", true],
    ["::1", "0:0:0:0:0:0:0:1", true],
    ["10.0.0.0/8", "::ffff:10.1.2.3", true],
    ["10.0.0.0/8", "::ffff:a01:203", true],
    ["::ffff:10.0.0.0/104", "10.1.2.3", true],
    ["::ffff:10.0.0.0/104", "11.1.2.3", false],
    ["::ffff:10.0.0.1", "10.0.0.1", true],
    ["fe80::/10", "fe80::1%eth0", true],
    ["10.0.0.0/8", "10.0.0.1%eth0", false],
    ["10.0.0.0/8", "localhost", false],
    ["10.0.0.0/8", "", false],
    ["10.0.0.0/8", "10.1", false],
    ["10.0.0.0/8", "167772161", false],
  ])("%s holds %s: %s", (range, address, expected) => {
    expect(CidrList.parse([range]).contains(address)).toBe(expected);
  });

  test.each([
    "",
    "/8",
    "10/8",
    "10.0.0/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0.0/8/8",
    "10.0.0.0/255.0.0.0",
    "010.0.0.0/8",
    "0x0a.0.0.0/8",
    "10.0.0.256",
    "2001:db8::/129",
    "2001:db8::/1000",
    "2001:db8:/32",
    "fe80::1%eth0",
    " 10.0.0.0/8",
    "10.0.0.0/8\n",
    "example.org",
  ])("refuses %j, naming it", (entry) => {
    expect(() => CidrList.parse(["10.0.0.0/8", entry])).toThrow(TypeError);
    expect(() => CidrList.parse([entry])).toThrow(`got ${JSON.stringify(entry)}`);
  });

  test("holds nothing when empty", () => {
    expect(CidrList.parse([]).contains("10.0.0.1")).toBe(false);
  });

  test("agrees with node:net about random IPv4 ranges", () => {
    fc.assert(
      fc.property(
        ip4,
        fc.integer({ min: 0, max: 32 }),
        ip4,
        fc.nat(32),
        (net, bits, other, flip) => {
          const blocks = new BlockList();
          blocks.addSubnet(net, bits, "ipv4");
          const list = CidrList.parse([`${net}/${bits}`]);
          for (const address of [other, flipBit(net, flip)]) {
            expect(list.contains(address)).toBe(blocks.check(address, "ipv4"));
            expect(list.contains(`::ffff:${address}`)).toBe(blocks.check(address, "ipv4"));
          }
        },
      ),
    );
  });

  test("agrees with node:net about random IPv6 ranges", () => {
    fc.assert(
      fc.property(ip6, fc.integer({ min: 1, max: 128 }), ip6, (net, bits, other) => {
        const blocks = new BlockList();
        blocks.addSubnet(net, bits, "ipv6");
        const list = CidrList.parse([`${net}/${bits}`]);
        expect(list.contains(net)).toBe(true);
        expect(list.contains(other)).toBe(blocks.check(other, "ipv6"));
      }),
    );
  });

  test("never throws when asked about any text", () => {
    const list = CidrList.parse(["10.0.0.0/8", "2001:db8::/32"]);
    fc.assert(fc.property(fc.string(), (text) => typeof list.contains(text) === "boolean"));
  });
});

describe("addressKey", () => {
  test.each([
    ["1.2.3.4", "1.2.3.4"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:1:2::", "2001:db8:1:2::/64"],
    ["::1", "::/64"],
    ["fe80::1%eth0", "fe80::/64"],
    ["memory-7", "memory-7"],
    ["", ""],
  ])("of %s is %s", (address, key) => {
    expect(addressKey(address)).toBe(key);
  });

  test("is the same for the whole /64 and differs between two of them", () => {
    const half = fc.uint8Array({ minLength: 8, maxLength: 8 }).filter((bytes) => bytes[0] !== 0);
    fc.assert(
      fc.property(half, half, half, half, (net, other, host, guest) => {
        const key = addressKey(formatIp(Uint8Array.of(...net, ...host)));
        expect(addressKey(formatIp(Uint8Array.of(...net, ...guest)))).toBe(key);
        const isSame = net.every((byte, i) => byte === other[i]);
        expect(addressKey(formatIp(Uint8Array.of(...other, ...host))) === key).toBe(isSame);
      }),
    );
  });
});

describe("kinds of addresses", () => {
  test.each([
    ["127.0.0.1", "loopback"],
    ["127.255.255.255", "loopback"],
    ["::1", "loopback"],
    ["::ffff:127.0.0.1", "loopback"],
    ["10.0.0.1", "lan"],
    ["172.16.0.1", "lan"],
    ["172.31.255.255", "lan"],
    ["192.168.0.1", "lan"],
    ["169.254.1.1", "lan"],
    ["100.64.0.1", "lan"],
    ["100.127.255.255", "lan"],
    ["fd00::1", "lan"],
    ["fe80::1%eth0", "lan"],
    ["0.0.0.0", "special"],
    ["192.0.2.1", "special"],
    ["198.19.0.1", "special"],
    ["203.0.113.9", "special"],
    ["224.0.0.1", "special"],
    ["255.255.255.255", "special"],
    ["::", "special"],
    ["2001:db8::1", "special"],
    ["2001::1", "special"],
    ["2002:102:304::", "special"],
    ["ff02::1", "special"],
    ["172.32.0.0", "public"],
    ["100.128.0.0", "public"],
    ["8.8.8.8", "public"],
    ["128.0.0.1", "public"],
    ["2001:4860:4860::8888", "public"],
    ["2a00::1", "public"],
    ["localhost", "public"],
  ])("%s is %s", (address, kind) => {
    expect({
      isLoopback: isLoopback(address),
      isLan: isLan(address),
      isSpecial: isSpecial(address),
    }).toEqual({
      isLoopback: kind === "loopback",
      isLan: kind === "lan",
      isSpecial: kind === "special",
    });
  });
});

function flipBit(address: string, bit: number): string {
  const bytes = Uint8Array.from(address.split("."), Number);
  const at = bit >> 3;
  if (at < 4) bytes[at] = (bytes[at] ?? 0) ^ (0x80 >> (bit & 7));
  return formatIp(bytes);
}

import { Enr } from "@heddle/identity";
import { seededRandom, VirtualClock } from "@heddle/testing";
import { expect, test } from "vitest";

import { hasCapability } from "../src/index.ts";
import { OwnRecord } from "../src/own-record.ts";

const key = seededRandom(3).secretKey();

function open(pairs: Readonly<Record<string, string>> = {}) {
  const clock = new VirtualClock();
  return { clock, own: new OwnRecord({ key, clock, pairs }) };
}

test("names the address, the capabilities and the pairs it is given, and is signed", () => {
  const { own } = open({ note: "hello" });
  own.setCapabilities([
    { name: "pex", version: 1 },
    { name: "chat", version: 12 },
    { name: "old", version: 0 },
  ]);
  expect(own.setAddress({ host: "52.1.2.3", port: 30_303 })).toBe(true);
  const read = Enr.parse(own.current.toString());
  expect(read.toEnode()).toMatchObject({ host: "52.1.2.3", tcpPort: 30_303 });
  expect(read.get("note")).toEqual(new TextEncoder().encode("hello"));
  const wanted = ["pex", "pex/1", "chat/12", "old/0", "pex/2", "chat/1", "pe", ""];
  expect(wanted.filter((name) => hasCapability(read, name))).toEqual([
    "pex",
    "pex/1",
    "chat/12",
    "old/0",
  ]);
});

test("names an IPv6 address as such, and none where there is none", () => {
  const { own } = open();
  expect(own.current.toEnode()).toBeUndefined();
  own.setAddress({ host: "2a00::1", port: 1 });
  expect(own.current).toMatchObject({ ip: undefined, ip6: "2a00::1", tcp: 1 });
  own.setAddress(undefined);
  expect(own.current.toEnode()).toBeUndefined();
});

test("has a higher number whenever it says something else, and the same as long as it does not", () => {
  const { own } = open();
  const first = own.current;
  expect(own.current).toBe(first);
  expect(own.setAddress(undefined)).toBe(false);
  expect(own.current).toBe(first);
  own.setAddress({ host: "52.1.2.3", port: 1 });
  const second = own.current;
  expect(second.seq).toBeGreaterThan(first.seq);
  expect(own.setAddress({ host: "52.1.2.3", port: 1 })).toBe(false);
  expect(own.renew().seq).toBeGreaterThan(second.seq);
});

test("takes its number from the time, and goes on above the one before", async () => {
  const { own, clock } = open();
  expect(own.current.seq).toBe(BigInt(clock.wallNow()));
  own.continueFrom(BigInt(clock.wallNow()) + 1_000n);
  expect(own.current.seq).toBe(BigInt(clock.wallNow()) + 1_001n);
  await clock.advance(60_000);
  expect(own.renew().seq).toBe(BigInt(clock.wallNow()));
});

test("leaves out the capabilities that do not fit into 300 bytes", () => {
  const { own } = open();
  const capabilities = Array.from({ length: 60 }, (_, at) => ({ name: `proto${at}`, version: 1 }));
  own.setCapabilities(capabilities);
  own.setAddress({ host: "52.1.2.3", port: 30_303 });
  const kept = capabilities.filter(({ name }) => hasCapability(own.current, name));
  expect(own.current.encode().length).toBeLessThanOrEqual(300);
  expect(kept.length).toBeGreaterThan(10);
  expect(kept).toEqual(capabilities.slice(0, kept.length));
});

test("pairs that do not fit are the caller's fault", () => {
  expect(() => open({ note: "x".repeat(300) }).own.current).toThrow("300");
});

test.each<[string, Parameters<typeof Enr.create>[1]]>([
  ["no pair", {}],
  ["bytes", { pairs: { cap: "pex" } }],
  ["a flat list", { pairs: { cap: ["pex", 1] } }],
  ["a list too short", { pairs: { cap: [["pex"]] } }],
  ["a list of lists", { pairs: { cap: [[["pex"], [1]]] } }],
  ["a version of two bytes", { pairs: { cap: [["pex", 257]] } }],
])("%s names no capability of that version", (_name, content) => {
  expect(hasCapability(Enr.create(key, content), "pex/1")).toBe(false);
});

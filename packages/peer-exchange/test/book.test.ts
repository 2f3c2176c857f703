import { Enr } from "@heddle/identity";
import { seededRandom, VirtualClock } from "@heddle/testing";
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { AddressBook } from "../src/book.ts";
import type { BookOptions } from "../src/book.ts";
import { Salt } from "../src/buckets.ts";
import { decodeEntry, encodeEntry } from "../src/entry.ts";
import type { Entry } from "../src/entry.ts";
import { createLimits } from "../src/limits.ts";
import type { PexLimits } from "../src/limits.ts";
import { describeRecord } from "../src/verified-record.ts";
import type { VerifiedRecord } from "../src/verified-record.ts";

const TELLER = "52.200.0.0/24";
const random = seededRandom(5);
const keys = Array.from({ length: 64 }, () => random.secretKey());

function record(at: number, ip = `52.${at}.1.1`, seq = 1n): VerifiedRecord {
  return describeRecord(
    Enr.create(keys[at % keys.length] ?? random.secretKey(), { ip, tcp: 30_303, seq }),
  );
}

function open(limits: Partial<PexLimits> = {}, changed: BookOptions["changed"] = () => undefined) {
  const clock = new VirtualClock();
  const salt = new Salt(new Uint8Array(32).fill(1));
  const book = new AddressBook({
    clock,
    random: random.next,
    salt,
    limits: createLimits(limits),
    changed,
  });
  return { book, clock };
}

test("an entry carries its source, its times and what dials came to", async () => {
  const { book, clock } = open();
  const one = record(1);
  expect(book.add(one, TELLER)).toBe("added");
  const told = clock.wallNow();
  await clock.advance(1_000);
  book.dialed(one.record.id, "failure");
  await clock.advance(1_000);
  book.dialed(one.record.id, "success");
  expect(book.get(one.record.id)).toEqual({
    record: one.record,
    source: TELLER,
    table: "tried",
    lastHeard: told + 2_000,
    lastSuccess: told + 2_000,
    lastFailure: told + 1_000,
    attempts: 2,
    failures: 0,
  });
  expect([book.size, book.triedCount]).toEqual([1, 1]);
});

test("an address that fails is drawn again after waits that double", async () => {
  const { book, clock } = open({ retryMinMs: 10_000, retryMaxMs: 30_000 });
  const { record: enr } = record(1);
  book.add(record(1), TELLER);
  book.dialed(enr.id, "success");
  const waits: number[] = [];
  for (let failure = 1; failure <= 5; failure += 1) {
    book.dialed(enr.id, "failure");
    let waited = 0;
    for (; book.draw(() => true) === undefined; waited += 1_000) await clock.advance(1_000);
    waits.push(waited);
  }
  expect(waits).toEqual([10_000, 20_000, 30_000, 30_000, 30_000]);
});

test.each([
  ["that was never reached", false, 3],
  ["that was reached before", true, 8],
])("an address %s is given up after %s", (_name, wasReached, failures) => {
  const { book } = open();
  const { record: enr } = record(1);
  book.add(record(1), TELLER);
  if (wasReached) book.dialed(enr.id, "success");
  for (let failure = 1; failure < failures; failure += 1) book.dialed(enr.id, "failure");
  expect(book.size).toBe(1);
  book.dialed(enr.id, "failure");
  expect(book.size).toBe(0);
});

test("failures while nobody is connected count against nobody, and are waited for all the same", async () => {
  const { book, clock } = open();
  const { record: enr } = record(1);
  book.add(record(1), TELLER);
  for (let dial = 0; dial < 20; dial += 1) book.dialed(enr.id, "unsure");
  expect(book.get(enr.id)).toMatchObject({ attempts: 20, failures: 0 });
  expect(book.draw(() => true)).toBeUndefined();
  await clock.advance(10_000);
  expect(book.draw(() => true)?.record.id).toEqual(enr.id);
});

test("what was given up stays out for its time, or until it has a newer record", async () => {
  const { book, clock } = open({ banMs: 60_000 });
  book.add(record(1), TELLER);
  book.ban(record(1).record.id);
  expect(book.add(record(1), TELLER)).toBe("banned");
  await clock.advance(60_000);
  expect(book.add(record(1), TELLER)).toBe("added");
  book.ban(record(1).record.id);
  expect(book.add(record(1, "52.1.1.1", 2n), TELLER)).toBe("added");
});

test("a node that moves starts anew at its new address, one that changes anything else does not", () => {
  const { book } = open();
  const { id } = record(1).record;
  book.add(record(1), TELLER);
  book.dialed(id, "success");
  expect(book.add(record(1, "52.1.1.1", 2n), TELLER)).toBe("updated");
  expect(book.get(id)).toMatchObject({ table: "tried", record: { seq: 2n } });
  expect(book.add(record(1, "52.9.9.9", 3n), TELLER)).toBe("updated");
  expect(book.get(id)).toMatchObject({ table: "new", attempts: 0, record: { seq: 3n } });
  expect(book.add(record(1), TELLER)).toBe("stale");
  expect(book.add(record(1, "52.9.9.9", 3n), TELLER)).toBe("known");
});

test("what is not heard of for too long is forgotten", async () => {
  const { book, clock } = open({ maxAgeMs: 100_000 });
  book.add(record(1), TELLER);
  book.add(record(2), TELLER);
  await clock.advance(60_000);
  book.heard(record(1).record.id);
  await clock.advance(60_000);
  book.expire();
  expect(book.list().map(({ record: { ip } }) => ip)).toEqual(["52.1.1.1"]);
});

test("in a full subnet an address that fails gives way, one that works does not", () => {
  const { book } = open({ perSubnet: 2 });
  const [a, b, c, d] = [1, 2, 3, 4].map((at) => record(at, `52.5.5.${at}`));
  if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error();
  expect([book.add(a, TELLER), book.add(b, TELLER), book.add(c, TELLER)]).toEqual([
    "added",
    "added",
    "subnetFull",
  ]);
  book.dialed(a.record.id, "failure");
  expect(book.add(c, TELLER)).toBe("added");
  expect(book.get(a.record.id)).toBeUndefined();
  expect(book.add(d, TELLER)).toBe("subnetFull");
});

test("limits by subnet do not hold on private networks and on this machine", () => {
  const { book } = open({ perSubnet: 1 });
  for (let at = 0; at < 8; at += 1) {
    expect(book.add(record(at, `10.0.0.${at}`), "10.0.0.0/24")).toBe("added");
    expect(book.add(record(at + 8, `127.0.0.${at + 1}`), "127.0.0.0/24")).toBe("added");
  }
});

test("of a full bucket of tried addresses one that works is not pushed out by another", () => {
  const { book } = open({ triedBuckets: 1, triedBucketSize: 1 });
  book.add(record(1), TELLER);
  book.add(record(2), TELLER);
  book.dialed(record(1).record.id, "success");
  book.dialed(record(2).record.id, "success");
  expect([1, 2].map((at) => book.get(record(at).record.id)?.table)).toEqual(["tried", "new"]);
  book.dialed(record(1).record.id, "failure");
  book.dialed(record(2).record.id, "success");
  expect([1, 2].map((at) => book.get(record(at).record.id)?.table)).toEqual([undefined, "tried"]);
});

test("a subnet with many addresses is drawn no more often than one with a single one", () => {
  const { book } = open();
  for (let at = 0; at < 16; at += 1) book.add(record(at, `52.5.5.${at}`), TELLER);
  for (let at = 16; at < 19; at += 1) book.add(record(at, `52.${at}.5.1`), `52.${at}.0.0/24`);
  const drawn = new Map<string, number>();
  for (let draw = 0; draw < 4_000; draw += 1) {
    const subnet = book.draw(() => true)?.subnet ?? "";
    drawn.set(subnet, (drawn.get(subnet) ?? 0) + 1);
  }
  expect(drawn.size).toBe(4);
  for (const times of drawn.values()) expect(times).toBeGreaterThan(800);
});

test("where few are wanted they are found among many", () => {
  const { book } = open();
  for (let at = 0; at < 60; at += 1) book.add(record(at, `52.${at}.5.1`), `52.${at}.0.0/24`);
  const wanted = record(59, "52.59.5.1").key;
  for (let draw = 0; draw < 20; draw += 1) {
    expect(book.draw(({ key }) => key === wanted)?.key).toBe(wanted);
  }
  expect(book.draw(() => false)).toBeUndefined();
});

test("a sample is of the size asked for, without repeats, and over time of everybody", () => {
  const { book } = open();
  for (let at = 0; at < 20; at += 1) book.add(record(at), TELLER);
  const seen = new Set<string>();
  for (let time = 0; time < 50; time += 1) {
    const sample = book.sample(5, () => true);
    expect(new Set(sample).size).toBe(5);
    for (const { ip } of sample) seen.add(ip ?? "");
  }
  expect(seen.size).toBe(20);
  expect(book.sample(64, () => true)).toHaveLength(20);
  expect(book.sample(0, () => true)).toEqual([]);
  expect(book.sample(64, ({ host }) => host === "52.3.1.1")).toHaveLength(1);
});

test("a sample leaves out what has failed, unless it was reached in the last hours", async () => {
  const { book, clock } = open();
  book.add(record(1), TELLER);
  book.add(record(2), TELLER);
  book.dialed(record(2).record.id, "success");
  for (const at of [1, 2]) book.dialed(record(at).record.id, "failure");
  expect(book.sample(9, () => true)).toEqual(
    [record(2).record].map(() => book.get(record(2).record.id)?.record),
  );
  await clock.advance(4 * 3_600_000);
  expect(book.sample(9, () => true)).toEqual([]);
});

test("whatever happens, the book keeps its bounds and tells of every change", () => {
  const limits = {
    newBuckets: 4,
    newBucketSize: 4,
    triedBuckets: 2,
    triedBucketSize: 4,
    bucketsPerSource: 2,
    perSubnet: 3,
    perSource: 6,
  };
  const step = fc.record({
    act: fc.constantFrom("add", "success", "busy", "failure", "unsure", "ban", "heard"),
    node: fc.nat(39),
    source: fc.nat(3),
    seq: fc.bigInt({ min: 1n, max: 3n }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const stored = new Map<string, Entry>();
      const { book } = open(limits, (key, entry) => {
        if (entry === undefined) stored.delete(key);
        else stored.set(key, entry);
      });
      for (const { act, node, source, seq } of steps) {
        const verified = record(node, `52.1.${node % 5}.${node + Number(seq === 3n)}`, seq);
        if (act === "add") book.add(verified, `52.9.${source}.0/24`);
        else if (act === "ban") book.ban(verified.record.id);
        else if (act === "heard") book.heard(verified.record.id);
        else book.dialed(verified.record.id, act);
      }
      const nodes = book.list();
      const texts = (kept: readonly { readonly record: Enr }[]): string[] =>
        kept.map(({ record: enr }) => enr.toString()).toSorted();
      expect(texts([...stored.values()])).toEqual(texts(nodes));
      const tried = nodes.filter(({ table }) => table === "tried");
      expect(tried.length).toBe(book.triedCount);
      expect(tried.length).toBeLessThanOrEqual(8);
      expect(nodes.length - tried.length).toBeLessThanOrEqual(16);
      for (const subnet of [0, 1, 2, 3, 4]) {
        const own = nodes.filter(({ record: { ip } }) => ip?.startsWith(`52.1.${subnet}.`));
        expect(own.length).toBeLessThanOrEqual(3);
      }
    }),
    { numRuns: 30 },
  );
});

test("an entry is read back from the store as it was written", () => {
  const times = fc.integer({ min: 0, max: 2 ** 45 });
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.tuple(times, times, times),
      fc.nat(1_000),
      fc.nat(7),
      (isTried, at, attempts, failures) => {
        const { book } = open();
        book.add(record(1), TELLER);
        const [lastHeard, lastSuccess, lastFailure] = at;
        const table = isTried ? "tried" : "new";
        const entry = {
          ...book.draw(() => true),
          table,
          lastHeard,
          lastSuccess,
          lastFailure,
          attempts,
          failures,
        } as Entry;
        const read = decodeEntry(encodeEntry(entry));
        expect({ ...read, record: String(read.record), bucket: 0 }).toEqual({
          ...entry,
          record: String(entry.record),
          bucket: 0,
        });
      },
    ),
    { numRuns: 50 },
  );
});

test("bytes that are no entry are refused with an error, whatever they are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      expect(() => decodeEntry(bytes)).toThrow(Error);
    }),
  );
});

test("a restored book puts entries back where they were", () => {
  const { book } = open();
  for (let at = 0; at < 10; at += 1) book.add(record(at), TELLER);
  for (let at = 0; at < 5; at += 1) book.dialed(record(at).record.id, "success");
  const entries: Entry[] = [];
  book.draw((entry) => {
    entries.push(decodeEntry(encodeEntry(entry)));
    return false;
  });
  const again = open().book;
  const unique = new Map(entries.map((entry) => [entry.key, entry]));
  for (const entry of unique.values()) expect(again.restore(entry)).toBe(true);
  for (const entry of unique.values()) expect(again.restore(entry)).toBe(false);
  expect([again.size, again.triedCount]).toEqual([10, 5]);
});

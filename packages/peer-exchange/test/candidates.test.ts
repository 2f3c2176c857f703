import { Enr, toHex } from "@heddle/identity";
import { seededRandom, VirtualClock } from "@heddle/testing";
import { expect, test } from "vitest";

import { AddressBook } from "../src/book.ts";
import { Salt } from "../src/buckets.ts";
import { Candidates } from "../src/candidates.ts";
import type { Connection } from "../src/candidates.ts";
import { createLimits } from "../src/limits.ts";
import { describeRecord } from "../src/verified-record.ts";

const random = seededRandom(11);

function open(targetPeers: number, hosts: readonly string[]) {
  const clock = new VirtualClock();
  const limits = createLimits({});
  const salt = new Salt(new Uint8Array(32));
  const book = new AddressBook({ clock, random: random.next, salt, limits });
  const learn = (ip: string): void => {
    book.add(describeRecord(Enr.create(random.secretKey(), { ip, tcp: 30_303 })), "52.0.0.0/24");
  };
  for (const host of hosts) learn(host);
  const connected: Connection[] = [];
  const connections = (): readonly Connection[] => connected;
  const candidates = new Candidates({
    book,
    clock,
    random: random.next,
    limits,
    targetPeers,
    connections,
  });
  candidates.historyMs = 35_000;
  return { clock, book, candidates, connected, learn };
}

const SPREAD = ["52.1.0.1", "52.2.0.1", "52.3.0.1", "52.4.0.1"];

test("hands out as many as are wanted, and waits until an outcome is known", async () => {
  const { candidates, connected, clock } = open(2, SPREAD);
  const iterator = candidates[Symbol.asyncIterator]();
  const [one, two] = [await iterator.next(), await iterator.next()];
  if (one.done === true || two.done === true) throw new Error("two candidates");
  expect(one.value.ip).not.toBe(two.value.ip);
  let third: IteratorResult<Enr, undefined> | undefined;
  void iterator.next().then((result) => {
    third = result;
  });
  await clock.advance(1_000);
  expect(third).toBeUndefined();
  connected.push({ key: toHex(one.value.id), isDialed: true, subnet: "52.1.0.0/24" });
  candidates.settled(toHex(one.value.id));
  await clock.advance(1_000);
  expect(third).toBeUndefined();
  candidates.settled(toHex(two.value.id));
  await clock.advance(1_000);
  expect(third).toMatchObject({ done: false });
});

test("one whose outcome nobody tells is waited for twenty seconds", async () => {
  const { candidates, clock } = open(1, SPREAD);
  const iterator = candidates[Symbol.asyncIterator]();
  await iterator.next();
  const next = iterator.next();
  const startedAt = clock.now();
  await clock.settle(next);
  expect(clock.now() - startedAt).toBeGreaterThanOrEqual(20_000);
  expect(clock.now() - startedAt).toBeLessThanOrEqual(22_000);
});

test("nobody is handed out twice within the time in which the server would not dial", () => {
  const { candidates } = open(100, SPREAD);
  const drawn = SPREAD.map(() => String(candidates.pick()?.host));
  expect(drawn.toSorted()).toEqual(SPREAD);
  expect(candidates.pick()).toBeUndefined();
});

test("one that is put back may be drawn again at once", () => {
  const { candidates } = open(1, ["52.1.0.1"]);
  const entry = candidates.pick();
  expect(candidates.pick()).toBeUndefined();
  candidates.putBack(entry?.key ?? "");
  expect(candidates.pick()?.key).toBe(entry?.key);
});

test("who is connected, whoever dialed, is not handed out", () => {
  const { candidates, book, connected } = open(100, SPREAD);
  for (const { record } of book.list().slice(0, 3)) {
    connected.push({ key: toHex(record.id), isDialed: false, subnet: "" });
  }
  expect(String(candidates.pick()?.host)).toBe("52.4.0.1");
  expect(candidates.pick()).toBeUndefined();
});

test("of one subnet a second is dialed only where there is no other choice, and never a third", () => {
  const hosts = ["52.1.0.1", "52.1.0.2", "52.1.0.3", "52.2.0.1", "52.3.0.1"];
  const { candidates } = open(100, hosts);
  const subnets = hosts.map(() => String(candidates.pick()?.subnet));
  expect(subnets.slice(0, 3).toSorted()).toEqual(["52.1.0.0/24", "52.2.0.0/24", "52.3.0.0/24"]);
  expect(subnets.slice(3)).toEqual(["52.1.0.0/24", "undefined"]);
});

test("on one machine or a private network all may be dialed", () => {
  const hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "10.0.0.1", "10.0.0.2", "10.0.0.3"];
  const { candidates } = open(100, hosts);
  expect(hosts.map(() => String(candidates.pick()?.host)).toSorted()).toEqual(hosts.toSorted());
});

test("with an empty book it waits without a timer until there is news", async () => {
  const { candidates, clock, learn } = open(1, []);
  const next = candidates[Symbol.asyncIterator]().next();
  await clock.advance(0);
  expect(clock.pending).toBe(0);
  learn("52.1.0.1");
  candidates.wake();
  await expect(next).resolves.toMatchObject({ done: false });
});

test("returning from an iteration, and closing, end the wait and leave no timer", async () => {
  const { candidates, clock } = open(1, ["52.1.0.1"]);
  const [one, two] = [candidates[Symbol.asyncIterator](), candidates[Symbol.asyncIterator]()];
  await one.next();
  const waits = [one.next(), two.next()];
  await clock.advance(0);
  await one.return?.();
  await expect(waits[0]).resolves.toEqual({ done: true, value: undefined });
  candidates.close();
  await expect(waits[1]).resolves.toEqual({ done: true, value: undefined });
  expect(clock.pending).toBe(0);
  await expect(candidates[Symbol.asyncIterator]().next()).resolves.toMatchObject({ done: true });
});

test("with no dialed peers wanted nobody is handed out", () => {
  expect(open(0, SPREAD).candidates.pick()).toBeUndefined();
});

import { Enr } from "@heddle/identity";
import { seededRandom, VirtualClock } from "@heddle/testing";
import { expect, test } from "vitest";

import { relayRefusal } from "../src/address.ts";
import type { Scope } from "../src/address.ts";
import { createLimits } from "../src/limits.ts";
import type { PexLimits } from "../src/limits.ts";
import { Roster } from "../src/member.ts";
import type { Member } from "../src/member.ts";
import { Spread } from "../src/spread.ts";
import { describeRecord } from "../src/verified-record.ts";
import type { VerifiedRecord } from "../src/verified-record.ts";

const random = seededRandom(7);
const keys = Array.from({ length: 100 }, () => random.secretKey());

function news(at: number, seq = 1n, ip = `52.${at}.1.1`): VerifiedRecord {
  return describeRecord(Enr.create(keys[at] ?? random.secretKey(), { ip, tcp: 1, seq }));
}

/** As much of a member as is looked at. */
function member(key: string, scope: Scope = "public"): Member {
  const mayHear = (told: Scope): boolean => relayRefusal(scope, told) === undefined;
  return { key, scope, mayHear } as unknown as Member;
}

function open(members: readonly Member[], given: Partial<PexLimits> = {}) {
  const clock = new VirtualClock();
  const limits = createLimits(given);
  const roster = new Roster();
  for (const one of members) roster.add(one);
  const sent: (readonly [to: string, ips: readonly string[]])[] = [];
  const spread = new Spread({
    roster,
    clock,
    random: random.next,
    limits,
    send: ({ key }, records) => sent.push([key, records.map(({ record }) => record.ip ?? "")]),
  });
  return { spread, sent, clock };
}

const teller = member("teller");
const others = Array.from({ length: 10 }, (_, at) => member(`other ${at}`));

test("news go to as many peers as the fanout says, together, after a moment", async () => {
  const { spread, sent, clock } = open([teller, ...others]);
  for (const at of [1, 2]) expect(spread.add(news(at), teller)).toBe(true);
  await clock.advance(499);
  expect(sent).toEqual([]);
  await clock.advance(1);
  expect(sent.flatMap(([, ips]) => ips).toSorted()).toEqual(
    ["52.1.1.1", "52.2.1.1"].flatMap((ip) => [ip, ip, ip, ip]),
  );
  expect(new Set(sent.map(([to]) => to)).size).toBe(sent.length);
  expect(sent.some(([to]) => to === "teller")).toBe(false);
  expect(clock.pending).toBe(0);
});

test("nobody is told of himself, nor of what he has told", async () => {
  const subject = news(1);
  const [also, other] = [member("also"), member("other")];
  const { spread, sent, clock } = open([teller, also, other, member(subject.key)]);
  spread.add(subject, teller);
  spread.has(also, subject);
  await clock.advance(500);
  expect(sent).toEqual([["other", ["52.1.1.1"]]]);
});

test("of private addresses only private peers are told", async () => {
  const { spread, sent, clock } = open([teller, member("far"), member("near", "lan")]);
  spread.add(news(1, 1n, "10.0.0.1"), teller);
  await clock.advance(500);
  expect(sent).toEqual([["near", ["10.0.0.1"]]]);
});

test("each version goes once, and a newer one only after a while", async () => {
  const { spread, sent, clock } = open([teller, member("other")], { repeatMs: 30_000 });
  expect(spread.add(news(1), teller)).toBe(true);
  await clock.advance(1_000);
  expect(spread.add(news(1), teller)).toBe(false);
  expect(spread.add(news(1, 2n), teller)).toBe(false);
  await clock.advance(30_000);
  expect(spread.add(news(1), teller)).toBe(false);
  expect(spread.add(news(1, 3n), teller)).toBe(true);
  await clock.advance(1_000);
  expect(sent).toHaveLength(2);
});

test("a newer version takes the place of one that waits, and goes to those who told of that", async () => {
  const other = member("other");
  const { spread, sent, clock } = open([teller, other]);
  spread.add(news(1, 1n, "52.1.1.1"), teller);
  spread.add(news(1, 2n, "52.1.1.2"), other);
  await clock.advance(500);
  expect(sent).toEqual([["teller", ["52.1.1.2"]]]);
});

test("many news go in messages of thirty-two, and no more wait than may", async () => {
  const { spread, sent, clock } = open([teller, member("other")], { maxQueued: 70 });
  const taken = keys.map((_, at) => spread.add(news(at), teller));
  expect(taken.filter(Boolean)).toHaveLength(70);
  expect(spread.size).toBe(70);
  await clock.advance(500);
  expect(sent.map(([, ips]) => ips.length)).toEqual([32, 32, 6]);
  expect(spread.size).toBe(0);
});

test("a stopped one forgets what waits and takes no more", async () => {
  const { spread, sent, clock } = open([teller, member("other")]);
  spread.add(news(1), teller);
  spread.stop();
  expect(spread.add(news(2), teller)).toBe(false);
  expect(clock.pending).toBe(0);
  await clock.advance(1_000);
  expect(sent).toEqual([]);
});

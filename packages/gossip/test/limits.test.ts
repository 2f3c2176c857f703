import { VirtualClock } from "@heddle/testing";
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { createGossip, DEFAULT_LIMITS } from "../src/index.ts";
import { Origins } from "../src/origins.ts";
import { PENALTY, Standing } from "../src/standing.ts";
import { TokenBucket } from "../src/token-bucket.ts";
import { KEYS, sample } from "./samples.ts";

test("a bucket never gives more than its burst and what time has brought", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ waitMs: fc.nat(2_000), amount: fc.nat(30) }), { maxLength: 40 }),
      async (steps) => {
        const clock = new VirtualClock();
        const bucket = new TokenBucket({ perSecond: 10, burst: 20 }, clock);
        let taken = 0;
        for (const { waitMs, amount } of steps) {
          await clock.advance(waitMs);
          if (bucket.take(amount)) taken += amount;
          expect(taken).toBeLessThanOrEqual(20 + clock.now() / 100 + 1e-9);
        }
      },
    ),
    { numRuns: 30 },
  );
});

test("borrowing says how long it takes until the debt is paid", async () => {
  const clock = new VirtualClock();
  const bucket = new TokenBucket({ perSecond: 10, burst: 20 }, clock);
  expect([bucket.borrow(20), bucket.borrow(5), bucket.borrow(5)]).toEqual([0, 500, 1_000]);
  await clock.advance(900);
  expect(bucket.take(1)).toBe(false);
  await clock.advance(200);
  expect(bucket.take(1)).toBe(true);
});

test("an origin may have one message for each sequence number, epoch and topic", () => {
  const origins = new Origins({ messages: 10, windowMs: 10_000 });
  const first = sample({ sequence: 1 });
  origins.add(first);
  expect(origins.refusal(sample({ sequence: 1, payload: new Uint8Array(9) }))).toBe("conflict");
  expect(origins.refusal(sample({ sequence: 2 }))).toBeUndefined();
  expect(origins.refusal(sample({ sequence: 1, epoch: 5 }))).toBeUndefined();
  expect(origins.refusal(sample({ sequence: 1, topic: "u" }))).toBeUndefined();
  expect(origins.refusal(sample({ sequence: 1, author: 1 }))).toBeUndefined();
  origins.delete(first);
  expect(origins.refusal(sample({ sequence: 1 }))).toBeUndefined();
});

test("an origin may publish so many messages in a window of its own clock, and others are not touched", () => {
  const origins = new Origins({ messages: 3, windowMs: 10_000 });
  const sent = Array.from({ length: 3 }, () => sample());
  for (const message of sent) origins.add(message);
  expect(origins.refusal(sample())).toBe("excess");
  expect(origins.refusal(sample({ author: 1 }))).toBeUndefined();
  expect(origins.refusal(sample({ time: sent[0]!.time + 10_000 }))).toBeUndefined();
  origins.delete(sent[0]!);
  expect(origins.refusal(sample())).toBeUndefined();
});

test("an origin of which nothing is held takes no memory", () => {
  const origins = new Origins({ messages: 3, windowMs: 10_000 });
  const sent = [sample(), sample({ author: 1 }), sample({ author: 2 })];
  for (const message of sent) origins.add(message);
  expect(origins.size).toBe(3);
  for (const message of sent) origins.delete(message);
  expect(origins.size).toBe(0);
});

test("points add up to a drop, are forgiven with time, and keep a node away for a while", async () => {
  const clock = new VirtualClock();
  const standing = new Standing(clock);
  for (let i = 0; i < 3; i++) expect(standing.charge("a", PENALTY.rejected)).toBe(false);
  expect(standing.isUnwelcome("a")).toBe(true);
  expect(standing.charge("a", PENALTY.rejected)).toBe(true);
  expect(standing.isUnwelcome("b")).toBe(false);
  await clock.advance(49_000);
  expect(standing.isUnwelcome("a")).toBe(true);
  await clock.advance(1_000);
  expect(standing.isUnwelcome("a")).toBe(false);
  await clock.advance(50_000);
  expect(standing.points("a")).toBe(0);
});

test("the standing of 1,024 nodes is remembered, the latest to misbehave", () => {
  const standing = new Standing(new VirtualClock());
  for (let i = 0; i < 1_025; i++) standing.charge(`n${i}`, PENALTY.forged);
  expect(standing.isUnwelcome("n0")).toBe(false);
  expect(standing.isUnwelcome("n1")).toBe(true);
  expect(standing.isUnwelcome("n1024")).toBe(true);
});

test("nobody is charged for longer than two full drops", async () => {
  const clock = new VirtualClock();
  const standing = new Standing(clock);
  for (let i = 0; i < 50; i++) standing.charge("a", PENALTY.forged);
  expect(standing.points("a")).toBe(200);
});

test.each([
  ["key", { key: new Uint8Array(31) }, TypeError],
  ["key", { key: new Uint8Array(32) }, TypeError],
  ["limits.maxMessages", { limits: { maxMessages: 0 } }, RangeError],
  ["limits.retentionMs", { limits: { retentionMs: Number.NaN } }, RangeError],
  ["limits.origin.windowMs", { limits: { origin: { messages: 1, windowMs: -1 } } }, RangeError],
  ["limits.pushes.burst", { limits: { pushes: { perSecond: 1, burst: 0 } } }, RangeError],
  ["limits.pushBytes.burst", { limits: { pushBytes: { perSecond: 1, burst: 9_999 } } }, RangeError],
  [
    "limits.announcements.burst",
    { limits: { announcements: { perSecond: 1, burst: 1_023 } } },
    RangeError,
  ],
  ["limits.service.burst", { limits: { service: { perSecond: 1, burst: 1 } } }, RangeError],
])("a wrong %s is refused by its name", (name, options, type) => {
  const create = (): unknown => createGossip({ key: KEYS[0]!, ...options });
  expect(create).toThrow(type);
  expect(create).toThrow(name);
});

test("the defaults are complete, and nobody can change them", () => {
  expect(Object.isFrozen(DEFAULT_LIMITS)).toBe(true);
  expect(createGossip({ key: KEYS[0]!, limits: DEFAULT_LIMITS }).info().messages).toBe(0);
});

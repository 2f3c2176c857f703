import * as fc from "fast-check";
import { expect, test } from "vitest";

import { keyOf } from "../src/message.ts";
import type { GossipMessage } from "../src/index.ts";
import { compareBounds } from "../src/protocol.ts";
import type { Range } from "../src/protocol.ts";
import { MessageStore } from "../src/store.ts";
import { unsigned } from "./samples.ts";

const ROOMY = { maxMessages: 1_000_000, maxBytes: 1e9, retentionMs: 600_000 };
const ALL: Range = {
  from: { time: 0, id: new Uint8Array(0) },
  to: { time: Number.MAX_SAFE_INTEGER, id: new Uint8Array(0) },
};

function storeOf(messages: Iterable<GossipMessage>, limits = ROOMY): MessageStore {
  const store = new MessageStore(limits, () => undefined);
  for (const message of messages) store.add(message);
  return store;
}

const someMessages = fc
  .array(
    fc.tuple(fc.integer({ min: 1, max: 20 }), fc.uint8Array({ minLength: 32, maxLength: 32 })),
    {
      maxLength: 60,
    },
  )
  .map((pairs) => {
    const byKey = new Map(pairs.map(([time, id]) => [keyOf(id), unsigned({ time, id })]));
    return [...byKey.values()];
  });

test("messages are held in the order of time, then of id", () => {
  fc.assert(
    fc.property(someMessages, (messages) => {
      const store = storeOf(messages);
      expect([...store.values()]).toEqual(messages.toSorted(compareBounds));
      expect(store.size).toBe(messages.length);
      for (const message of messages) expect(store.get(keyOf(message.id))).toBe(message);
    }),
  );
});

test("two stores agree on a range exactly if they hold the same of it", () => {
  fc.assert(
    fc.property(someMessages, someMessages, fc.nat(22), fc.nat(22), (some, others, a, b) => {
      const range = { from: { ...ALL.from, time: a }, to: { ...ALL.from, time: b } };
      const [one, other] = [
        storeOf([...some, ...others]),
        storeOf([...others, ...some].toReversed()),
      ];
      expect(one.summarize(range)).toEqual(other.summarize(range));
      const inRange = some.filter(({ time }) => time >= a && time < b);
      const isSame = inRange.length === 0;
      const lacking = storeOf(others);
      expect(
        JSON.stringify(lacking.summarize(range)) === JSON.stringify(one.summarize(range)),
      ).toBe(isSame);
    }),
  );
});

test("the sum of ids carries from word to word and wraps at 2^256", () => {
  const ones = new Uint8Array(32).fill(0xff);
  const one = new Uint8Array(32);
  one[0] = 1;
  const zero = new Uint8Array(32);
  const [time, other] = [1, new Uint8Array(32).fill(7)];
  const pair = (a: Uint8Array, b: Uint8Array): Uint8Array =>
    storeOf([unsigned({ time, id: a }), unsigned({ time, id: b })]).summarize(ALL).fingerprint;
  // 2^256 - 1 and 1 sum up to 0, as 0 and nothing would if they were as many.
  expect(pair(ones, one)).toEqual(pair(zero, zero));
  expect(pair(ones, one)).not.toEqual(pair(ones, other));
});

test("splitting a range loses nothing and repeats nothing", () => {
  fc.assert(
    fc.property(someMessages, fc.integer({ min: 1, max: 20 }), (messages, parts) => {
      const store = storeOf(messages);
      const ranges = store.split(ALL, parts);
      expect(ranges.length).toBeLessThanOrEqual(parts);
      expect(ranges.flatMap((range) => store.slice(range))).toEqual([...store.values()]);
      expect(ranges[0]?.from).toEqual(ALL.from);
      expect(ranges.at(-1)?.to).toEqual(ALL.to);
      for (const [i, range] of ranges.entries()) {
        if (i > 0) expect(range.from).toEqual(ranges[i - 1]?.to);
      }
    }),
  );
});

test("however messages come, neither bound is passed, and nothing is taken twice", () => {
  const limits = { maxMessages: 20, maxBytes: 60_000, retentionMs: 10 };
  const step = fc.record({
    time: fc.integer({ min: 1, max: 60 }),
    bytes: fc.nat(3_000),
    wallNow: fc.option(fc.integer({ min: 0, max: 60 })),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const gone: GossipMessage[] = [];
      const store = new MessageStore(limits, (message) => gone.push(message));
      const taken: GossipMessage[] = [];
      for (const { time, bytes, wallNow } of steps) {
        if (wallNow !== null) store.expire(wallNow);
        // What was let go never passes the floor again.
        for (const message of gone) expect(message.time).toBeLessThanOrEqual(store.floor);
        if (time <= store.floor) continue;
        const message = unsigned({ time, bytes });
        store.add(message);
        taken.push(message);
        expect(store.size).toBeLessThanOrEqual(limits.maxMessages);
        expect(store.bytes).toBeLessThanOrEqual(limits.maxBytes);
        const held = [...store.values()];
        expect(held.length + gone.length).toBe(taken.length);
        expect(store.bytes).toBe(
          held.reduce((sum, { payload }) => sum + payload.length + 2_000, 0),
        );
      }
    }),
  );
});

test("a message is held for the retention window of its own time", () => {
  const store = storeOf([unsigned({ time: 1_000 }), unsigned({ time: 2_000 })]);
  store.expire(600_999);
  expect([store.size, store.floor]).toEqual([2, 999]);
  store.expire(601_000);
  expect([store.size, store.floor]).toEqual([1, 1_000]);
  store.expire(0);
  expect(store.floor).toBe(1_000);
});

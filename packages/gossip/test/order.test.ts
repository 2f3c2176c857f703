import { seededRandom, VirtualClock } from "@heddle/testing";
import * as fc from "fast-check";
import { expect, test } from "vitest";

import type { GossipMessage } from "../src/index.ts";
import { OrderBuffer } from "../src/order.ts";
import { unsigned } from "./samples.ts";

const WAIT_MS = 1_000;

interface Setup {
  readonly clock: VirtualClock;
  readonly buffer: OrderBuffer;
  readonly delivered: string[];
  readonly late: string[];
}

function setUp(): Setup {
  const clock = new VirtualClock();
  const delivered: string[] = [];
  const late: string[] = [];
  const buffer = new OrderBuffer(clock, WAIT_MS, {
    deliver: (message) => delivered.push(nameOf(message)),
    late: (message) => late.push(nameOf(message)),
  });
  return { clock, buffer, delivered, late };
}

function nameOf({ origin, epoch, sequence }: GossipMessage): string {
  return `${origin[0]}:${epoch}:${sequence}`;
}

function message(origin: number, epoch: number, sequence: number): GossipMessage {
  return {
    ...unsigned({ time: 1 }),
    origin: new Uint8Array(64).fill(origin),
    epoch,
    sequence,
  };
}

test("however messages are shuffled, each origin's come in order and once", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const { buffer, delivered, late, clock } = setUp();
      const sent = [1, 2, 3].flatMap((origin) =>
        Array.from({ length: 20 }, (_, i) => message(origin, 1, i + 1)),
      );
      for (const each of seededRandom(seed).shuffle(sent)) buffer.push(each);
      for (const origin of [1, 2, 3]) {
        const expected = Array.from({ length: 20 }, (_, i) => `${origin}:1:${i + 1}`);
        expect(delivered.filter((name) => name.startsWith(`${origin}:`))).toEqual(expected);
      }
      expect([late.length, buffer.size, clock.pending]).toEqual([0, 0, expect.any(Number)]);
      buffer.close();
      expect(clock.pending).toBe(0);
    }),
    { numRuns: 50 },
  );
});

test("a gap is waited for, then given up; what comes too late is counted and not delivered", async () => {
  const { buffer, clock, delivered, late } = setUp();
  buffer.push(message(1, 1, 1));
  buffer.push(message(1, 1, 3));
  buffer.push(message(1, 1, 4));
  await clock.advance(WAIT_MS - 1);
  expect(delivered).toEqual(["1:1:1"]);
  expect(buffer.size).toBe(2);
  await clock.advance(1);
  expect(delivered).toEqual(["1:1:1", "1:1:3", "1:1:4"]);
  buffer.push(message(1, 1, 2));
  expect(late).toEqual(["1:1:2"]);
  buffer.push(message(1, 1, 5));
  expect(delivered.at(-1)).toBe("1:1:5");
});

test("one origin's gap holds nobody else back", () => {
  const { buffer, delivered } = setUp();
  buffer.push(message(1, 1, 2));
  buffer.push(message(2, 1, 1));
  expect(delivered).toEqual(["2:1:1"]);
});

test("each gap has its own wait", async () => {
  const { buffer, clock, delivered } = setUp();
  buffer.push(message(1, 1, 2));
  await clock.advance(WAIT_MS / 2);
  buffer.push(message(2, 1, 2));
  await clock.advance(WAIT_MS / 2);
  expect(delivered).toEqual(["1:1:2"]);
  await clock.advance(WAIT_MS / 2);
  expect(delivered).toEqual(["1:1:2", "2:1:2"]);
});

test("a restarted origin begins anew, after what is left of its last start", () => {
  const { buffer, delivered, late } = setUp();
  buffer.push(message(1, 1, 1));
  buffer.push(message(1, 2, 1));
  buffer.push(message(1, 1, 2));
  expect(delivered).toEqual(["1:1:1", "1:2:1"]);
  expect(late).toEqual(["1:1:2"]);
});

test("a stream goes on after what was there before the subscription", () => {
  const { buffer, delivered, late } = setUp();
  buffer.pass(message(1, 1, 7));
  buffer.pass(message(1, 1, 5));
  buffer.push(message(1, 1, 8));
  buffer.push(message(1, 1, 6));
  expect(delivered).toEqual(["1:1:8"]);
  expect(late).toEqual(["1:1:6"]);
});

test("at most 1,024 messages wait; then the longest stream gives up its gap", () => {
  const { buffer, delivered } = setUp();
  buffer.push(message(2, 1, 2));
  for (let sequence = 2; sequence < 1_025; sequence++) buffer.push(message(1, 1, sequence));
  expect(buffer.size).toBe(1_024);
  buffer.push(message(1, 1, 1_025));
  expect(buffer.size).toBe(1);
  expect(delivered[0]).toBe("1:1:2");
  expect(delivered).toHaveLength(1_024);
});

test("streams without gaps are forgotten beyond 4,096, so that origins without end fill no memory", () => {
  const { buffer, clock, delivered } = setUp();
  const origin = (index: number): GossipMessage => {
    const each = message(0, 1, 1);
    each.origin[0] = index >> 8;
    each.origin[1] = index & 0xff;
    return each;
  };
  for (let index = 0; index < 4_098; index++) buffer.push(origin(index));
  // The first origin's place is forgotten: its first message counts as the first again.
  buffer.push(origin(0));
  expect(delivered).toHaveLength(4_099);
  expect(clock.pending).toBe(0);
});

test("nothing is delivered after closing, not even from within a delivery", () => {
  const delivered: number[] = [];
  const clock = new VirtualClock();
  const buffer: OrderBuffer = new OrderBuffer(clock, WAIT_MS, {
    deliver({ sequence }) {
      delivered.push(sequence);
      buffer.close();
    },
    late: () => undefined,
  });
  buffer.push(message(1, 1, 2));
  buffer.push(message(1, 1, 3));
  buffer.push(message(1, 1, 1));
  expect(delivered).toEqual([1]);
  expect([buffer.size, clock.pending]).toEqual([0, 0]);
});

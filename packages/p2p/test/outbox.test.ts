import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { MESSAGE_OVERHEAD, messageCost } from "../src/inbox.ts";
import { Outbox, OutQueue, QUANTUM } from "../src/outbox.ts";
import type { Outgoing } from "../src/outbox.ts";

const item = (msgId: number, size = 0): Outgoing => ({
  msgId,
  payload: new Uint8Array(size),
  release: false,
});

/** Everything that may leave, in the order it does. */
function drain(outbox: Outbox): Outgoing[] {
  const items: Outgoing[] = [];
  for (let next = outbox.next(); next !== undefined; next = outbox.next()) items.push(next);
  return items;
}

const idsOf = (items: readonly Outgoing[]): number[] => items.map(({ msgId }) => msgId);

/** An outbox whose queues, numbered from 0, send messages with their number as id. */
function queuesOf(...messages: readonly (readonly number[])[]): {
  outbox: Outbox;
  queues: OutQueue[];
} {
  const outbox = new Outbox();
  const queues = messages.map((sizes, id) => {
    const queue = new OutQueue();
    for (const size of sizes) outbox.push(queue, item(id, size));
    return queue;
  });
  return { outbox, queues };
}

const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

describe("a queue", () => {
  test("is first in, first out, and knows its cost", () => {
    const queue = new OutQueue();
    for (let id = 0; id < 5_000; id += 1) queue.push(item(id, 1));
    expect(queue.cost).toBe(5_000 * (1 + MESSAGE_OVERHEAD));
    for (let id = 0; id < 5_000; id += 1) {
      expect(queue.peek()?.msgId).toBe(id);
      queue.shift();
    }
    expect([queue.size, queue.cost, queue.peek()]).toEqual([0, 0, undefined]);
    queue.shift();
    expect([queue.size, queue.cost]).toEqual([0, 0]);
  });

  test("keeps order and count when it is never empty", () => {
    const queue = new OutQueue();
    queue.push(item(0, 3));
    for (let id = 1; id < 10_000; id += 1) {
      queue.push(item(id, 3));
      expect(queue.peek()?.msgId).toBe(id - 1);
      queue.shift();
    }
    expect([queue.size, queue.cost]).toEqual([1, 3 + MESSAGE_OVERHEAD]);
  });
});

describe("base messages", () => {
  test("leave before everything else, in their order", () => {
    const { outbox } = queuesOf([10, 10], [10]);
    outbox.pushBase(item(100));
    outbox.pushBase(item(101));
    expect(outbox.baseSize).toBe(2);
    expect(idsOf(drain(outbox)).slice(0, 2)).toEqual([100, 101]);
    expect(outbox.baseSize).toBe(0);
  });

  test("overtake what is already under way", () => {
    const { outbox } = queuesOf(times(3, 10));
    outbox.next();
    outbox.pushBase(item(100));
    expect(idsOf(drain(outbox))).toEqual([100, 0, 0]);
  });

  test("leave although every window is closed", () => {
    const { outbox, queues } = queuesOf([]);
    const [queue] = queues as [OutQueue];
    queue.window = 0;
    outbox.push(queue, item(0));
    outbox.pushBase(item(100));
    expect(idsOf(drain(outbox))).toEqual([100]);
  });
});

describe("the round", () => {
  test("is empty in an empty outbox", () => {
    expect(new Outbox().next()).toBeUndefined();
  });

  test("lets a small message pass a queue full of large ones", () => {
    const { outbox, queues } = queuesOf(times(10, 2 ** 24 - 1), []);
    outbox.next();
    outbox.push(queues[1] as OutQueue, item(1, 10));
    expect(idsOf([outbox.next(), outbox.next()] as Outgoing[])).toContain(1);
  });

  test("turns by bytes, not by messages", () => {
    const { outbox } = queuesOf(times(4_000, 100), times(40, 100_000));
    const sent = [0, 0];
    for (let i = 0; i < 2_000; i += 1) {
      const { msgId, payload } = outbox.next() as Outgoing;
      sent[msgId] = (sent[msgId] ?? 0) + messageCost(payload);
    }
    expect(Math.abs((sent[0] ?? 0) - (sent[1] ?? 0))).toBeLessThanOrEqual(QUANTUM + 2 * 100_256);
  });

  test("owes a queue that sent alone nothing for its past, and lets it claim nothing from it", () => {
    const { outbox, queues } = queuesOf(times(3_000, 1_000), []);
    for (let i = 0; i < 1_000; i += 1) outbox.next();
    const late = queues[1] as OutQueue;
    for (let i = 0; i < 1_000; i += 1) outbox.push(late, item(1, 1_000));
    const sent = [0, 0];
    for (let i = 0; i < 1_000; i += 1) {
      const { msgId } = outbox.next() as Outgoing;
      sent[msgId] = (sent[msgId] ?? 0) + 1;
    }
    const turns = Math.ceil(QUANTUM / 1_256);
    expect(Math.abs((sent[0] ?? 0) - (sent[1] ?? 0))).toBeLessThanOrEqual(turns + 1);
  });

  test("saves up nothing for a queue while it has nothing to send", () => {
    const { outbox, queues } = queuesOf([100], [100]);
    drain(outbox);
    for (const queue of queues) expect([queue.deficit, queue.isActive]).toEqual([0, false]);
  });

  test("loses and reorders nothing, and gives busy queues equal shares of bytes", () => {
    const size = fc.oneof(fc.nat(500), fc.nat(40_000), fc.constantFrom(0, 16_128, 200_000));
    const sizes = fc.array(fc.array(size, { maxLength: 60 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(sizes, (messages) => {
        const { outbox, queues } = queuesOf(...messages);
        const waiting = messages.map((own) => [...own]);
        const sent = messages.map(() => 0);
        const largest = Math.max(0, ...messages.flat()) + MESSAGE_OVERHEAD;
        for (let next = outbox.next(); next !== undefined; next = outbox.next()) {
          const { msgId, payload } = next;
          expect(payload).toHaveLength(waiting[msgId]?.shift() ?? -1);
          sent[msgId] = (sent[msgId] ?? 0) + messageCost(payload);
          // Shreedhar and Varghese, theorem 2: queues that have been busy throughout differ by no more.
          const busy = sent.filter((_, id) => (waiting[id]?.length ?? 0) > 0);
          const spread = Math.max(0, ...busy) - Math.min(...busy, Number.POSITIVE_INFINITY);
          if (busy.length > 1) expect(spread).toBeLessThanOrEqual(QUANTUM + 2 * largest);
        }
        expect(waiting.flat()).toEqual([]);
        expect(queues.map(({ cost }) => cost)).toEqual(queues.map(() => 0));
      }),
      { numRuns: 200 },
    );
  });
});

describe("a window", () => {
  test("lets messages leave while it is above zero, then blocks its own queue alone", () => {
    const { outbox, queues } = queuesOf([], []);
    const [blocked, free] = queues as [OutQueue, OutQueue];
    blocked.window = 1_000;
    for (let i = 0; i < 5; i += 1) {
      outbox.push(blocked, item(0, 500));
      outbox.push(free, item(1, 500));
    }
    const ids = idsOf(drain(outbox));
    expect(ids.filter((id) => id === 0)).toHaveLength(2);
    expect(ids.filter((id) => id === 1)).toHaveLength(5);
    expect(blocked.window).toBe(1_000 - 2 * 756);
    expect(outbox.next()).toBeUndefined();
  });

  test("unblocks its queue when it opens again, and not before it is above zero", () => {
    const { outbox, queues } = queuesOf([]);
    const [queue] = queues as [OutQueue];
    queue.window = 1;
    outbox.push(queue, item(0, 100));
    outbox.push(queue, item(1, 100));
    expect(idsOf(drain(outbox))).toEqual([0]);
    queue.window += 355;
    outbox.activate(queue);
    expect(queue.window).toBe(0);
    expect(drain(outbox)).toEqual([]);
    queue.window += 1;
    outbox.activate(queue);
    outbox.activate(queue);
    expect(idsOf(drain(outbox))).toEqual([1]);
  });

  test("that opens for an empty queue changes nothing until there is something to send", () => {
    const { outbox, queues } = queuesOf([]);
    const [queue] = queues as [OutQueue];
    queue.window = 1_000;
    outbox.activate(queue);
    expect(outbox.next()).toBeUndefined();
    outbox.push(queue, item(0));
    expect(idsOf(drain(outbox))).toEqual([0]);
  });

  test("is given back by a message that could not leave after all", () => {
    const { outbox, queues } = queuesOf([]);
    const [queue] = queues as [OutQueue];
    queue.window = 300;
    outbox.push(queue, item(0, 100));
    outbox.push(queue, item(1, 100));
    outbox.takeBack(outbox.next() as Outgoing);
    expect(queue.window).toBe(300);
    expect(idsOf(drain(outbox))).toEqual([1]);
  });

  test("however it opens and closes, loses and reorders nothing and is never overdrawn by two", () => {
    const step = fc.record({
      queue: fc.nat(2),
      what: fc.constantFrom("push", "grant", "next"),
      bytes: fc.nat(20_000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const { outbox, queues } = queuesOf([], [], []);
        for (const queue of queues) queue.window = 10_000;
        const waiting: number[][] = [[], [], []];
        const take = (): boolean => {
          const windows = queues.map(({ window }) => window);
          const next = outbox.next();
          if (next === undefined) return false;
          expect(windows[next.msgId]).toBeGreaterThan(0);
          expect(next.payload).toHaveLength(waiting[next.msgId]?.shift() ?? -1);
          return true;
        };
        for (const { queue: id, what, bytes } of steps) {
          const queue = queues[id] as OutQueue;
          if (what === "next") take();
          else if (what === "push") {
            waiting[id]?.push(bytes);
            outbox.push(queue, item(id, bytes));
          } else {
            queue.window += bytes;
            outbox.activate(queue);
          }
        }
        while (take());
        for (const queue of queues) expect(queue.size === 0 || queue.window <= 0).toBe(true);
        for (const queue of queues) {
          queue.window = Number.POSITIVE_INFINITY;
          outbox.activate(queue);
        }
        while (take());
        expect(waiting.flat()).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});

test("when it fails, tells everybody who waits, once, and holds nothing", () => {
  const gone = new Error("gone");
  const told: unknown[] = [];
  const outbox = new Outbox();
  const queues = [new OutQueue(), new OutQueue()];
  const note = (error: Error): void => void told.push(error);
  for (const queue of queues) {
    outbox.push(queue, { ...item(0), failed: note });
    outbox.push(queue, item(1));
  }
  outbox.pushBase({ ...item(2), failed: note });
  outbox.fail(queues, gone);
  outbox.fail(queues, gone);
  expect(told).toEqual([gone, gone, gone]);
  expect(outbox.next()).toBeUndefined();
  expect(queues.map(({ size, cost }) => [size, cost])).toEqual([
    [0, 0],
    [0, 0],
  ]);
});

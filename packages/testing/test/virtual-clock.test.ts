import { array, assert, asyncProperty, boolean, integer, record } from "fast-check";
import { sleep, TimeoutError } from "@heddle/p2p";
import { expect, test } from "vitest";

import { VirtualClock } from "../src/index.ts";

test("timers run in the order of their time, then of their setting", async () => {
  await assert(
    asyncProperty(
      array(record({ ms: integer({ min: 1, max: 20 }), isCleared: boolean() })),
      async (timers) => {
        const clock = new VirtualClock();
        const ran: number[] = [];
        const handles = timers.map(({ ms }, i) => clock.setTimeout(() => ran.push(i), ms));
        for (const [i, { isCleared }] of timers.entries()) {
          if (isCleared) clock.clearTimeout(handles[i]);
        }
        const expected = [...timers.entries()]
          .filter(([, { isCleared }]) => !isCleared)
          .toSorted(([i, a], [j, b]) => a.ms - b.ms || i - j)
          .map(([i]) => i);
        expect(clock.pending).toBe(expected.length);
        await clock.advance(20);
        expect(ran).toEqual(expected);
        expect(clock.pending).toBe(0);
      },
    ),
    { numRuns: 50 },
  );
});

test("the time shown is the one a timer was due at, and at the end what was asked for", async () => {
  const clock = new VirtualClock(1_000);
  const seen: number[] = [];
  clock.setTimeout(() => seen.push(clock.now(), clock.wallNow()), 30);
  await clock.advance(100);
  expect(seen).toEqual([30, 1_030]);
  expect([clock.now(), clock.wallNow()]).toEqual([100, 1_100]);
});

test("promises, ticks and immediates run between two timers of the same time", async () => {
  const clock = new VirtualClock();
  const events: string[] = [];
  clock.setTimeout(() => {
    events.push("first");
    process.nextTick(() => {
      events.push("tick");
      setImmediate(() => events.push("immediate"));
    });
    void Promise.resolve()
      .then(() => undefined)
      .then(() => events.push("promise"));
  }, 5);
  clock.setTimeout(() => events.push("second"), 5);
  await clock.advance(5);
  expect(events.toSorted()).toEqual(["first", "immediate", "promise", "second", "tick"]);
  expect([events[0], events.at(-1)]).toEqual(["first", "second"]);
});

test("what timers set up counts when it is due, and no chain keeps time from passing", async () => {
  const clock = new VirtualClock();
  let count = 0;
  const again = (): void => {
    count += 1;
    clock.setTimeout(again, 0);
  };
  again();
  await clock.advance(10);
  expect(count).toBe(11);
});

test("a loop of sleeps runs to its end in no real time", async () => {
  const clock = new VirtualClock();
  const loop = (async () => {
    for (let i = 0; i < 60; i++) await sleep(clock, 60_000);
    return clock.now();
  })();
  expect(await clock.settle(loop, { limitMs: 3_600_000 })).toBe(3_600_000);
});

test("it runs until something holds, and no further", async () => {
  const clock = new VirtualClock();
  let count = 0;
  for (const ms of [10, 20, 30]) clock.setTimeout(() => count++, ms);
  await clock.runUntil(() => count === 2);
  expect([clock.now(), clock.pending]).toEqual([20, 1]);
});

test("a wait gives up when its time is over, and when nothing is left to wait for", async () => {
  const clock = new VirtualClock();
  await expect(clock.runUntil(() => false)).rejects.toThrow("no timer is set");
  clock.setTimeout(() => undefined, 1_000);
  await expect(clock.runUntil(() => false, { limitMs: 500 })).rejects.toThrow(TimeoutError);
  expect(clock.now()).toBe(500);
});

test("a rejection is passed on", async () => {
  const clock = new VirtualClock();
  const failing = sleep(clock, 10).then(() => Promise.reject(new Error("as planned")));
  await expect(clock.settle(failing)).rejects.toThrow("as planned");
});

test("it refuses a time that is none, and two at once", async () => {
  const clock = new VirtualClock();
  await expect(clock.advance(-1)).rejects.toThrow(RangeError);
  await expect(clock.advance(Number.NaN)).rejects.toThrow(RangeError);
  const first = clock.advance(1);
  await expect(clock.advance(1)).rejects.toThrow("already");
  await first;
});

test("clearing what has run, what is cleared or nothing does no harm", async () => {
  const clock = new VirtualClock();
  const handle = clock.setTimeout(() => undefined, 1);
  await clock.advance(1);
  clock.setTimeout(() => undefined, 1);
  clock.clearTimeout(handle);
  clock.clearTimeout(undefined);
  expect(clock.pending).toBe(1);
});

import * as fc from "fast-check";
import { expect, test } from "vitest";

import { DialHistory } from "../src/history.ts";
import { ManualClock } from "./manual-clock.ts";

function setUp(options: { windowMs?: number; maxEntries?: number } = {}) {
  const clock = new ManualClock();
  return { clock, history: new DialHistory({ clock, windowMs: 35_000, ...options }) };
}

test("a node counts as dialed until its window is over, and from its first dial on", () => {
  const { clock, history } = setUp();
  expect(history.note("a")).toBe(true);
  clock.advance(20_000);
  expect(history.note("a")).toBe(false);
  clock.advance(14_999);
  expect(history.note("a")).toBe(false);
  clock.advance(1);
  expect(history.note("a")).toBe(true);
  expect(history.note("a")).toBe(false);
});

test("10,000 nodes are remembered, and one more makes it forget the oldest alone", () => {
  const { history } = setUp();
  for (let n = 0; n < 10_000; n += 1) expect(history.note(`${n}`)).toBe(true);
  expect(history.note("0")).toBe(false);
  expect(history.note("new")).toBe(true);
  expect(history.size).toBe(10_000);
  expect(history.note("1")).toBe(false);
  expect(history.note("0")).toBe(true);
  expect(history.note("1")).toBe(true);
});

test("what is over is dropped with the next call, all of it", () => {
  const { clock, history } = setUp();
  for (let n = 0; n < 5_000; n += 1) history.note(`${n}`);
  clock.advance(35_000);
  expect(history.size).toBe(5_000);
  history.note("new");
  expect(history.size).toBe(1);
});

test("sets no timer", () => {
  const { clock, history } = setUp();
  history.note("a");
  expect(clock.pending).toBe(0);
});

test("decides like a list of all that was noted", () => {
  const step = fc.record({ ms: fc.nat(400), key: fc.nat(12) });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 300 }),
      fc.integer({ min: 1, max: 8 }),
      (steps, max) => {
        const { clock, history } = setUp({ windowMs: 1_000, maxEntries: max });
        let noted: { key: number; at: number }[] = [];
        for (const { ms, key } of steps) {
          clock.advance(ms);
          noted = noted.filter(({ at }) => clock.now() - at < 1_000);
          const isNew = !noted.some((entry) => entry.key === key);
          if (isNew) noted = [...noted, { key, at: clock.now() }].slice(-max);
          expect(history.note(`${key}`)).toBe(isNew);
          expect(history.size).toBe(noted.length);
        }
      },
    ),
  );
});

test("a history that is kept full goes on forgetting the oldest, and nothing else", () => {
  const { history } = setUp();
  for (let n = 0; n < 200_000; n += 1) history.note(`${n}`);
  expect(history.size).toBe(10_000);
  expect(history.note("190000")).toBe(false);
  expect(history.note("189999")).toBe(true);
});

import { expect, test } from "vitest";

import { count, createCounters, createProtocolCounters, increment } from "../src/counters.ts";

test("starts from nothing, each set of counters on its own", () => {
  const counters = createCounters();
  expect(counters).toEqual({
    dials: { succeeded: 0, failed: {} },
    serves: { succeeded: 0, failed: {}, refused: 0 },
    disconnects: { local: {}, remote: {} },
    protocols: {},
    detached: {},
  });
  counters.dials.succeeded += 1;
  increment(counters.disconnects.local, 0x08);
  expect(createCounters().dials.succeeded).toBe(0);
  expect(createCounters().disconnects.local).toEqual({});
});

test("counts messages and bytes by code and direction", () => {
  const counters = createProtocolCounters();
  count(counters.in, 0, 100);
  count(counters.in, 0, 0);
  count(counters.in, 7, 5);
  count(counters.out, 0, 1);
  expect(counters).toEqual({
    in: { 0: { messages: 2, bytes: 100 }, 7: { messages: 1, bytes: 5 } },
    out: { 0: { messages: 1, bytes: 1 } },
    discarded: 0,
  });
});

test("adds one under names and numbers alike", () => {
  const counts: Record<string | number, number> = {};
  for (const key of ["dial", 0x04, "dial"]) increment(counts, key);
  expect(counts).toEqual({ dial: 2, 4: 1 });
});

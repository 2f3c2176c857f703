import { expect, test } from "vitest";

import { goOffline, loseConnections, partition } from "./faults.ts";

const SIZE = { nodes: 24, messages: 30 };

/** For machines that do something else as well. */
const PATIENCE_MS = 120_000;

test(
  "with a fifth of the connections lost, everybody gets everything, once",
  async () => {
    const { expected, after, repeated } = await loseConnections(SIZE);
    expect([after, repeated]).toEqual([expected, 0]);
  },
  PATIENCE_MS,
);

test(
  "after a partition of a minute heals, everybody gets what the other side said, once",
  async () => {
    const { expected, before, after, repeated } = await partition(SIZE);
    expect(before).toBeLessThan(0.6 * expected);
    expect([after, repeated]).toEqual([expected, 0]);
  },
  PATIENCE_MS,
);

test(
  "nodes that were offline for a minute catch up",
  async () => {
    const { expected, before, after, repeated } = await goOffline(SIZE);
    expect(before).toBeLessThan(0.9 * expected);
    expect([after, repeated]).toEqual([expected, 0]);
  },
  PATIENCE_MS,
);

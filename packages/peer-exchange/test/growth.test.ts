import { expect, test } from "vitest";

import { simulateGrowth } from "./simulation/growth.ts";

test("of thirty nodes that join one by one each is soon known to all, and thirty percent can be killed", async () => {
  const result = await simulateGrowth({
    nodes: 30,
    joinEveryMs: 1_000,
    settleMs: 30_000,
    killed: 0.3,
    seed: 1,
  });
  for (const reached of [result.knows, result.isKnown, result.degree]) {
    expect(reached.missing).toBe(0);
    expect(reached.percentile95).toBeLessThan(10_000);
  }
  // Nodes that play by the rules are never held to have broken them.
  expect(Object.keys(result.refused)).toEqual([]);
  expect(result.connectedAtOnce).toBe(1);
  expect(result.connectedLater).toBe(1);
});

import { expect, test } from "vitest";

import { measureSpread } from "./simulation.ts";

test("each of a hundred nodes gets each broadcast exactly once, in a few hops, and at half the cost of flooding", async () => {
  const size = { messages: 12, seed: 3 };
  const small = await measureSpread({ ...size, nodes: 40, way: "gossip" });
  const large = await measureSpread({ ...size, nodes: 100, way: "gossip" });
  const flood = await measureSpread({ ...size, nodes: 40, way: "flood" });
  for (const spread of [small, large, flood]) {
    expect([spread.delivered, spread.repeated]).toEqual([spread.expected, 0]);
  }
  expect(large.hops.median).toBeLessThanOrEqual(5);
  expect(large.hops.worst).toBeLessThanOrEqual(10);
  // What it costs a node does not grow with the network.
  expect(large.bytesPerNode).toBeLessThan(1.1 * small.bytesPerNode);
  expect(large.messagesPerNode).toBeLessThan(1.15 * small.messagesPerNode);
  expect(large.bytesPerNode).toBeLessThan(0.6 * flood.bytesPerNode);
}, 120_000);

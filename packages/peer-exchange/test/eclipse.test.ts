import { expect, test } from "vitest";

import { simulateEclipse } from "./simulation/eclipse.ts";
import type { EclipseResult } from "./simulation/eclipse.ts";

const SEEDS = [1, 2, 3];

function mean(results: readonly EclipseResult[], part: keyof EclipseResult): number {
  return results.reduce((sum, result) => sum + result[part], 0) / results.length;
}

test("an attacker with ten times the addresses, out of 8 subnets, gets no more slots than its share of the subnets", async () => {
  const attack = { honest: 100, factor: 10, subnets: 8, uptime: 1, rounds: 400 };
  const results = await Promise.all(SEEDS.map((seed) => simulateEclipse({ ...attack, seed })));
  expect(mean(results, "addressShare")).toBeCloseTo(10 / 11);
  expect(mean(results, "subnetShare")).toBeCloseTo(8 / 108);
  expect(mean(results, "slotShare")).toBeLessThanOrEqual(8 / 108);
  // Each of its subnets has 16 places in the book, whatever it sends.
  expect(mean(results, "bookShare")).toBeCloseTo(128 / 228);
});

test("where half of the honest nodes are away the attacker still never has every slot", async () => {
  const attack = { honest: 100, factor: 10, subnets: 8, uptime: 0.5, rounds: 400 };
  const results = await Promise.all(SEEDS.map((seed) => simulateEclipse({ ...attack, seed })));
  expect(mean(results, "eclipsed")).toBe(0);
  // Of the subnets that answer; a margin for chance, which the seeds fix.
  expect(mean(results, "slotShare")).toBeLessThanOrEqual((8 / 58) * 1.15);
});

import { parseArgs } from "node:util";

import { fairness, flooded, fullSpeed, manyPeers, neverReads, slowReader } from "./cases.ts";
import type { Effort, Lane, Row } from "./cases.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});

const short: Effort = values.quick
  ? { seconds: 3, runs: 1, peers: 200 }
  : { seconds: 10, runs: 1, peers: 2_000 };
const long: Effort = values.quick ? short : { seconds: 60, runs: 1, peers: 2_000 };
const repeated: Effort = values.quick ? { ...short, runs: 2 } : { seconds: 30, runs: 20, peers: 0 };

function beside(size: number, how: Lane, reader: "read" | "keep" = "read"): () => Promise<Row> {
  return () => fairness({ size, how, reader }, short);
}

const cases: Readonly<Record<string, () => Promise<Row>>> = {
  "fair-64KiB": beside(64 * 1024, "fair"),
  "fair-64KiB-kept": beside(64 * 1024, "fair", "keep"),
  "fifo-64KiB": beside(64 * 1024, "fifo"),
  "fair-1MiB": beside(1024 * 1024, "fair"),
  "fifo-1MiB": beside(1024 * 1024, "fifo"),
  "slow-reader": () => slowReader(long, "flow", 64 * 1024),
  "slow-reader-small": () => slowReader(long, "flow", 300),
  "slow-reader-plain": () => slowReader(long, "plain", 64 * 1024),
  "never-reads": () => neverReads("flow"),
  "never-reads-plain": () => neverReads("plain"),
  "flood-silent": () => flooded("silent"),
  "flood-after-ecies": () => flooded("after-ecies"),
  "flood-trickle": () => flooded("trickle"),
  peers: () => manyPeers(short),
  "full-speed": () => fullSpeed(repeated),
};

for (const [name, measure] of Object.entries(cases)) {
  if (!name.includes(values.only)) continue;
  console.log(`… ${name}`);
  const { name: title, figures } = await measure();
  const shown = Object.entries(figures).map(([key, value]) => `${key}=${value}`);
  console.log(`${title}: ${shown.join("  ")}`);
}

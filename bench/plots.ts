import { fileURLToPath } from "node:url";

import type { Effort } from "./effort.ts";
import { findGeth } from "./geth.ts";
import type { Say } from "./field.ts";
import { writeLinePlot } from "./line-plot.ts";
import type { LinePlot, Series } from "./line-plot.ts";
import { holdMore, measure, warmUp } from "./measure.ts";
import { nodeStack, ProcessPair } from "./process-pair.ts";
import type { Stack } from "./process-pair.ts";
import { median } from "./statistics.ts";
import { formatNumber } from "./table.ts";
import { oneWay, works } from "./works.ts";
import type { Work } from "./works.ts";

const FOLDER = fileURLToPath(new URL("plots/", import.meta.url));

/** Bytes: four times more each, and 8 MiB, half of what a message may have. */
const SIZES = [16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 8_388_608];
const PROTOCOLS = [1, 2, 4, 8, 16, 32, 64];
const PEERS = [1, 10, 50, 200, 500, 1_000, 2_000];
const MAX_PROTOCOLS = 64;

/** Measures a stack at one step, after the one before. */
type Measure = (pair: ProcessPair, step: number, before: number) => Promise<number>;

interface Growth {
  readonly file: string;
  readonly plot: Omit<LinePlot, "series">;
  readonly steps: readonly number[];
  readonly channels?: number;
  readonly measure: Measure;
  /** Steps build upon each other, and so are gone through once. */
  readonly isOnce?: boolean;
}

/** What cost grows with. */
function growths(effort: Effort): Growth[] {
  const rate = async (pair: ProcessPair, work: Work): Promise<number> => {
    await warmUp(pair, work, { ...effort, warmMs: effort.ms / 2 });
    return (await measure(pair, work, effort)).figure;
  };
  const roundTrips = works.find(({ name }) => name === "foobar-rtt");
  if (roundTrips === undefined) throw new Error("there is no foobar-rtt");
  return [
    {
      file: "message-size.svg",
      plot: {
        title: "One protocol, messages one way",
        x: { label: "bytes in a message", isLogarithmic: true },
        y: { label: "MB/s", isLogarithmic: true },
      },
      steps: SIZES,
      measure: async (pair, size) => ((await rate(pair, oneWay(`${size} B`, size))) * size) / 1e6,
    },
    {
      file: "protocols.svg",
      plot: {
        title: "Messages of 1 KiB on all protocols at once",
        x: { label: "protocols on the connection", isLogarithmic: true },
        y: { label: "messages a second, in all" },
      },
      steps: PROTOCOLS,
      channels: MAX_PROTOCOLS,
      measure: (pair, channels) => rate(pair, oneWay(`${channels} protocols`, 1024, { channels })),
    },
    {
      file: "peers.svg",
      plot: {
        title: "foo/bar with one peer, beside idle ones",
        x: { label: "idle peers", isLogarithmic: true },
        y: { label: "round trips a second" },
      },
      steps: PEERS,
      isOnce: true,
      measure: async (pair, peers, before) => {
        await holdMore(pair, peers - before);
        return rate(pair, roundTrips);
      },
    },
    {
      file: "memory.svg",
      plot: {
        title: "Resident memory of the process that listens",
        x: { label: "idle peers" },
        y: { label: "MiB" },
      },
      steps: PEERS,
      isOnce: true,
      measure: async (pair, peers, before) => {
        await holdMore(pair, peers - before);
        return (await pair.servingKiB()) / 1024;
      },
    },
  ];
}

/** The stacks of these names, of those whose cost is drawn. */
async function stacksFor(
  names: readonly string[],
  channels: number | undefined,
  say: Say,
): Promise<Stack[]> {
  const stacks: Stack[] = [];
  for (const name of names) {
    const stack = name === "geth" ? await findGeth(channels) : nodeStack(name, channels);
    if ("missing" in stack) say(`SKIPPED: the line of geth, because ${stack.missing}`);
    else stacks.push(stack);
  }
  return stacks;
}

/** Measures how cost grows and draws it into `plots/`. */
export async function drawPlots(names: readonly string[], effort: Effort, say: Say): Promise<void> {
  for (const growth of growths(effort)) {
    const series = await measureGrowth(growth, names, effort, say);
    await writeLinePlot(`${FOLDER}${growth.file}`, { ...growth.plot, series });
    say(`bench/plots/${growth.file} is drawn`);
  }
}

async function measureGrowth(
  growth: Growth,
  names: readonly string[],
  effort: Effort,
  say: Say,
): Promise<Series[]> {
  const { steps, channels, file, isOnce } = growth;
  const pairs: [name: string, pair: ProcessPair][] = [];
  try {
    for (const stack of await stacksFor(names, channels, say)) {
      pairs.push([stack.name, await ProcessPair.start(stack)]);
    }
    const rounds = isOnce === true ? 1 : Math.min(3, effort.rounds);
    const points = pairs.map((): [number, number][] => []);
    for (const [at, step] of steps.entries()) {
      const figures = await measureStep(pairs, rounds, (pair) =>
        growth.measure(pair, step, steps[at - 1] ?? 0),
      );
      for (const [n, figure] of figures.entries()) points[n]?.push([step, figure]);
      const shown = pairs.map(([name], n) => `${name} ${formatNumber(figures[n] ?? Number.NaN)}`);
      say(`${file} at ${step}: ${shown.join("  ")}`);
    }
    return pairs.map(([name], n) => ({ name, points: points[n] ?? [] }));
  } finally {
    await Promise.all(pairs.map(([, pair]) => pair[Symbol.asyncDispose]()));
  }
}

/** The median of each pair's rounds; in every round each has its turn. */
async function measureStep(
  pairs: readonly (readonly [name: string, pair: ProcessPair])[],
  rounds: number,
  measureOne: (pair: ProcessPair) => Promise<number>,
): Promise<number[]> {
  const figures = pairs.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [n, [, pair]] of pairs.entries()) figures[n]?.push(await measureOne(pair));
  }
  return figures.map(median);
}

import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { writeLinePlot } from "../line-plot.ts";
import type { Series } from "../line-plot.ts";
import { replaceSection } from "../readme.ts";
import { readArgs, readCall } from "../wrong-call.ts";
import { loadSimulations } from "./simulation.ts";
import type { Outcome, Simulations, Spread } from "./simulation.ts";

const USAGE = `usage: bench/gossip/main.ts

It takes half an hour, and rewrites the figures and plots of its README.`;

const SIZES = [50, 100, 200, 500, 1_000, 2_000] as const;
const PAYLOADS = [16, 256, 1_024, 4_096, 16_384] as const;
const WAYS = ["gossip", "flood"] as const;

/** Each network as large as this times its broadcasts, or so; less than ten broadcasts say little. */
const DELIVERIES = 40_000;

type Rows = readonly (readonly (string | number)[])[];

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function fixed(value: number, digits = 0): string {
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function table(head: readonly string[], rows: Rows): string {
  const lines = [head, head.map((_, column) => (column === 0 ? "---" : "--:")), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function path(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

/** 1,000 broadcasts in a network of 100 nodes, and what goes wrong there. */
async function atOneHundred(simulations: Simulations): Promise<string> {
  const size = { nodes: 100, messages: 1_000 };
  const rows: (string | number)[][] = [];
  for (const way of WAYS) {
    const { delivered, expected, hops, repeated } = await simulations.measureSpread({
      ...size,
      way,
    });
    say(`${way}: ${delivered} of ${expected} delivered, ${repeated} twice`);
    const share = `${fixed(delivered)} of ${fixed(expected)}`;
    rows.push([way, share, repeated, hops.median, hops.p99, hops.worst]);
  }
  const spread = table(["way", "delivered", "twice", "hops, median", "99 %", "worst"], rows);
  const trials: Rows = [
    trialRow("20 % of the connections lost for good", await simulations.loseConnections(size)),
    trialRow("two halves apart for 60 s", await simulations.partition(size)),
    trialRow("20 nodes offline for 60 s", await simulations.goOffline(size)),
  ];
  const head = [
    "what goes wrong",
    "delivered meanwhile",
    "in the end",
    "twice",
    "all healed after",
  ];
  return `${spread}\n\n${table(head, trials)}`;
}

function trialRow(name: string, outcome: Outcome): (string | number)[] {
  const { after, before, expected, healedInS, repeated } = outcome;
  say(`${name}: ${after} of ${expected}, ${repeated} twice, after ${healedInS} s`);
  const share = (count: number): string => `${fixed((100 * count) / expected, 1)} %`;
  return [name, share(before), share(after), repeated, `${fixed(healedInS, 1)} s`];
}

/** What a broadcast costs a node, in ever larger networks. */
async function bySize(simulations: Simulations): Promise<string> {
  const steps: { readonly at: number; readonly spreads: readonly Spread[] }[] = [];
  for (const nodes of SIZES) {
    const messages = Math.max(10, Math.min(200, Math.round(DELIVERIES / nodes)));
    const spreads: Spread[] = [];
    for (const way of WAYS) spreads.push(await simulations.measureSpread({ nodes, messages, way }));
    say(
      `N = ${nodes}: ${spreads.map(({ bytesPerNode }) => fixed(bytesPerNode)).join(" against ")} B`,
    );
    steps.push({ at: nodes, spreads });
  }
  const x = { label: "nodes", isLogarithmic: true };
  const title = "What one broadcast of 256 bytes costs each node";
  const draw = (file: string, label: string, of: (spread: Spread) => number): Promise<void> =>
    writeLinePlot(path(file), { title, x, y: { label }, series: seriesOf(steps, of) });
  await draw("bytes.svg", "bytes sent", ({ bytesPerNode }) => bytesPerNode);
  await draw("messages.svg", "messages sent", ({ messagesPerNode }) => messagesPerNode);
  const rows = steps.map(({ at, spreads }) => [
    fixed(at),
    ...spreads.map(({ bytesPerNode }) => fixed(bytesPerNode)),
    ...spreads.map(({ messagesPerNode }) => fixed(messagesPerNode, 2)),
    ...spreads.map(({ hops }) => `${hops.median}, ${hops.worst}`),
    spreads.every(({ delivered, expected }) => delivered === expected) ? "yes" : "NO",
  ]);
  const columns = ["bytes", "messages", "hops"].flatMap((what) =>
    WAYS.map((way) => `${what}, ${way}`),
  );
  return table(["nodes", ...columns, "all delivered"], rows);
}

/** What a broadcast costs a node, by what it carries. */
async function byPayload(simulations: Simulations): Promise<string> {
  const rows: (string | number)[][] = [];
  for (const payloadBytes of PAYLOADS) {
    const size = { nodes: 100, messages: 50, payloadBytes };
    const bytes: number[] = [];
    for (const way of WAYS) {
      bytes.push((await simulations.measureSpread({ ...size, way })).bytesPerNode);
    }
    const [gossip = Number.NaN, flood = Number.NaN] = bytes;
    say(`${payloadBytes} B: ${fixed(gossip)} against ${fixed(flood)} B`);
    const share = `${fixed((100 * gossip) / flood)} %`;
    rows.push([fixed(payloadBytes), fixed(gossip), fixed(flood), share]);
  }
  return table(["payload", "bytes, gossip", "bytes, flood", "share"], rows);
}

function seriesOf(
  steps: readonly { readonly at: number; readonly spreads: readonly Spread[] }[],
  of: (spread: Spread) => number,
): Series[] {
  return WAYS.map((name, way) => ({
    name,
    points: steps.map(({ at, spreads }) => {
      const spread = spreads[way];
      return [at, spread === undefined ? Number.NaN : of(spread)];
    }),
  }));
}

/** Puts each table into its place in the README. */
async function writeFigures(figures: Readonly<Record<string, string>>): Promise<void> {
  let readme = await readFile(path("README.md"), "utf8");
  for (const [name, text] of Object.entries(figures)) readme = replaceSection(readme, name, text);
  await writeFile(path("README.md"), readme);
}

readCall("bench/gossip", USAGE, (args) => {
  const options = { help: { type: "boolean", short: "h", default: false } } as const;
  return readArgs({ args, options }).values.help ? undefined : args;
});
const simulations = await loadSimulations();
const figures = {
  hundred: await atOneHundred(simulations),
  payload: await byPayload(simulations),
  size: await bySize(simulations),
};
for (const text of Object.values(figures)) console.log(`${text}\n`);
await writeFigures(figures);

import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { writeLinePlot } from "../line-plot.ts";
import type { LinePlot } from "../line-plot.ts";
import { replaceSection } from "../readme.ts";
import { readArgs, readCall, WrongCall } from "../wrong-call.ts";
import { measureLoopback, simulateEclipse, simulateGrowth } from "./simulation.ts";
import type { Eclipse, Growth, Reached } from "./simulation.ts";

const SIZES = [30, 100, 300, 1_000] as const;
const SEEDS = [1, 2, 3, 4, 5] as const;
const LOOPBACK_RUNS = 5;
const ATTACKS = [
  { subnets: 8, uptime: 1 },
  { subnets: 8, uptime: 0.5 },
  { subnets: 32, uptime: 1 },
  { subnets: 1, uptime: 1 },
] as const;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function fixed(value: number, digits = 0): string {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString("en", options);
}

function percent(share: number): string {
  return `${fixed(100 * share, 1)} %`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => "--:"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function path(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

function total({ messages }: Growth): number {
  return Object.values(messages).reduce((sum, count) => sum + count, 0);
}

function seconds({ median, percentile95, missing }: Reached): string {
  const text = `${fixed(median / 1_000, 1)} / ${fixed(percentile95 / 1_000, 1)}`;
  return missing === 0 ? text : `${text} (${missing} never)`;
}

/** Networks of several sizes, and what becomes of them without 30 % of their nodes. */
async function grow(): Promise<{ readonly growth: string; readonly loss: string }> {
  const results: Growth[] = [];
  for (const nodes of SIZES) {
    const startedAt = performance.now();
    results.push(await simulateGrowth(nodes, 1));
    say(`${nodes} nodes: ${fixed((performance.now() - startedAt) / 1_000)} s`);
  }
  await drawMessages(results);
  await drawTimes(results);
  const growth = table(
    ["nodes", "knows 95 %, s", "is known, s", "has 8 dialed, s", "messages", "busiest", "kB"],
    results.map((result) => [
      fixed(result.nodes),
      seconds(result.knows),
      seconds(result.isKnown),
      seconds(result.degree),
      fixed(total(result)),
      fixed(result.busiest),
      fixed(result.bytes / 1_000),
    ]),
  );
  const loss = table(
    ["nodes", "connections of a node", "in one piece at once", "a minute later"],
    results.map(({ nodes, meanDegree, connectedAtOnce, connectedLater }) => [
      fixed(nodes),
      fixed(meanDegree, 1),
      percent(connectedAtOnce),
      percent(connectedLater),
    ]),
  );
  return { growth, loss };
}

function drawMessages(results: readonly Growth[]): Promise<void> {
  const names = Object.keys(results[0]?.messages ?? {});
  const plot: LinePlot = {
    title: "What a node sends while its network grows to N nodes",
    x: { label: "nodes", isLogarithmic: true },
    y: { label: "messages for each node", isLogarithmic: true },
    series: [
      { name: "all", points: results.map((result) => [result.nodes, total(result)]) },
      ...names.map((name) => ({
        name,
        points: results.map(({ nodes, messages }) => [nodes, messages[name] ?? 0] as const),
      })),
    ],
  };
  return writeLinePlot(path("messages.svg"), plot);
}

function drawTimes(results: readonly Growth[]): Promise<void> {
  const lines = {
    "knows 95 %": ({ knows }: Growth) => knows,
    "is known by 95 %": ({ isKnown }: Growth) => isKnown,
    "has 8 dialed peers": ({ degree }: Growth) => degree,
  };
  const plot: LinePlot = {
    title: "How long a newcomer takes, 95th percentile",
    x: { label: "nodes", isLogarithmic: true },
    y: { label: "seconds since its start" },
    series: Object.entries(lines).map(([name, reached]) => ({
      name,
      points: results.map((result) => [result.nodes, reached(result).percentile95 / 1_000]),
    })),
  };
  return writeLinePlot(path("time.svg"), plot);
}

/** Attacks of several kinds, each with several seeds. */
async function attack(): Promise<string> {
  const rows: string[][] = [];
  for (const { subnets, uptime } of ATTACKS) {
    const results: Eclipse[] = [];
    for (const seed of SEEDS) results.push(await simulateEclipse({ subnets, uptime, seed }));
    const mean = (part: keyof Eclipse): number =>
      results.reduce((sum, result) => sum + result[part], 0) / results.length;
    const answering = subnets / (subnets + 100 * uptime);
    const shares = [mean("addressShare"), mean("bookShare"), answering, mean("slotShare")];
    rows.push([`${subnets}`, percent(uptime), ...shares.map(percent), percent(mean("eclipsed"))]);
    say(`${subnets} subnets, ${percent(uptime)} up: ${percent(mean("slotShare"))} of the slots`);
  }
  return table(
    [
      "attacker's subnets",
      "honest nodes up",
      "of the addresses",
      "of the book",
      "of the subnets that answer",
      "of the outbound slots",
      "rounds with every slot",
    ],
    rows,
  );
}

/** Real servers, sockets and cryptography, and real time. */
async function loopback(): Promise<string> {
  const times: number[] = [];
  while (times.length < LOOPBACK_RUNS) times.push(await measureLoopback(20));
  times.sort((a, b) => a - b);
  const [least = NaN, most = NaN] = [times[0], times.at(-1)];
  return `${LOOPBACK_RUNS} runs: after ${fixed(least / 1_000, 1)} to ${fixed(most / 1_000, 1)} s.`;
}

/** What is measured, and the sections of the README that it fills. */
const PARTS: Readonly<Record<string, () => Promise<Readonly<Record<string, string>>>>> = {
  loopback: async () => ({ loopback: await loopback() }),
  eclipse: async () => ({ eclipse: await attack() }),
  growth: grow,
};

const USAGE = `usage: bench/peer-exchange/main.ts [PART]...

Parts: ${Object.keys(PARTS).join(", ")}; all of them by default. It rewrites their figures in its README.`;

const wanted = readCall("bench/peer-exchange", USAGE, (args) => {
  const options = { help: { type: "boolean", short: "h", default: false } } as const;
  const { values, positionals } = readArgs({ args, allowPositionals: true, options });
  if (values.help) return undefined;
  const strange = positionals.find((name) => !Object.hasOwn(PARTS, name));
  if (strange !== undefined) throw new WrongCall(`there is no part ${strange}`);
  return positionals;
});
const readme = path("README.md");
for (const [part, measure] of Object.entries(PARTS)) {
  if (wanted.length > 0 && !wanted.includes(part)) continue;
  const sections = await measure();
  let text = await readFile(readme, "utf8");
  for (const [name, content] of Object.entries(sections)) {
    console.log(`${content}\n`);
    text = replaceSection(text, name, content);
  }
  await writeFile(readme, text);
}

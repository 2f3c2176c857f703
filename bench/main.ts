import { writeFile } from "node:fs/promises";

import { parseOptions, USAGE } from "./args.ts";
import type { Options } from "./args.ts";
import { FULL, QUICK } from "./effort.ts";
import { Field, findStacks } from "./field.ts";
import { drawPlots } from "./plots.ts";
import { runProfiles } from "./profile.ts";
import { renderMachine, rewriteReadme } from "./readme.ts";
import { describeMachine, toResult } from "./result.ts";
import { groupByWork, renderTable, toLines } from "./table.ts";
import type { Line } from "./table.ts";
import { renderVerdicts } from "./targets.ts";
import { works } from "./works.ts";
import { readCall } from "./wrong-call.ts";

/** Whose small messages are looked into if nobody else is asked for. */
const PROFILED = ["heddle", "heddle-typed", "null-session"];

/** Whose cost is drawn if nobody else is asked for. */
const DRAWN = ["heddle", "geth", "null-session"];

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function runWorks(options: Options): Promise<Line[]> {
  const stacks = await findStacks(options.peers, say);
  await using field = new Field(options.isQuick ? QUICK : FULL, say);
  const lines: Line[] = [];
  for (const work of works) {
    if (!work.names.some((name) => options.only.test(name))) continue;
    // What runs on one core is compiled there, too: a quick run would be over before.
    if (work.isOneCore === true && options.isQuick) {
      say(`SKIPPED: ${work.name}, because --quick is too short for it`);
      continue;
    }
    for (const [name, samples] of await field.run(work, stacks)) {
      lines.push(...toLines(work, name, samples));
    }
  }
  return groupByWork(lines);
}

async function runTable(options: Options): Promise<void> {
  const lines = await runWorks(options);
  const machine = describeMachine(options.isQuick ? "quick" : "full");
  const [table, targets] = [renderTable(lines), renderVerdicts(lines)];
  console.log(`${table}\n\n${targets}\n\n${renderMachine(machine)}`);
  if (options.json !== undefined) {
    await writeFile(options.json, `${JSON.stringify(toResult(lines, machine), null, 2)}\n`);
  }
  if (options.isForReadme) await rewriteReadme({ machine: renderMachine(machine), table, targets });
}

async function runProfile(options: Options): Promise<void> {
  const effort = options.isQuick ? QUICK : FULL;
  const isInNode = (name: string): boolean => name !== "geth";
  const peers = options.isForAllPeers ? PROFILED : options.peers.filter(isInNode);
  const stacks = await findStacks(peers, say);
  const wanted = options.isForAllWorks ? /^oneway-16B$/ : options.only;
  const stages: string[] = [];
  for (const work of works.filter(({ name, kind }) => kind !== "idle" && wanted.test(name))) {
    stages.push(`${work.name}:\n\n${await runProfiles(stacks, work, effort, say)}`);
  }
  const machine = renderMachine(describeMachine(effort.name));
  console.log(`${stages.join("\n\n")}\n\n${machine}`);
  if (options.isForReadme) await rewriteReadme({ stages: [machine, ...stages].join("\n\n") });
}

async function runPlots(options: Options): Promise<void> {
  const names = options.isForAllPeers ? DRAWN : options.peers;
  await drawPlots(names, options.isQuick ? QUICK : FULL, say);
}

async function main(): Promise<void> {
  const options = readCall("bench", USAGE, parseOptions);
  if (options.isForProfile) await runProfile(options);
  else if (options.isForPlots) await runPlots(options);
  else await runTable(options);
}

await main();

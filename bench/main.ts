import { writeFile } from "node:fs/promises";

import { parseOptions, USAGE } from "./args.ts";
import type { Options } from "./args.ts";
import { FULL, QUICK } from "./effort.ts";
import { Field, findStacks } from "./field.ts";
import { renderMachine, rewriteReadme } from "./readme.ts";
import { describeMachine, toResult } from "./result.ts";
import { groupByWork, renderTable, toLines } from "./table.ts";
import type { Line } from "./table.ts";
import { renderVerdicts } from "./targets.ts";
import { works } from "./works.ts";

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function runWorks(options: Options): Promise<Line[]> {
  const stacks = await findStacks(options.peers, say);
  await using field = new Field(options.isQuick ? QUICK : FULL, say);
  const lines: Line[] = [];
  for (const work of works) {
    if (!work.names.some((name) => options.only.test(name))) continue;
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

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options.isHelp) console.log(USAGE);
  else await runTable(options);
}

await main();

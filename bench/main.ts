import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import { findGeth } from "./geth.ts";
import { measure, measureIdle } from "./measure.ts";
import type { Effort, Sample } from "./measure.ts";
import { nodePeers } from "./peers/index.ts";
import { nodeStack, ProcessPair } from "./process-pair.ts";
import type { Stack } from "./process-pair.ts";
import { describeMachine, renderTable, toLines } from "./table.ts";
import type { Line } from "./table.ts";
import { works } from "./works.ts";
import type { Work } from "./works.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    peers: { type: "string", default: "" },
    json: { type: "string" },
    profile: { type: "string" },
  },
});

const FULL: Effort = { rounds: 7, idleRounds: 5, ms: 1_000, clients: 150, idlePeers: 500 };
const QUICK: Effort = { rounds: 5, idleRounds: 0, ms: 120, clients: 12, idlePeers: 0 };
const effort = values.quick ? QUICK : FULL;

const only = new RegExp(values.only);
const wanted = works.filter(
  ({ name, kind }) =>
    (only.test(name) || (name === "handshake-seq" && only.test("handshake-cpu-ms"))) &&
    (kind !== "idle" || effort.idleRounds > 0),
);

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function findStacks(): Promise<Stack[]> {
  const chosen = values.peers === "" ? undefined : values.peers.split(",");
  const names = Object.keys(nodePeers).filter((name) => chosen?.includes(name) ?? true);
  const stacks = names.map((name) => nodeStack(name, values.profile));
  if (chosen?.includes("geth") ?? true) {
    const geth = await findGeth();
    if ("missing" in geth) say(`geth is left out: ${geth.missing}`);
    else stacks.splice(1, 0, geth);
  }
  return stacks;
}

/** The pairs of all stacks; one that fails is told of, and started afresh for its next turn. */
class Field implements AsyncDisposable {
  readonly #pairs = new Map<string, ProcessPair>();
  readonly #failures = new Map<string, number>();

  /** Undefined when it failed. */
  async run(stack: Stack, work: Work, ms?: number): Promise<Sample | undefined> {
    // A stack that keeps failing at a work does not get to hold up the others.
    const label = `${stack.name} ${work.name}`;
    if ((this.#failures.get(label) ?? 0) >= 2) return undefined;
    try {
      if (work.kind === "idle") return await measureIdle(stack, work, effort);
      const pair = this.#pairs.get(stack.name) ?? (await ProcessPair.start(stack));
      this.#pairs.set(stack.name, pair);
      return await measure(pair, work, effort, ms);
    } catch (error) {
      this.#failures.set(label, (this.#failures.get(label) ?? 0) + 1);
      say(`! ${label}: ${error instanceof Error ? error.message : String(error)}`);
      const pair = this.#pairs.get(stack.name);
      this.#pairs.delete(stack.name);
      await pair?.[Symbol.asyncDispose]();
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#pairs.values()].map((pair) => pair[Symbol.asyncDispose]()));
  }
}

/** All rounds of one work: in every round every stack has its turn. */
async function runWork(field: Field, work: Work, stacks: readonly Stack[]): Promise<Line[]> {
  const samples = new Map<string, Sample[]>(stacks.map(({ name }) => [name, []]));
  const able = stacks.filter((stack) => work.channels === undefined || !stack.hasOneChannel);
  if (work.kind !== "idle") {
    for (const stack of able) await field.run(stack, work, effort.ms / 2);
  }
  const rounds = work.kind === "idle" ? effort.idleRounds : effort.rounds;
  for (let round = 0; round < rounds; round += 1) {
    const shown: string[] = [];
    for (const stack of able) {
      const sample = await field.run(stack, work);
      if (sample === undefined) continue;
      samples.get(stack.name)?.push(sample);
      shown.push(`${stack.name} ${Math.round(sample.figure)}`);
    }
    say(`${work.name} ${round + 1}/${rounds}: ${shown.join("  ")}`);
  }
  return able.flatMap(({ name }) => toLines(work, name, samples.get(name) ?? []));
}

const stacks = await findStacks();
const lines: Line[] = [];
{
  await using field = new Field();
  for (const work of wanted) lines.push(...(await runWork(field, work, stacks)));
}
console.log(renderTable(lines));
if (values.json !== undefined) {
  const rows = lines.map(({ cpu: _cpu, size: _size, ...row }) => row);
  await writeFile(
    values.json,
    `${JSON.stringify({ machine: describeMachine(), rows }, null, 2)}\n`,
  );
}

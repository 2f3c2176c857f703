import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Effort } from "./effort.ts";
import type { Say } from "./field.ts";
import { measure, warmUp } from "./measure.ts";
import { ProcessPair, stackFor } from "./process-pair.ts";
import type { Stack } from "./process-pair.ts";
import { STAGES, sumUp } from "./stages.ts";
import type { CpuProfile, Spent } from "./stages.ts";
import { median } from "./statistics.ts";
import { formatNumber, renderColumns } from "./table.ts";
import type { Work } from "./works.ts";

const PROFILE_DIR = fileURLToPath(
  new URL("../node_modules/.cache/heddle-bench/profiles", import.meta.url),
);
const TOP = 12;

/** Where the CPU time of one end of one stack goes. */
export interface End {
  readonly title: string;
  /** CPU time per message, measured while nothing was sampled. */
  readonly ns: number;
  readonly spent: Spent;
}

/**
 * Does a work with and without sampling. The time per message is that of the rounds without; the samples only
 * say how it divides.
 *
 * @returns the driving end, then the serving one
 */
export async function profileWork(stack: Stack, work: Work, effort: Effort): Promise<End[]> {
  await using pair = await ProcessPair.start(stackFor(stack, work));
  await warmUp(pair, work, effort);
  const samples = [];
  for (let round = 0; round < effort.rounds; round += 1) {
    samples.push(await measure(pair, work, effort));
  }
  await mkdir(PROFILE_DIR, { recursive: true });
  const files = {
    drive: join(PROFILE_DIR, `${stack.name}-drive-${work.name}.cpuprofile`),
    serve: join(PROFILE_DIR, `${stack.name}-serve-${work.name}.cpuprofile`),
  };
  await pair.startProfile();
  const { spans } = await measure(pair, work, effort, effort.ms * effort.rounds);
  await pair.stopProfile(files);
  return [
    {
      title: `${stack.name} drive`,
      ns: median(samples.map(({ driveUs }) => driveUs)) * 1000,
      spent: sumUp(await readProfile(files.drive), spans),
    },
    {
      title: `${stack.name} serve`,
      ns: median(samples.map(({ serveUs }) => serveUs)) * 1000,
      spent: sumUp(await readProfile(files.serve), spans),
    },
  ];
}

async function readProfile(file: string): Promise<CpuProfile> {
  return JSON.parse(await readFile(file, "utf8")) as CpuProfile;
}

/** Renders nanoseconds per message by stage, a column for each end; stages that cost nothing are left out. */
export function renderStages(ends: readonly End[]): string {
  const share = ({ spent, ns }: End, us: number): number => (us / spent.totalUs) * ns;
  const rows = STAGES.map((stage) => [
    stage,
    ...ends.map((end) => formatNs(share(end, end.spent.stages.get(stage) ?? 0))),
  ]).filter((row) => row.slice(1).some((cell) => cell !== "0"));
  rows.push(["all", ...ends.map(({ ns }) => formatNs(ns))]);
  return renderColumns(["ns per message", ...ends.map(({ title }) => title)], rows, 1);
}

function formatNs(ns: number): string {
  return ns >= 100 ? formatNumber(ns) : String(Math.round(ns));
}

/** The functions in which most of an end's time was spent, themselves. */
export function renderTop({ title, ns, spent }: End): string {
  const top = [...spent.functions].toSorted(([, a], [, b]) => b - a).slice(0, TOP);
  const lines = top.map(([name, us]) => {
    const share = us / spent.totalUs;
    return `  ${(share * 100).toFixed(1).padStart(5)} %  ${formatNs(share * ns).padStart(9)} ns  ${name}`;
  });
  return [`${title}:`, ...lines].join("\n");
}

/** Profiles the works on the stacks that run in Node, and tells the top of each. */
export async function runProfiles(
  stacks: readonly Stack[],
  work: Work,
  effort: Effort,
  say: Say,
): Promise<string> {
  const ends: End[] = [];
  for (const stack of stacks.filter((each) => each.canDo(work))) {
    const both = await profileWork(stack, work, effort);
    for (const end of both) say(renderTop(end));
    ends.push(...both);
  }
  say(`the profiles are in ${PROFILE_DIR}`);
  return renderStages(ends);
}

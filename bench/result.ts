import { cpus, totalmem } from "node:os";

import type { Line } from "./table.ts";
import { works } from "./works.ts";

/** A row of the result, as `--json` writes it. */
export interface Row {
  readonly work: string;
  readonly peer: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

/** What `--json` writes. */
export interface Result {
  readonly machine: Readonly<Record<string, string | number>>;
  readonly rows: readonly Row[];
  /** What goes beyond the rows: Heddle without its faster backends, one core, CPU time of both ends. */
  readonly also: {
    readonly rows: readonly Row[];
    readonly cpuUs: readonly { work: string; peer: string; drive: number; serve: number }[];
  };
}

/** Sorts lines into what stands in the result. */
export function toResult(lines: readonly Line[], machine: Result["machine"]): Result {
  const beside = new Set(works.flatMap(({ isOneCore, names }) => (isOneCore ? names : [])));
  const isBeside = ({ work, peer }: Line): boolean =>
    peer === "heddle-portable" || beside.has(work);
  return {
    machine,
    rows: lines.filter((line) => !isBeside(line)).map(toRow),
    also: {
      rows: lines.filter(isBeside).map(toRow),
      cpuUs: lines.flatMap(({ work, peer, cpu }) =>
        cpu === undefined ? [] : [{ work, peer, drive: cpu.driveUs, serve: cpu.serveUs }],
      ),
    },
  };
}

function toRow({ work, peer, unit, median, min, max, rounds }: Line): Row {
  return { work, peer, unit, median, min, max, rounds };
}

/** What the figures were measured on, and how. */
export function describeMachine(effort: string): Record<string, string | number> {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    effort,
    date: new Date().toISOString().slice(0, 10),
  };
}

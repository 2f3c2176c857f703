import { cpus, totalmem } from "node:os";

import type { Sample } from "./measure.ts";
import { HANDSHAKE_CPU } from "./works.ts";
import type { Work } from "./works.ts";

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

/** A row, with what only the printed table shows. */
export interface Line extends Row {
  /** CPU microseconds per message at each end; undefined where there are no messages. */
  readonly cpu: { readonly driveUs: number; readonly serveUs: number } | undefined;
  readonly size: number | undefined;
}

/** Turns the samples of one work and stack into its lines. */
export function toLines(work: Work, peer: string, samples: readonly Sample[]): Line[] {
  if (samples.length === 0) return [];
  const driveUs = median(samples.map((sample) => sample.driveUs));
  const serveUs = median(samples.map((sample) => sample.serveUs));
  const cpu = work.kind === "idle" ? undefined : { driveUs, serveUs };
  const figures = samples.map(({ figure }) => figure);
  const line = { ...summary(work.name, peer, work.unit, figures), cpu, size: work.size };
  if (work.name !== "handshake-seq") return [line];
  const both = samples.map((sample) => (sample.driveUs + sample.serveUs) / 1000);
  const { name, unit } = HANDSHAKE_CPU;
  return [line, { ...summary(name, peer, unit, both), cpu: undefined, size: undefined }];
}

function summary(work: string, peer: string, unit: string, figures: readonly number[]): Row {
  const [min, max] = [Math.min(...figures), Math.max(...figures)];
  return { work, peer, unit, median: median(figures), min, max, rounds: figures.length };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/**
 * Prints the lines by work. `x` is Heddle's median as a multiple of this one's: above 1, Heddle does more
 * (or, for milliseconds and KiB, with less).
 */
export function renderTable(lines: readonly Line[]): string {
  const head = [
    "work",
    "peer",
    "median",
    "min",
    "max",
    "unit",
    "MB/s",
    "heddle is x",
    "us drive",
    "us serve",
    "CPU ms/MB",
  ];
  const rows = lines.map((line) => {
    const ours = lines.find(({ work, peer }) => work === line.work && peer === "heddle");
    const isCost = line.unit === "ms" || line.unit === "KiB";
    const ratio = ours === undefined ? undefined : ours.median / line.median;
    const { cpu, size } = line;
    return [
      line.work,
      line.peer,
      number(line.median),
      number(line.min),
      number(line.max),
      line.unit,
      size === undefined ? "" : number((line.median * size) / 1e6),
      ratio === undefined ? "" : number(isCost ? 1 / ratio : ratio),
      cpu === undefined ? "" : number(cpu.driveUs),
      cpu === undefined ? "" : number(cpu.serveUs),
      cpu === undefined || size === undefined
        ? ""
        : number((cpu.driveUs + cpu.serveUs) / 1000 / (size / 1e6)),
    ];
  });
  const widths = head.map((title, at) =>
    Math.max(title.length, ...rows.map((row) => (row[at] ?? "").length)),
  );
  const render = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(" | ")} |`;
  const rule = `| ${widths.map((width, at) => (at < 2 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [render(head), rule, ...rows.map(render)].join("\n");
}

/** Three digits are all that a noisy machine can vouch for. */
function number(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en").replaceAll(",", " ");
  return value.toPrecision(3);
}

/** What the figures were measured on. */
export function describeMachine(): Record<string, string | number> {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
  };
}

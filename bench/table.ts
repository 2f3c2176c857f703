import type { Sample } from "./measure.ts";
import { summarize } from "./statistics.ts";
import type { Summary } from "./statistics.ts";
import { HANDSHAKE_CPU } from "./works.ts";
import type { Work } from "./works.ts";

/** A row of the table: rounds of one work by one stack. */
export interface Line extends Summary {
  readonly work: string;
  readonly peer: string;
  readonly unit: string;
  /** Median CPU microseconds per message at each end; undefined where there are no messages. */
  readonly cpu: { readonly driveUs: number; readonly serveUs: number } | undefined;
  /** Bytes per message, where bytes are what matters. */
  readonly size: number | undefined;
}

/** Turns the samples of one work and stack into its lines. */
export function toLines(work: Work, peer: string, samples: readonly Sample[]): Line[] {
  if (samples.length === 0) return [];
  const { median: driveUs } = summarize(samples.map((sample) => sample.driveUs));
  const { median: serveUs } = summarize(samples.map((sample) => sample.serveUs));
  const line: Line = {
    work: work.name,
    peer,
    unit: work.unit,
    ...summarize(samples.map(({ figure }) => figure)),
    cpu: work.kind === "idle" ? undefined : { driveUs, serveUs },
    size: work.size,
  };
  if (work.name !== "handshake-seq") return [line];
  const both = samples.map((sample) => (sample.driveUs + sample.serveUs) / 1000);
  const { name, unit } = HANDSHAKE_CPU;
  return [line, { work: name, peer, unit, ...summarize(both), cpu: undefined, size: undefined }];
}

/** Puts rows of one work together, works and stacks in the order in which they first came. */
export function groupByWork(lines: readonly Line[]): Line[] {
  const works = [...new Set(lines.map(({ work }) => work))];
  return works.flatMap((work) => lines.filter((line) => line.work === work));
}

/**
 * By what factor one row is better than another of the same work: above 1 it does more, or the same with
 * fewer milliseconds or KiB.
 */
export function betterBy(line: Line, other: Line): number {
  const isCost = line.unit === "ms" || line.unit === "KiB";
  return isCost ? other.median / line.median : line.median / other.median;
}

const HEAD = [
  "work",
  "peer",
  "median",
  "min",
  "max",
  "unit",
  "MB/s",
  "heddle is x",
  "µs drive",
  "µs serve",
  "CPU ms/MB",
];

/** Renders the lines as a table of Markdown; `heddle is x` is {@link betterBy} of Heddle's row over this one. */
export function renderTable(lines: readonly Line[]): string {
  const rows = lines.map((line) => {
    const ours = lines.find(({ work, peer }) => work === line.work && peer === "heddle");
    const { cpu, size } = line;
    return [
      line.work,
      line.peer,
      formatNumber(line.median),
      formatNumber(line.min),
      formatNumber(line.max),
      line.unit,
      size === undefined ? "" : formatNumber((line.median * size) / 1e6),
      ours === undefined ? "" : formatNumber(betterBy(ours, line)),
      cpu === undefined ? "" : formatNumber(cpu.driveUs),
      cpu === undefined ? "" : formatNumber(cpu.serveUs),
      cpu === undefined || size === undefined
        ? ""
        : formatNumber((cpu.driveUs + cpu.serveUs) / 1000 / (size / 1e6)),
    ];
  });
  return renderColumns(HEAD, rows, 2);
}

/** A table of Markdown, its columns aligned: the first `words` to the left, figures to the right. */
export function renderColumns(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  words: number,
): string {
  const widths = head.map((title, at) =>
    Math.max(title.length, ...rows.map((row) => (row[at] ?? "").length)),
  );
  const pad = (cell: string, at: number): string =>
    at < words ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0);
  const render = (row: readonly string[]): string => `| ${row.map(pad).join(" | ")} |`;
  const rule = widths.map((width, at) =>
    at < words ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [render(head), render(rule), ...rows.map(render)].join("\n");
}

/** Three digits are all that a noisy machine can vouch for. */
export function formatNumber(value: number): string {
  if (Math.abs(value) >= 99.95) return Math.round(value).toLocaleString("en").replaceAll(",", " ");
  return value.toPrecision(3);
}

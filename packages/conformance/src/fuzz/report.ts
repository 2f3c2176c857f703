import { counted } from "../counted.ts";
import { escapeText, toHex } from "@heddle/identity";

import type { Finding, TargetReport } from "./fuzzer.ts";

const WIDTHS = {
  target: 18,
  inputs: 12,
  rate: 10,
  accepted: 10,
  outcomes: 9,
  kept: 6,
  slowest: 10,
};

/** The heading of the table that {@link formatReport} makes the lines of. */
export function formatHeading(): string {
  return formatRow(
    "target",
    ["inputs", "per second", "accepted", "outcomes", "kept", "slowest"],
    "errors",
  );
}

/** One line: inputs, how many were accepted, ways in which they ended, inputs kept, the slowest, kinds of errors. */
export function formatReport(report: TargetReport): string {
  const perSecond = (report.inputs / Math.max(report.elapsedMs, 1)) * 1_000;
  const share = (report.accepted / Math.max(report.inputs, 1)) * 100;
  const columns = [
    number(report.inputs),
    number(Math.round(perSecond)),
    `${share.toFixed(1)} %`,
    number(report.outcomes),
    number(report.kept),
    `${report.slowestMs.toFixed(1)} ms`,
  ];
  return formatRow(report.target, columns, `${Object.keys(report.refused).length}`);
}

function formatRow(target: string, columns: readonly string[], last: string): string {
  const [, ...widths] = Object.values(WIDTHS);
  const cells = columns.map((text, at) => text.padStart(widths[at] ?? 0));
  return [target.padEnd(WIDTHS.target), ...cells, last.padStart(7)].join(" ");
}

/** All targets together. */
export function formatTotal(reports: readonly TargetReport[]): string {
  const inputs = reports.reduce((sum, report) => sum + report.inputs, 0);
  const ms = reports.reduce((sum, report) => sum + report.elapsedMs, 0);
  const findings = reports.filter(({ finding }) => finding !== undefined).length;
  return `${number(inputs)} inputs in ${(ms / 1_000).toFixed(0)} s, ${counted(findings, "finding")}`;
}

/** What went wrong, and the input that shows it. */
export function formatFinding({ target, kind, what, input }: Finding): string {
  return `${target}: ${kind}: ${escapeText(what, 300)}\n  input: ${toHex(input) || "(empty)"}`;
}

function number(value: number): string {
  return value.toLocaleString("en");
}

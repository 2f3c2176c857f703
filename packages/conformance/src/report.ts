import { escapeText } from "@heddle/identity";

import type { CaseResult, ConformanceReport } from "./runner.ts";

const WIDTHS = { name: 38, asks: 62, did: 52 } as const;

/** One line of the table: case, what is asked, what the node did, verdict, milliseconds. */
export function formatResult({ name, asks, did, verdict, ms }: CaseResult): string {
  const { name: nameWidth, asks: asksWidth, did: didWidth } = WIDTHS;
  const columns = [fit(name, nameWidth), fit(asks, asksWidth), fit(did, didWidth)];
  return `${columns.join("  ")}  ${verdict.padEnd(9)} ${String(ms).padStart(6)} ms`;
}

/** The line above the table. */
export function formatHeading(): string {
  const { name, asks, did } = WIDTHS;
  const columns = [
    fit("case", name),
    fit("the specification asks", asks),
    fit("the node did", did),
  ];
  return `${columns.join("  ")}  verdict     time`;
}

/** The line below the table. */
export function formatSummary({ clientId, counts }: ConformanceReport): string {
  const { pass, fail, tolerated, skipped } = counts;
  const parts = [
    `${pass} passed`,
    `${fail} failed`,
    `${tolerated} tolerated`,
    `${skipped} skipped`,
  ];
  return `${escapeText(clientId)}: ${parts.join(", ")}`;
}

/** Markdown: what deviates, fails or was skipped, one row each. */
export function formatDeviations({ results }: ConformanceReport): string {
  const rows = results
    .filter(({ verdict }) => verdict !== "pass")
    .map(({ name, asks, did, verdict, why, source }) =>
      [`\`${name}\``, `${asks} (${source})`, did, verdict, why ?? ""].map(cell).join(" | "),
    );
  const head = ["case", "the specification asks", "it does", "verdict", "why"];
  return [head.join(" | "), head.map(() => "---").join(" | "), ...rows]
    .map((row) => `| ${row} |\n`)
    .join("");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** What the node says of itself is peer text: escaped, and cut to the column. */
function fit(text: string, width: number): string {
  const line = escapeText(text, 4 * width);
  return line.length > width ? `${line.slice(0, width - 1)}…` : line.padEnd(width);
}

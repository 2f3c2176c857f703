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

/**
 * Markdown tables of how two nodes differ: what the first does not pass, with the explanation, and where both pass in
 * different ways.
 *
 * @param theirs - of the node that is compared
 * @param ours - of the same cases, with the node it is compared to
 */
export function formatComparison(theirs: ConformanceReport, ours: ConformanceReport): string {
  const names = [theirs, ours].map(({ clientId }) => escapeText(clientId.split("/")[0] ?? ""));
  const didOf = new Map(ours.results.map(({ name, did }) => [name, did]));
  const deviations = theirs.results
    .filter(({ verdict }) => verdict !== "pass")
    .map(({ name, asks, did, verdict, why = "" }) => {
      const [way, ourWay] = [did, didOf.get(name) ?? "not run"].map(
        (text) => wayOfEnding(text) ?? text,
      );
      return [`\`${name}\``, asks, way ?? "", ourWay ?? "", verdict, why];
    });
  const ways = new Map<string, string[]>();
  for (const { name, did, verdict } of theirs.results) {
    const [way, ourWay] = [did, didOf.get(name) ?? did].map(wayOfEnding);
    if (verdict !== "pass" || way === undefined || ourWay === undefined || way === ourWay) continue;
    const key = `${way} | ${ourWay}`;
    ways.set(key, [...(ways.get(key) ?? []), `\`${name}\``]);
  }
  return [
    row(["case", "the specification asks", ...names, "verdict", "why it is tolerated"]),
    row(["---", "---", "---", "---", "---", "---"]),
    ...deviations.map(row),
    "\nBoth pass, each in its way:\n\n",
    row([...names, "cases"]),
    row(["---", "---", "---"]),
    ...[...ways].map(([key, cases]) => `| ${key} | ${cases.join(", ")} |\n`),
  ].join("");
}

/** The last words of a node that refuses; whether a close arrives as a reset is chance. */
function wayOfEnding(did: string): string | undefined {
  const ways = did.match(/Disconnect 0x..|connection (?:closed|reset)|several ways/g);
  const named = ways?.map((way) => (way.startsWith("connection") ? "no Disconnect" : way));
  return named === undefined ? undefined : [...new Set(named)].toSorted().join(" or ");
}

function row(cells: readonly string[]): string {
  const escaped = cells.map((text) => escapeText(text, 1000).replaceAll("|", "\\|"));
  return `| ${escaped.join(" | ")} |\n`;
}

/** What the node says of itself is peer text: escaped, and cut to the column. */
function fit(text: string, width: number): string {
  const line = escapeText(text, 4 * width);
  return line.length > width ? `${line.slice(0, width - 1)}…` : line.padEnd(width);
}

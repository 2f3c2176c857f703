import type { Report } from "./node.ts";

/** A node as the table shows it; without a report it has not started, or is gone. */
export interface Row {
  readonly name: string;
  readonly report: Report | undefined;
}

const WIDTH = 10;

/** Draws who knows whom: a line for each node, a column for each node it may know. */
export function drawTable(rows: readonly Row[]): string {
  const header = ["", ...rows.map(({ name }) => name)];
  const lines = rows.map(({ name, report }) => [name, ...rows.map((other) => cell(report, other))]);
  return [header, ...lines]
    .map((cells) =>
      cells
        .map((text) => text.padEnd(WIDTH))
        .join("")
        .trimEnd(),
    )
    .join("\n");
}

/** Whether each of the nodes that run knows all the others. */
export function isComplete(rows: readonly Row[]): boolean {
  const running = rows.flatMap(({ report }) => (report === undefined ? [] : [report]));
  return running.every(({ id, known }) =>
    running.every((other) => other.id === id || known.includes(other.id)),
  );
}

/** Whether the nodes that run are one network. */
export function isConnected(rows: readonly Row[]): boolean {
  const running = new Map(
    rows.flatMap(({ report }) => (report === undefined ? [] : [[report.id, report] as const])),
  );
  const reached = new Set([...running.keys()].slice(0, 1));
  // Grows while it is walked, which a set allows.
  for (const id of reached) {
    for (const peer of running.get(id)?.connected ?? []) if (running.has(peer)) reached.add(peer);
  }
  return reached.size === running.size;
}

function cell(report: Report | undefined, { report: other }: Row): string {
  if (report === undefined || other === undefined) return "";
  if (report.id === other.id) return "-";
  if (report.connected.includes(other.id)) return "peer";
  return report.known.includes(other.id) ? "known" : ".";
}

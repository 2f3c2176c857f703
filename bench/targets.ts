import { betterBy, formatNumber, renderColumns } from "./table.ts";
import type { Line } from "./table.ts";

/** A ratio that is to be reached: how many times better Heddle's row is to be than another stack's. */
export interface Target {
  readonly work: string;
  /** Which of Heddle's rows; `heddle` if not given. */
  readonly ours?: string;
  readonly other: string;
  readonly atLeast: number;
}

/** What the project holds itself to. Handshake CPU of a tenth, say, is ten times better here. */
export const targets: readonly Target[] = [
  { work: "oneway-16B", other: "geth", atLeast: 2.5 },
  { work: "oneway-16B", other: "ethereumjs", atLeast: 10 },
  { work: "oneway-16B", other: "libp2p", atLeast: 2.5 },
  { work: "oneway-1KiB", other: "geth", atLeast: 1.5 },
  { work: "oneway-1KiB", other: "ethereumjs", atLeast: 10 },
  { work: "oneway-1KiB", other: "libp2p", atLeast: 1.5 },
  { work: "oneway-128KiB", other: "geth", atLeast: 1 },
  { work: "oneway-128KiB", other: "ethereumjs", atLeast: 12 },
  { work: "foobar-rtt", other: "geth", atLeast: 1.2 },
  { work: "foobar-rtt", other: "ethereumjs", atLeast: 5 },
  { work: "foobar-rtt", other: "libp2p", atLeast: 2 },
  { work: "foobar-rtt-one-core", other: "geth", atLeast: 1.2 },
  { work: "foobar-rtt-one-core", other: "ethereumjs", atLeast: 5 },
  { work: "foobar-rtt-one-core", other: "libp2p", atLeast: 2 },
  { work: "handshake-cpu-ms", other: "geth", atLeast: 1 },
  { work: "handshake-cpu-ms", other: "ethereumjs", atLeast: 10 },
  { work: "handshake-cpu-ms", other: "libp2p", atLeast: 5 },
  { work: "handshake-cpu-ms", ours: "heddle-portable", other: "ethereumjs", atLeast: 1 / 0.6 },
];

/** Mux and API alone, over the session without cryptography: messages of 16 bytes a second. */
export const NULL_SESSION_TARGET = 1_000_000;

/** A target beside what was measured. */
export interface Verdict extends Target {
  readonly ratio: number;
  readonly isMet: boolean;
}

/** Compares the targets whose rows were measured. */
export function judge(lines: readonly Line[], wanted: readonly Target[] = targets): Verdict[] {
  return wanted.flatMap((target) => {
    const find = (name: string): Line | undefined =>
      lines.find(({ work, peer }) => work === target.work && peer === name);
    const [ours, other] = [find(target.ours ?? "heddle"), find(target.other)];
    if (ours === undefined || other === undefined) return [];
    const ratio = betterBy(ours, other);
    return [{ ...target, ratio, isMet: ratio >= target.atLeast }];
  });
}

/** Renders verdicts as a table of Markdown, with the one on the null session if that was measured. */
export function renderVerdicts(lines: readonly Line[]): string {
  const rows = judge(lines).map(({ work, ours, other, atLeast, ratio, isMet }) => [
    work,
    ours ?? "heddle",
    other,
    `${formatNumber(atLeast)}x`,
    `${formatNumber(ratio)}x`,
    isMet ? "yes" : "no",
  ]);
  const bare = lines.find(({ work, peer }) => work === "oneway-16B" && peer === "null-session");
  if (bare !== undefined) {
    const isMet = bare.median >= NULL_SESSION_TARGET;
    const [wanted, found] = [NULL_SESSION_TARGET, bare.median].map(
      (rate) => `${formatNumber(rate)}/s`,
    );
    rows.push([bare.work, bare.peer, "", wanted ?? "", found ?? "", isMet ? "yes" : "no"]);
  }
  return renderColumns(["work", "ours", "against", "wanted", "measured", "met"], rows, 3);
}

import type { Outcome } from "./outcome.ts";
import type { Probe } from "./probe.ts";

/** How a case came out. `tolerated`: not what the specification asks, known, and harmless to others. */
export type Verdict = "pass" | "fail" | "tolerated" | "skipped";

/** What a node may do in a case. */
export interface Expectation {
  readonly kind: "accepted" | "refused";
  /** Reasons of Disconnect that pass; any, when it is left out. */
  readonly reasons?: readonly number[];
  /** Why an end without Disconnect, or with another reason, is tolerated; it fails when this is left out. */
  readonly otherwise?: string;
  /** Why the opposite kind is tolerated: taking what may be refused, or refusing what may be taken. */
  readonly opposite?: string;
}

/** One question put to a node, and what its answer is judged by. */
export interface Case {
  /** `group/name`, unique. */
  readonly name: string;
  /** What the specification asks of the node. */
  readonly asks: string;
  /** Where it asks that. */
  readonly source: string;
  readonly expects: Expectation;
  /** Protocols the node must offer for the case to be possible: `name` or `name/version`. */
  readonly needs?: readonly string[];
  /** The node must dial us; left out unless the suite is told how to make it do so. */
  readonly isDialed?: boolean;
  /** Takes longer than ten seconds; left out unless asked for. */
  readonly isSlow?: boolean;
  /** Puts the question. Every connection it opens by its probe is closed afterwards. */
  run(probe: Probe): Promise<Outcome>;
}

/** Judges what was seen by what was expected. */
export function judge(expects: Expectation, outcome: Outcome): { verdict: Verdict; why?: string } {
  if (outcome.kind === "silent" || outcome.kind === "wrong") return { verdict: "fail" };
  if (outcome.kind !== expects.kind) {
    return expects.opposite === undefined
      ? { verdict: "fail" }
      : { verdict: "tolerated", why: expects.opposite };
  }
  if (outcome.kind === "accepted" || expects.reasons === undefined) return { verdict: "pass" };
  if (outcome.reason !== undefined && expects.reasons.includes(outcome.reason)) {
    return { verdict: "pass" };
  }
  return expects.otherwise === undefined
    ? { verdict: "fail" }
    : { verdict: "tolerated", why: expects.otherwise };
}

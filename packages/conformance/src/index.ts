export type { Case, Expectation, Verdict } from "./case.ts";
export { CASES } from "./cases/index.ts";
export { main, type Output } from "./cli.ts";
export { token, type Link, type Place } from "./link.ts";
export { accepted, refused, silent, wrong, type Outcome } from "./outcome.ts";
export type { Dialed, DialUs } from "./dialed.ts";
export type { Probe, Stage } from "./probe.ts";
export { LENGTHS, targetProtocols, type Lengths } from "./protocols.ts";
export { formatComparison, formatHeading, formatResult, formatSummary } from "./report.ts";
export {
  runConformance,
  selectCases,
  UnreachableError,
  type CaseResult,
  type ConformanceOptions,
  type ConformanceReport,
} from "./runner.ts";

export type { Case, Expectation, Verdict } from "./case.ts";
export { CASES } from "./cases/index.ts";
export { main } from "./cli.ts";
export type { Outcome } from "./outcome.ts";
export { targetProtocols } from "./protocols.ts";
export { formatComparison, formatHeading, formatResult, formatSummary } from "./report.ts";
export {
  runConformance,
  selectCases,
  UnreachableError,
  type CaseResult,
  type ConformanceOptions,
  type ConformanceReport,
} from "./runner.ts";
export type { Connect } from "./wire.ts";

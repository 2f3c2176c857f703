import { InputBoard } from "./board.ts";
import { Coverage } from "./coverage.ts";
import { fuzz, MAX_INPUT_MS } from "./fuzzer.ts";
import type { TargetReport } from "./fuzzer.ts";
import { formatFinding, formatHeading, formatReport, formatTotal } from "./report.ts";
import type { FuzzTarget } from "./target.ts";
import { TARGETS } from "./targets/index.ts";
import { counted } from "../counted.ts";
import { readArgs, WrongCall } from "../wrong-call.ts";

const USAGE = "usage: fuzz [--seconds N] [--seed N] [--target NAME]\n";

/** One input that takes this long is taken for endless, in milliseconds, however busy the machine is. */
const ENDLESS_MS = 200 * MAX_INPUT_MS;

const PROGRESS_MS = 10_000;

/** Where the command line writes. */
export interface Output {
  write(text: string): unknown;
}

/** What the working thread is told. */
export interface FuzzWork {
  /** Of an {@link InputBoard}. */
  readonly board: SharedArrayBuffer;
  /** Indices into the list of targets. */
  readonly targets: readonly number[];
  readonly seed: number;
  /** For each target. */
  readonly msEach: number;
}

/** A thread that fuzzes and tells of each target that it is done with. */
export interface FuzzWorker {
  on(event: "message", listener: (report: TargetReport) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "exit", listener: () => void): unknown;
  terminate(): Promise<unknown>;
}

/**
 * The command line: fuzzes every target, or one, and prints a line for each.
 *
 * @param start - starts the working thread; an endless loop there leaves this one able to tell
 * @returns the exit code: 0, or 1 after a finding, or 2 for arguments that are none
 */
export async function main(
  args: readonly string[],
  out: Output,
  start: (work: FuzzWork) => FuzzWorker,
): Promise<number> {
  const options = parse(args);
  if (options === undefined) {
    out.write(USAGE);
    return 0;
  }
  if (typeof options === "string") {
    out.write(`fuzz: ${options}\n${USAGE}`);
    return 2;
  }
  const { targets, seed, seconds } = options;
  out.write(
    `seed ${seed}, ${seconds} s over ${counted(targets.length, "target")}\n${formatHeading()}\n`,
  );
  const board = new InputBoard();
  const work = { board: board.memory, targets, seed, msEach: (seconds * 1_000) / targets.length };
  const reports = await watch(start(work), board, out);
  out.write(`${formatTotal(reports)}\n`);
  const findings = reports.flatMap(({ finding }) => finding ?? []);
  for (const finding of findings) out.write(`${formatFinding(finding)}\n`);
  // A thread that ended before its time has proven nothing about the targets that were still to come.
  const isCutShort = reports.length < targets.length;
  if (isCutShort) out.write(`only ${reports.length} of ${targets.length} targets were fuzzed\n`);
  return findings.length > 0 || isCutShort ? 1 : 0;
}

/** What to do, or undefined to say how it is called, or what is wrong. */
function parse(args: readonly string[]) {
  try {
    const { values } = readArgs({
      args: [...args],
      options: {
        seconds: { type: "string", default: "60" },
        seed: { type: "string", default: `${Date.now() % 1_000_000}` },
        help: { type: "boolean", short: "h", default: false },
        target: { type: "string" },
      },
    });
    if (values.help) return undefined;
    const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
    if (!(seconds > 0)) return `--seconds: expected a number above 0, got ${values.seconds}`;
    if (!Number.isSafeInteger(seed)) return `--seed: expected an integer, got ${values.seed}`;
    const targets = [...TARGETS.keys()].filter(
      (at) => values.target === undefined || TARGETS[at]?.name === values.target,
    );
    const names = TARGETS.map(({ name }) => name).join(", ");
    return targets.length > 0 ? { seconds, seed, targets } : `--target: expected one of ${names}`;
  } catch (error) {
    if (error instanceof WrongCall) return error.message;
    throw error;
  }
}

/** Prints what the thread tells until it ends, by itself or because an input does not. */
async function watch(
  worker: FuzzWorker,
  board: InputBoard,
  out: Output,
): Promise<readonly TargetReport[]> {
  const reports: TargetReport[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    worker.on("error", reject);
    worker.on("exit", () => resolve());
  });
  worker.on("message", (report) => {
    reports.push(report);
    out.write(`${formatReport(report)}\n`);
  });
  let seen = { count: 0, at: performance.now() };
  let toldAt = seen.at;
  const timer = setInterval(() => {
    const now = performance.now();
    const { count } = board;
    // Before the first input there is nothing that could be endless.
    if (count !== seen.count || count === 0) seen = { count, at: now };
    if (now - seen.at > ENDLESS_MS) {
      reports.push(endless(board));
      clearInterval(timer);
      void worker.terminate();
    } else if (now - toldAt >= PROGRESS_MS) {
      toldAt = now;
      out.write(`  … ${TARGETS[board.current.target]?.name}: input ${count}\n`);
    }
  }, 500);
  try {
    await ended;
  } finally {
    clearInterval(timer);
  }
  return reports;
}

/** What is known of a target whose thread had to be ended. */
function endless(board: InputBoard): TargetReport {
  const { target, input } = board.current;
  const name = TARGETS[target]?.name ?? "";
  return {
    target: name,
    inputs: 0,
    accepted: 0,
    refused: {},
    kept: 0,
    outcomes: 0,
    slowestMs: ENDLESS_MS,
    elapsedMs: ENDLESS_MS,
    finding: { target: name, kind: "slow", what: `no end within ${ENDLESS_MS} ms`, input },
  };
}

/** The work of the thread: fuzzes target after target and tells of each. */
export function fuzzTargets(work: FuzzWork, tell: (report: TargetReport) => void): void {
  const board = new InputBoard(work.board);
  using coverage = new Coverage();
  for (const index of work.targets) {
    const target = TARGETS[index];
    if (target === undefined) continue;
    const onInput = (_target: FuzzTarget, input: Uint8Array): void => board.show(index, input);
    tell(fuzz(target, { seed: work.seed, maxMs: work.msEach, coverage, onInput }));
  }
}

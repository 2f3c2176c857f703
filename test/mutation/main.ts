import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { FAULTS } from "./faults.ts";
import type { Fault } from "./faults.ts";

/**
 * Checks the tests: puts deliberate faults into a copy of the repository, one at a time, and runs the tests
 * that have to find them.
 *
 * Exits with 1 when a fault survives, or its text no longer stands in the file; with `--write` the table in
 * README.md beside this file is written anew.
 */

const ROOT = new URL("../..", import.meta.url).pathname;
const README = new URL("README.md", import.meta.url).pathname;
const TIMEOUT_MS = 300_000;

interface Outcome {
  readonly fault: Fault;
  /** The first test that failed; undefined when none did. */
  readonly caughtBy: string | undefined;
}

/** The parts of vitest's JSON report that are looked at. */
interface VitestReport {
  readonly numTotalTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** Copies every file that git knows or would take, and what is installed, as links. */
function copyRepository(): string {
  const copy = mkdtempSync(join(tmpdir(), "heddle-mutation-"));
  const list = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: ROOT });
  const files = list.toString("utf8").split("\0").filter(Boolean);
  for (const file of files) {
    const from = join(ROOT, file);
    if (existsSync(from)) cpSync(from, join(copy, file), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  const folders = new Set(
    files.filter((file) => file.endsWith("/package.json")).map((file) => dirname(file)),
  );
  for (const folder of folders) {
    const from = join(ROOT, folder, "node_modules");
    if (!existsSync(from)) continue;
    // The links inside are relative: in the copy they lead to the copy's packages.
    cpSync(from, join(copy, folder, "node_modules"), { recursive: true, verbatimSymlinks: true });
  }
  return copy;
}

/** Runs test files in the copy; returns the first failure, if there is one. */
function firstFailure(copy: string, tests: readonly string[]): string | undefined {
  const reportFile = join(copy, "report.json");
  rmSync(reportFile, { force: true });
  const args = ["node_modules/vitest/vitest.mjs", "run", "--reporter=json"];
  const run = spawnSync(process.execPath, [...args, `--outputFile=${reportFile}`, ...tests], {
    cwd: copy,
    encoding: "utf8",
    timeout: TIMEOUT_MS,
  });
  if (run.status === 0) return undefined;
  if (!existsSync(reportFile)) return `no report: ${run.signal ?? run.stderr.slice(0, 200)}`;
  const report = JSON.parse(readFileSync(reportFile, "utf8")) as VitestReport;
  for (const { assertionResults } of report.testResults) {
    const failed = assertionResults.find(({ status }) => status === "failed");
    if (failed !== undefined) return failed.fullName;
  }
  // A file that did not even load proves nothing about its tests.
  throw new Error(`no test ran: ${run.stdout.slice(0, 500)} ${run.stderr.slice(0, 500)}`);
}

/** Puts one fault in, runs its tests, and takes it out again. */
function seed(copy: string, fault: Fault): Outcome {
  const path = join(copy, fault.file);
  const text = readFileSync(path, "utf8");
  if (text.split(fault.find).length !== 2) {
    throw new Error(`${fault.file} does not hold this text exactly once: ${fault.find}`);
  }
  writeFileSync(
    path,
    text.replace(fault.find, () => fault.put),
  );
  try {
    return { fault, caughtBy: firstFailure(copy, fault.tests) };
  } finally {
    writeFileSync(path, text);
  }
}

function writeReadme(outcomes: readonly Outcome[]): void {
  const rows = outcomes.map(({ fault, caughtBy }, at) => {
    const cells = [`${at + 1}`, fault.name, `\`${fault.file}\``, caughtBy ?? "**nothing**"];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  const head = readFileSync(README, "utf8").split("| # |")[0] ?? "";
  const table = ["| # | fault | file | caught by |", "| --- | --- | --- | --- |", ...rows];
  writeFileSync(README, `${head}${table.join("\n")}\n`);
}

function main(): number {
  const copy = copyRepository();
  try {
    const tests = [...new Set(FAULTS.flatMap((fault) => fault.tests))];
    const failure = firstFailure(copy, tests);
    if (failure !== undefined) throw new Error(`without any fault a test fails: ${failure}`);
    console.log(`${tests.length} test files pass without a fault`);
    const outcomes = FAULTS.map((fault) => {
      const outcome = seed(copy, fault);
      console.log(`${outcome.caughtBy === undefined ? "SURVIVED" : "caught"}: ${fault.name}`);
      console.log(`    ${outcome.caughtBy ?? fault.file}`);
      return outcome;
    });
    const survivors = outcomes.filter(({ caughtBy }) => caughtBy === undefined);
    console.log(`${outcomes.length - survivors.length} of ${outcomes.length} faults were caught`);
    if (process.argv.includes("--write")) writeReadme(outcomes);
    return survivors.length > 0 ? 1 : 0;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

process.exitCode = main();

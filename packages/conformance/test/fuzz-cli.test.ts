import { EventEmitter } from "node:events";

import { afterEach, describe, expect, test, vi } from "vitest";

import { InputBoard } from "../src/fuzz/board.ts";
import { fuzzTargets, main } from "../src/fuzz/cli.ts";
import type { FuzzWork, FuzzWorker } from "../src/fuzz/cli.ts";
import { TARGETS } from "../src/fuzz/targets/index.ts";

/** A thread that is none. */
class FakeWorker extends EventEmitter implements FuzzWorker {
  isTerminated = false;

  async terminate(): Promise<void> {
    this.isTerminated = true;
    this.emit("exit");
  }
}

afterEach(() => void vi.useRealTimers());

async function run(
  args: string[],
  work: (work: FuzzWork, worker: FakeWorker) => void = () => undefined,
) {
  let text = "";
  const out = { write: (more: string) => (text += more) };
  const code = await main(args, out, (given) => {
    const worker = new FakeWorker();
    setImmediate(() => work(given, worker));
    return worker;
  });
  return { code, text };
}

/** Does the work at once. */
function workThrough(work: FuzzWork, worker: FakeWorker): void {
  fuzzTargets(work, (report) => worker.emit("message", report));
  worker.emit("exit");
}

test("a target's line, the total and exit code 0, when nothing was found", async () => {
  const { code, text } = await run(
    ["--target", "enode", "--seconds", "0.05", "--seed", "3"],
    workThrough,
  );
  expect(code).toBe(0);
  expect(text).toMatch(/^seed 3, 0.05 s over 1 target\n/);
  expect(text).toMatch(/\nenode .*\n[\d,]+ inputs in 0 s, 0 findings\n$/);
});

test("without a name all targets are fuzzed, each for its share of the time", async () => {
  let given: FuzzWork | undefined;
  const { code, text } = await run(["--seconds", "28"], (work, worker) => {
    given = work;
    worker.emit("exit");
  });
  expect(given?.targets).toHaveLength(TARGETS.length);
  expect(given?.msEach).toBe(28_000 / TARGETS.length);
  // This thread ended without having done any of it.
  expect(text).toContain(`only 0 of ${TARGETS.length} targets were fuzzed`);
  expect(code).toBe(1);
});

test("a finding is printed with its input, and the exit code is 1", async () => {
  const { code, text } = await run(["--target", "rlp"], (work, worker) => {
    const finding = { target: "rlp", kind: "slow", what: "101 ms", input: Uint8Array.of(0xc1) };
    fuzzTargets({ ...work, msEach: 1 }, (report) => worker.emit("message", { ...report, finding }));
    worker.emit("exit");
  });
  expect(code).toBe(1);
  expect(text).toContain("1 finding\nrlp: slow: 101 ms\n  input: c1\n");
});

test("an input without end is told by the thread that watches, and ends the run", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  let worker: FakeWorker | undefined;
  const result = run(["--target", "snappy"], (work, started) => {
    worker = started;
    new InputBoard(work.board).show(work.targets[0] ?? 0, Uint8Array.of(1, 2, 3));
  });
  await vi.waitFor(() => expect(worker).toBeDefined());
  await vi.advanceTimersByTimeAsync(10_000);
  expect(worker?.isTerminated).toBe(false);
  await vi.advanceTimersByTimeAsync(15_000);
  const { code, text } = await result;
  expect(worker?.isTerminated).toBe(true);
  expect(code).toBe(1);
  expect(text).toMatch(/… snappy: input 1\n/);
  expect(text).toContain("snappy: slow: no end within 20000 ms\n  input: 010203\n");
});

test("a thread that fails fails the run", async () => {
  const failing = run([], (_work, worker) => worker.emit("error", new Error("no memory")));
  await expect(failing).rejects.toThrow("no memory");
});

test("asked for help it says how it is called, and exits with 0", async () => {
  expect(await run(["--help"])).toEqual({ code: 0, text: expect.stringMatching(/^usage: fuzz /) });
});

describe("arguments that are none", () => {
  test.each([
    [["--target", "nothing"], "expected one of rlp, enode"],
    [["--seconds=-1"], "--seconds: expected a number above 0, got -1"],
    [["--seconds", "x"], "--seconds: expected a number above 0, got x"],
    [["--seed", "1.5"], "--seed: expected an integer, got 1.5"],
    [["--what"], "fuzz: Unknown option '--what'\nusage: fuzz"],
  ])("%j", async (args, expected) => {
    const { code, text } = await run(args);
    expect(code).toBe(2);
    expect(text).toContain(expected);
  });
});

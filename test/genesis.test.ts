import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("../examples/genesis/main.ts", import.meta.url));

/** Runs the example without a terminal. */
function run(): Promise<{ code: number | null; lines: readonly string[]; errors: string }> {
  const child = spawn(process.execPath, ["--import", "tsx", MAIN], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  return new Promise((resolve) => {
    child.once("close", (code) => resolve({ code, lines: out.split("\n"), errors }));
  });
}

test("a network grows from one address, everyone prints a broadcast, and the first node may go", async () => {
  const { code, errors, lines } = await run();
  expect([code, errors]).toEqual([0, ""]);
  const names = ["genesis", "ann", "bob", "carol"];
  /** What a node printed, in order. */
  const printed = (name: string): string[] =>
    lines.filter((line) => line.startsWith(`[${name}]`)).map((line) => line.slice(10).trim());
  const known = (name: string): (string | undefined)[] =>
    printed(name)
      .map((line) => /^knows (\w+) at 127\.0\.0\.1:\d+$/.exec(line)?.[1])
      .filter((other) => other !== undefined);
  const heard = (name: string, title: string): string[] =>
    printed(name).filter((line) => line.includes(` says at `) && line.includes(`: ${title}: `));

  for (const name of names) {
    expect(known(name)).toEqual(expect.arrayContaining(names.filter((other) => other !== name)));
    expect(heard(name, "hello")).toHaveLength(1);
  }
  for (const name of ["ann", "bob", "carol"]) {
    expect(printed(name)).toContain("joined through the one address it was given");
    expect(known(name)).toContain("dave");
    expect(heard(name, "thanks")).toHaveLength(1);
  }
  expect(known("dave")).toEqual(expect.arrayContaining(["ann", "bob", "carol"]));
  expect(heard("dave", "hello")).toHaveLength(1);
  expect(heard("dave", "thanks")).toHaveLength(1);
  expect(heard("genesis", "thanks")).toEqual([]);

  // One message has one id and one time, whoever prints it.
  const told = new Set(names.flatMap((name) => heard(name, "hello")));
  expect(told.size).toBe(1);
}, 120_000);

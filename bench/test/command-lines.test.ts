import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

import { describe, expect, test } from "vitest";

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string, args: readonly string[]): Promise<Ran> {
  const path = fileURLToPath(new URL(`../${program}main.ts`, import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, ["--import", "tsx", path, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe.each<[name: string, folder: string, wrong: readonly (readonly string[])[]]>([
  ["bench", "", [["--only", "nonexist"]]],
  ["bench:server", "server/", [["--only", "nonexist"], ["quick"]]],
  ["bench/gossip", "gossip/", [["now"]]],
  ["bench/peer-exchange", "peer-exchange/", [["nonexist"]]],
  ["bench/file-share", "file-share/", [["--only", "nonexist"], ["--mib", "many"], ["--runs=0"]]],
])("%s", (name, folder, wrong) => {
  test.each([{ args: ["--bogus"] }, ...wrong.map((args) => ({ args }))])(
    "measures nothing when it is called with $args, and says why in a line",
    async ({ args }) => {
      const { code, stdout, stderr } = await run(folder, args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      const [problem = "", usage] = stderr.split("\n");
      expect(problem.startsWith(`${name}: `)).toBe(true);
      expect(usage?.startsWith(`usage: ${name}`)).toBe(true);
    },
  );

  test("says how it is called, when it is asked", async () => {
    const { code, stdout, stderr } = await run(folder, ["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.startsWith(`usage: ${name}`)).toBe(true);
  });
});

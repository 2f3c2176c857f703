import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("../examples/peer-exchange/main.ts", import.meta.url));

test("five processes come to know each other, outlive their bootstrap node, and end with 0", async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--import", "tsx", MAIN]);
  expect(stderr).toBe("");
  // A headline, an empty line, a table, an empty line.
  const [started = "", complete = "", killed = ""] = stdout
    .split("\n\n")
    .filter((_block, at) => at % 2 === 1);
  for (const table of [started, complete, killed]) expect(table.split("\n")).toHaveLength(6);
  const names = ["bootstrap", "alice", "bob", "carol", "dave"];
  for (const [at, line] of complete.split("\n").slice(1).entries()) {
    const [name, ...cells] = line.split(/ +/);
    expect(name).toBe(names[at]);
    expect(cells[at]).toBe("-");
    expect(cells.toSpliced(at, 1).every((cell) => /^(?:peer|known)$/.test(cell))).toBe(true);
  }
  const [, bootstrap = "", ...others] = killed.split("\n");
  expect(bootstrap.trim()).toBe("bootstrap");
  for (const line of others) expect(line).toContain("peer");
}, 90_000);

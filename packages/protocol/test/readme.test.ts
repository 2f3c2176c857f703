import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
const program = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";

test("the README's program runs as it stands and prints the answer", async () => {
  // Inside the package, so that it may import the package by its name.
  const folder = fileURLToPath(new URL("../dist", import.meta.url));
  await mkdir(folder, { recursive: true });
  const place = await mkdtemp(join(folder, "readme-"));
  try {
    const file = join(place, "program.mts");
    await writeFile(file, program);
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file]);
    expect(stdout).toBe("{ word: 'bar' }\n");
  } finally {
    await rm(place, { recursive: true });
  }
});

test("two nodes, a typed request and its answer take at most fifteen lines", () => {
  const lines = program.split("\n").filter((line) => line.trim() !== "");
  expect(lines.length).toBeGreaterThan(5);
  expect(lines.length).toBeLessThanOrEqual(15);
});

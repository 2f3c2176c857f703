import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

import { CASES, targetProtocols } from "../src/index.ts";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");

const programs = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, program = ""]) => program);

test.each([
  {
    of: "a run",
    program: programs[0],
    prints: "{ pass: 19, fail: 0, tolerated: 0, skipped: 0 }\n",
  },
  { of: "a case", program: programs[1], prints: "mine/long-ping: Pong, pass\n" },
])("the README's program for $of runs as it stands", async ({ program = "", prints }) => {
  // Inside the package, so that it may import the package by its name.
  const folder = fileURLToPath(new URL("../dist", import.meta.url));
  await mkdir(folder, { recursive: true });
  const place = await mkdtemp(join(folder, "readme-"));
  try {
    const file = join(place, "program.mts");
    await writeFile(file, program);
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file]);
    expect(stdout).toBe(prints);
  } finally {
    await rm(place, { recursive: true });
  }
});

test("the README counts the cases of every group", () => {
  const counts = new Map<string, number>();
  for (const { name } of CASES) {
    const group = name.slice(0, name.indexOf("/"));
    counts.set(group, (counts.get(group) ?? 0) + 1);
  }
  for (const [group, count] of counts) {
    expect(readme).toMatch(new RegExp(`^\\| \`${group}\` +\\| ${count} +\\|`, "m"));
  }
});

test("the README has every protocol that a target should speak, with its length", () => {
  for (const { name, length } of targetProtocols()) {
    expect(readme).toMatch(new RegExp(`^\\| \`${name}\` [0-9, ]+\\| ${length} +\\|`, "m"));
  }
});

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

import { DEFAULT_PEX_LIMITS, REFUSALS } from "../src/index.ts";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
const program = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";

test("the README's program runs as it stands and prints what happened", async () => {
  // Inside the package, so that it may import the package by its name.
  const folder = fileURLToPath(new URL("../dist", import.meta.url));
  await mkdir(folder, { recursive: true });
  const place = await mkdtemp(join(folder, "readme-"));
  try {
    const file = join(place, "program.mts");
    await writeFile(file, program);
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file]);
    expect(stdout).toBe("carol joined by bootstrap; bob, who knew alice, knows her\n");
  } finally {
    await rm(place, { recursive: true });
  }
});

test("the README names every limit and every refusal", () => {
  for (const name of [...Object.keys(DEFAULT_PEX_LIMITS), ...REFUSALS]) {
    expect(readme).toContain(`\`${name}\``);
  }
});

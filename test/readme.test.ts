import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

test("the README's program runs as it stands and prints the answer", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const program = /```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  if (program === undefined) throw new Error("the README has no TypeScript program");
  // Finds there what it finds in the root.
  const cache = fileURLToPath(new URL("../node_modules/.cache", import.meta.url));
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, "readme-"));
  try {
    const file = join(folder, "program.mts");
    await writeFile(file, program);
    const ran = await promisify(execFile)(process.execPath, ["--import", "tsx", file]);
    expect(ran).toEqual({ stdout: "recv: bar\n", stderr: "" });
  } finally {
    await rm(folder, { recursive: true });
  }
});

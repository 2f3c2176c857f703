import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { codeTable } from "@heddle/protocol";
import { expect, test } from "vitest";

import { Chat1, DEFAULT_LIMITS } from "../src/index.ts";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");

test("the README's program runs as it stands and prints what is heard", async () => {
  const program = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  // Inside the package, so that it may import the package by its name.
  const folder = fileURLToPath(new URL("../dist", import.meta.url));
  await mkdir(folder, { recursive: true });
  const place = await mkdtemp(join(folder, "readme-"));
  try {
    const file = join(place, "program.mts");
    await writeFile(file, program);
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file]);
    expect(stdout).toBe("bob hears ann: just between us\nbob hears ann: hello, everybody\n");
  } finally {
    await rm(place, { recursive: true });
  }
});

test("the README's wire table is that of the protocol", () => {
  const rows = [...readme.matchAll(/^\| (0x0\d) \| `([a-z.]+)` +\|/gm)];
  expect(rows.map(([, code, name]) => [Number(code), name])).toEqual(
    codeTable(Chat1).map(({ code, name }) => [code, name]),
  );
});

test("the README names every limit that can be set, and every error", async () => {
  for (const name of Object.keys(DEFAULT_LIMITS)) expect(readme).toContain(`\`${name}\``);
  const source = await readFile(new URL("../src/errors.ts", import.meta.url), "utf8");
  for (const [code] of source.matchAll(/ERR_CHAT_\w+/g)) expect(readme).toContain(`\`${code}\``);
});

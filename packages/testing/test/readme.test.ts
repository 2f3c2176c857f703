import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, expect, test } from "vitest";

import * as kit from "../src/index.ts";

const read = (path: string): Promise<string> =>
  readFile(new URL(`../${path}`, import.meta.url), "utf8");

const readme = await read("README.md");
const examples = [...readme.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)];

// Inside the package, so that they may import it by its name.
const dist = fileURLToPath(new URL("../dist", import.meta.url));
await mkdir(dist, { recursive: true });
const folder = await mkdtemp(join(dist, "readme-"));
afterAll(() => rm(folder, { recursive: true }));
for (const [, file = "", code = ""] of examples) await writeFile(join(folder, file), code);

// Each of them defines its own tests, which become tests of this file.
for (const [, file = ""] of examples) {
  if (file.endsWith(".test.ts")) await import(join(folder, file));
}

test("the README has examples of each part", () => {
  expect(examples.map(([, file]) => file)).toEqual([
    "echo.ts",
    "two-nodes.test.ts",
    "message-by-message.test.ts",
    "byte-by-byte.test.ts",
    "time.test.ts",
    "many-nodes.test.ts",
    "contract.test.ts",
    "fuzz.test.ts",
  ]);
});

test("the README names every export, types too", async () => {
  const index = await read("src/index.ts");
  const names = [...index.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, list = ""]) =>
    list.split(",").map((name) => name.trim()),
  );
  const listed = readme.slice(readme.indexOf("## Exports"));
  const exported = names.filter((name) => name !== "");
  expect(exported.filter((name) => !listed.includes(`\`${name}\``))).toEqual([]);
  expect(Object.keys(kit).every((name) => exported.includes(name))).toBe(true);
});

test("nothing in it needs a test runner", async () => {
  const { dependencies } = JSON.parse(await read("package.json")) as {
    dependencies: Record<string, string>;
  };
  expect(Object.keys(dependencies).every((name) => name.startsWith("@heddle/"))).toBe(true);
});

import { readFile } from "node:fs/promises";

import { expect, test } from "vitest";

import { readReadme } from "../../../test/readme-programs.ts";
import { DEFAULT_LIMITS } from "../src/index.ts";

const { run, text: readme } = await readReadme(import.meta.url);

test("the README's program runs as it stands and prints what it found and fetched", async () => {
  expect(await run()).toBe("weaving.txt 13 true\n");
});

test("the README names every limit", () => {
  for (const limit of Object.keys(DEFAULT_LIMITS)) expect(readme).toContain(`\`${limit}\``);
});

test("the README names every error code of the package", async () => {
  const errors = await readFile(new URL("../src/errors.ts", import.meta.url), "utf8");
  for (const [code] of errors.matchAll(/ERR_FILES_[A-Z_]*[A-Z]\b/g)) expect(readme).toContain(code);
});

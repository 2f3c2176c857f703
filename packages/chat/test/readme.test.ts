import { readFile } from "node:fs/promises";

import { codeTable } from "@heddle/protocol";
import { expect, test } from "vitest";

import { readReadme } from "../../../test/readme-programs.ts";
import { Chat1, DEFAULT_LIMITS } from "../src/index.ts";

const { run, text: readme } = await readReadme(import.meta.url);

test("the README's program runs as it stands and prints what is heard", async () => {
  expect(await run()).toBe("bob hears ann: just between us\nbob hears ann: hello, everybody\n");
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

import { codeTable } from "@heddle/protocol";
import { expect, test } from "vitest";

import { readReadme } from "../../../test/readme-programs.ts";
import { DEFAULT_LIMITS, Gossip1 } from "../src/index.ts";

const { run, text: readme } = await readReadme(import.meta.url);

test("the README's program runs as it stands and prints the message", async () => {
  expect(await run()).toBe("1 said before anybody was there\n");
});

test("the README's wire table is that of the protocol", () => {
  const rows = [...readme.matchAll(/^\| (0x0\d) \| `([a-z.]+)` +\|/gm)].map(([, code, name]) => [
    Number(code),
    name,
  ]);
  expect(rows).toEqual(codeTable(Gossip1).map(({ code, name }) => [code, name]));
});

test("the README names every limit that can be set", () => {
  for (const name of Object.keys(DEFAULT_LIMITS)) expect(readme).toContain(`\`${name}\``);
});

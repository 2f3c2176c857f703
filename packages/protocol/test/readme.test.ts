import { readFile } from "node:fs/promises";

import { expect, test } from "vitest";

import { readReadme } from "../../../test/readme-programs.ts";
import { DEFAULT_TIMEOUT_MS, MAX_ITEMS } from "../src/index.ts";

const read = (path: string): Promise<string> =>
  readFile(new URL(`../${path}`, import.meta.url), "utf8");

const { programs, run, text: readme } = await readReadme(import.meta.url);

test("the README's program runs as it stands and prints the answer", async () => {
  expect(await run()).toBe("{ word: 'bar' }\n");
});

test("two nodes, a typed request and its answer take at most fifteen lines", () => {
  const lines = programs[0]?.split("\n").filter((line) => line.trim() !== "") ?? [];
  expect(lines.length).toBeGreaterThan(5);
  expect(lines.length).toBeLessThanOrEqual(15);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
});

test("its schemas refuse what they say, with the path", async () => {
  expect(await run(1)).toBe("2\nSchemaError: headers[1].number: leading zero\n");
});

test("its declared protocol runs as it stands", async () => {
  const printed = await run(2);
  for (const name of ["status", "foo", "foo.reply", "gossip", "blob", "blob.reply"]) {
    expect(printed).toContain(`'${name}'`);
  }
  expect(programs).toHaveLength(3);
});

test("each of its semantics names tests that are there", async () => {
  const table = readme.slice(readme.indexOf("## Semantics"), readme.indexOf("## Errors"));
  const rows = table.split("\n").filter((line) => /^\| +(?:\d|[`a-z ])/.test(line));
  const numbered = rows.map((row) => /^\| (\d)\./.exec(row)?.[1]).filter((n) => n !== undefined);
  expect(numbered).toEqual(["1", "2", "3", "4", "5", "6"]);
  let named = 0;
  for (const row of rows) {
    const cell = row.split(" | ")[2] ?? "";
    for (const [, file = "", names = ""] of cell.matchAll(/`([a-z0-9/-]+)`((?: ·? ?_[^_]+_)+)/g)) {
      const path = file.startsWith("p2p/") ? `../p2p/test/${file.slice(4)}` : `test/${file}`;
      const source = (await read(`${path}.test.ts`)).replaceAll("`", "");
      for (const [, name = ""] of names.matchAll(/_([^_]+)_/g)) {
        expect(source, `${file}: ${name}`).toContain(`"${name}"`);
        named += 1;
      }
    }
  }
  expect(named).toBeGreaterThan(35);
});

test("its limits are those of the code", () => {
  const limit = (name: string): string =>
    readme
      .split("\n")
      .find((line) => line.startsWith(`| ${name}`))
      ?.split("|")[2]
      ?.trim() ?? "";
  expect(limit("items in one message")).toBe(MAX_ITEMS.toLocaleString("en-US"));
  expect(limit("`timeoutMs` of a request")).toMatch(
    new RegExp(`^${DEFAULT_TIMEOUT_MS.toLocaleString("en-US")},`),
  );
});

test("the README names every export, types too", async () => {
  const index = await read("src/index.ts");
  const exported = [...index.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, list = ""]) =>
    list.split(",").map((name) => name.trim()),
  );
  const missing = exported.filter(
    (name) => name !== "" && !new RegExp(`\`${name}[\`(]`).test(readme),
  );
  expect(missing).toEqual([]);
});

import { expect, test } from "vitest";

import { readReadme } from "../../../test/readme-programs.ts";
import { CASES, targetProtocols } from "../src/index.ts";

const { run, text: readme } = await readReadme(import.meta.url);

test.each([
  { of: "a run", index: 0, prints: "{ pass: 19, fail: 0, tolerated: 0, skipped: 0 }\n" },
  { of: "a case", index: 1, prints: "mine/long-ping: Pong, pass\n" },
])("the README's program for $of runs as it stands", async ({ index, prints }) => {
  expect(await run(index)).toBe(prints);
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

import { expect, test } from "vitest";

import { readReadme } from "../../../test/readme-programs.ts";
import { DEFAULT_PEX_LIMITS, REFUSALS } from "../src/index.ts";

const { run, text: readme } = await readReadme(import.meta.url);

test("the README's program runs as it stands and prints what happened", async () => {
  expect(await run()).toBe("carol joined by bootstrap; bob, who knew alice, knows her\n");
});

test("the README names every limit and every refusal", () => {
  for (const name of [...Object.keys(DEFAULT_PEX_LIMITS), ...REFUSALS]) {
    expect(readme).toContain(`\`${name}\``);
  }
});

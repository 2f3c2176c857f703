import { readFile } from "node:fs/promises";

import { expect, test } from "vitest";

import { FAULTS } from "./mutation/faults.ts";

const root = new URL("../", import.meta.url);

test("each deliberate fault still has its place: its text stands in its file once, its tests are there", async () => {
  for (const { name, file, find, put, tests } of FAULTS) {
    const text = await readFile(new URL(file, root), "utf8");
    expect(text.split(find), name).toHaveLength(2);
    expect(put, name).not.toBe(find);
    for (const path of tests) {
      expect(await readFile(new URL(path, root), "utf8"), name).toContain("test");
    }
  }
  expect(new Set(FAULTS.map(({ name }) => name)).size).toBe(FAULTS.length);
  expect(FAULTS.length).toBeGreaterThanOrEqual(20);
});

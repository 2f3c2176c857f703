import { expect, test } from "vitest";

import { formatBytes, ProgressBar } from "../progress.ts";

const MIB = 1024 * 1024;

/** A bar that draws into a text, at a time that the test sets. */
function draw(isTTY: boolean) {
  const state = { now: 0, text: "" };
  const output = { isTTY, write: (text: string) => (state.text += text) };
  const bar = new ProgressBar(output, () => state.now);
  const update = (now: number, doneBytes: number, size = 100 * MIB, sources = 2): void => {
    state.now = now;
    bar.update({ size, doneBytes, resumedBytes: 0, sources });
  };
  return { state, update };
}

test("on a terminal one line is redrawn, ten times a second at most, with rate, time left and sources", () => {
  const { state, update } = draw(true);
  for (let ms = 0; ms <= 1_000; ms += 10) update(ms, (ms / 1_000) * 20 * MIB);
  const drawn = state.text.split("\r\u001b[K").slice(1);
  expect(drawn).toHaveLength(11);
  expect(drawn.at(-1)).toBe(
    "[####--------------------]  20 %  20.0 MiB of 100.0 MiB  20.0 MiB/s  ETA 0:04  2 sources",
  );
  expect(state.text).not.toContain("\n");
});

test("the rate is that of the last seconds, and the end is always drawn", () => {
  const { state, update } = draw(true);
  for (let s = 0; s <= 10; s++) update(s * 1_000, s * MIB);
  for (let s = 11; s <= 14; s++) update(s * 1_000, 10 * MIB + (s - 10) * 20 * MIB);
  expect(state.text).toContain("20.0 MiB/s  ETA 0:01");
  update(14_001, 100 * MIB, 100 * MIB, 1);
  expect(state.text.endsWith("1 source\n")).toBe(true);
});

test("elsewhere there is a line for each tenth", () => {
  const { state, update } = draw(false);
  for (let done = 0; done <= 100; done++) update(done, done * MIB);
  const lines = state.text.trimEnd().split("\n");
  expect(lines.map((line) => /\d+ %/.exec(line)?.[0])).toEqual(
    [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100].map((percent) => `${percent} %`),
  );
});

test("an empty file is complete at once, and nothing divides by zero", () => {
  const { state, update } = draw(false);
  update(0, 0, 0);
  expect(state.text).toBe(
    "[########################]  100 %  0 B of 0 B  0 B/s  ETA -:--  2 sources\n",
  );
});

test.each([
  [0, "0 B"],
  [1_023, "1023 B"],
  [1_536, "1.5 KiB"],
  [1024 ** 4, "1.0 TiB"],
  [1024 ** 5, "1024.0 TiB"],
])("%i bytes are shown as %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

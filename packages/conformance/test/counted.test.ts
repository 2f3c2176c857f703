import { expect, test } from "vitest";

import { counted } from "../src/counted.ts";

test.each([
  [1, "1 minute"],
  [0, "0 minutes"],
  [0.005, "0.005 minutes"],
  [12_345, "12,345 minutes"],
])("%d is counted as %s", (count, text) => {
  expect(counted(count, "minute")).toBe(text);
});

import { expect, test } from "vitest";

import * as conformance from "../src/index.ts";

test("the package exports what its README speaks of, and nothing by accident", () => {
  expect(Object.keys(conformance).toSorted()).toEqual([
    "CASES",
    "LENGTHS",
    "UnreachableError",
    "accepted",
    "formatComparison",
    "formatHeading",
    "formatResult",
    "formatSummary",
    "main",
    "refused",
    "runConformance",
    "selectCases",
    "silent",
    "targetProtocols",
    "token",
    "wrong",
  ]);
});

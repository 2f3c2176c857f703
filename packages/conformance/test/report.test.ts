import { expect, test } from "vitest";

import { formatComparison, formatHeading, formatResult } from "../src/index.ts";
import type { CaseResult, ConformanceReport } from "../src/index.ts";

function result(fields: Partial<CaseResult>): CaseResult {
  return {
    name: "base/ping",
    asks: "Ping is answered",
    source: "devp2p rlpx.md",
    did: "Pong",
    verdict: "pass",
    ms: 7,
    ...fields,
  };
}

function report(clientId: string, results: readonly CaseResult[]): ConformanceReport {
  const counts = { pass: 0, fail: 0, tolerated: 0, skipped: 0 };
  return { clientId, protocolVersion: 5, capabilities: [], results, counts };
}

test("every line is as wide as the heading", () => {
  const { length } = formatHeading();
  const lines = [
    result({}),
    result({ did: "x".repeat(200), asks: "y".repeat(200), name: "z".repeat(200) }),
    result({ verdict: "tolerated" }),
  ].map(formatResult);
  expect(new Set(lines.map((line) => line.length)).size).toBe(1);
  expect(Math.abs((lines[0]?.length ?? 0) - length)).toBeLessThan(8);
});

test("peer text in a line cannot move the cursor", () => {
  expect(formatResult(result({ did: "ack, from \u001b[2J" }))).toContain("ack, from \\u{1b}[2J");
});

test("a comparison shows what is not passed, and where passing takes another way", () => {
  const theirs = report("theirs/1", [
    result({}),
    result({
      name: "hello/short-id",
      did: "connection closed",
      verdict: "tolerated",
      why: "a | b",
    }),
    result({ name: "frames/one", did: "connection reset" }),
    result({ name: "frames/two", did: "all 16: connection closed" }),
    result({ name: "frames/three", did: "connection closed" }),
    result({ name: "snappy/largest", did: "9 bytes returned" }),
    result({ name: "mux/stalled", did: "not possible: the node lacks hold", verdict: "skipped" }),
  ]);
  const ours = report("ours/1", [
    result({}),
    result({ name: "hello/short-id", did: "Disconnect 0x07" }),
    result({ name: "frames/one", did: "Disconnect 0x02" }),
    result({ name: "frames/two", did: "all 16: Disconnect 0x02" }),
    result({ name: "frames/three", did: "connection reset" }),
    result({ name: "snappy/largest", did: "8 bytes returned" }),
  ]);
  expect(formatComparison(theirs, ours)).toBe(`\
| case | the specification asks | theirs | ours | verdict | why it is tolerated |
| --- | --- | --- | --- | --- | --- |
| \`hello/short-id\` | Ping is answered | no Disconnect | Disconnect 0x07 | tolerated | a \\| b |
| \`mux/stalled\` | Ping is answered | not possible: the node lacks hold | not run | skipped |  |

Both pass, each in its way:

| theirs | ours | cases |
| --- | --- | --- |
| no Disconnect | Disconnect 0x02 | \`frames/one\`, \`frames/two\` |
`);
});

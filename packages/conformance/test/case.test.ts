import { expect, test } from "vitest";

import { judge } from "../src/case.ts";
import type { Expectation, Verdict } from "../src/case.ts";
import { CASES } from "../src/index.ts";
import { accepted, refused, silent, wrong } from "../src/outcome.ts";
import type { Outcome } from "../src/outcome.ts";

interface Judgement {
  readonly name: string;
  readonly expects: Expectation;
  readonly outcome: Outcome;
  readonly verdict: Verdict;
  readonly why?: string;
}

const judgements: readonly Judgement[] = [
  {
    name: "what is accepted as asked passes",
    expects: { kind: "accepted" },
    outcome: accepted("Pong"),
    verdict: "pass",
  },
  {
    name: "what is refused as asked passes, whatever the reason",
    expects: { kind: "refused" },
    outcome: refused("disconnect", 0x10),
    verdict: "pass",
  },
  {
    name: "a refusal for the reason asked for passes",
    expects: { kind: "refused", reasons: [0x07], otherwise: "known" },
    outcome: refused("disconnect", 0x07),
    verdict: "pass",
  },
  {
    name: "another reason is tolerated where that is explained",
    expects: { kind: "refused", reasons: [0x07], otherwise: "known" },
    outcome: refused("disconnect", 0x02),
    verdict: "tolerated",
    why: "known",
  },
  {
    name: "a close without a reason is tolerated where that is explained",
    expects: { kind: "refused", reasons: [0x07], otherwise: "known" },
    outcome: refused("end"),
    verdict: "tolerated",
    why: "known",
  },
  {
    name: "another reason fails where nothing explains it",
    expects: { kind: "refused", reasons: [0x07] },
    outcome: refused("reset"),
    verdict: "fail",
  },
  {
    name: "the opposite is tolerated where that is explained",
    expects: { kind: "refused", opposite: "open" },
    outcome: accepted("Pong"),
    verdict: "tolerated",
    why: "open",
  },
  {
    name: "the opposite fails where nothing explains it",
    expects: { kind: "accepted" },
    outcome: refused("end"),
    verdict: "fail",
  },
  {
    name: "silence fails, whatever is tolerated",
    expects: { kind: "refused", reasons: [0x07], otherwise: "known", opposite: "open" },
    outcome: silent(10),
    verdict: "fail",
  },
  {
    name: "what no node may do fails, whatever is tolerated",
    expects: { kind: "accepted", opposite: "open" },
    outcome: wrong("another payload"),
    verdict: "fail",
  },
];

test.each(judgements)("$name", ({ expects, outcome, verdict, why }) => {
  expect(judge(expects, outcome)).toEqual(why === undefined ? { verdict } : { verdict, why });
});

test("every case has a name of its own, a question, a source and one of nine groups", () => {
  const groups = new Set<string>();
  for (const { name, asks, source } of CASES) {
    expect(name).toMatch(/^[a-z]+\/[a-z0-9-]+$/);
    expect(asks).not.toBe("");
    expect(source).toMatch(/^(devp2p |EIP-|Snappy |CVE-|go-ethereum )/);
    groups.add(name.slice(0, name.indexOf("/")));
  }
  expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
  expect([...groups]).toEqual([
    "handshake",
    "hello",
    "frames",
    "snappy",
    "negotiation",
    "mux",
    "base",
    "teardown",
    "dialer",
  ]);
});

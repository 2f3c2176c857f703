import { parseEnode } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import { judge } from "../src/case.ts";
import { CASES, runConformance } from "../src/index.ts";
import type { Case, CaseResult, ConformanceOptions, Verdict } from "../src/index.ts";
import { Probe } from "../src/probe.ts";
import { startFaultyNode } from "./faulty-node.ts";
import type { Fault, FaultyNode } from "./faulty-node.ts";

/** Which case notices which fault. */
const CAUGHT: readonly { readonly fault: Fault; readonly name: string }[] = [
  { fault: "auth elements are counted", name: "handshake/extra-elements" },
  { fault: "auth version is checked", name: "handshake/version-56" },
  { fault: "auth size has no bound", name: "handshake/oversize-prefix" },
  { fault: "header MAC is not checked", name: "frames/bad-header-mac" },
  { fault: "frame MAC is not checked", name: "frames/bad-frame-mac" },
  { fault: "frame MAC is compared in 8 bytes", name: "frames/bad-frame-mac" },
  { fault: "ids need not be canonical", name: "frames/non-canonical-ids" },
  { fault: "ids are cut to 32 bits", name: "mux/far-beyond" },
  { fault: "ids out of range are ignored", name: "mux/beyond-last" },
  { fault: "only one frame of a chunk is read", name: "frames/many-at-once" },
  { fault: "messages have no bound", name: "snappy/bomb-whole" },
  { fault: "Snappy copies are not checked", name: "snappy/copy-beyond-window" },
  { fault: "Pong is not compressed", name: "snappy/answers-are-compressed" },
  { fault: "version 4 is compressed", name: "hello/version-4" },
  { fault: "Hello id is not compared", name: "hello/wrong-id" },
  { fault: "Hello waits for the other", name: "hello/unprompted" },
  { fault: "a message may come before Hello", name: "hello/ping-first" },
  { fault: "a second Hello counts", name: "hello/second" },
  { fault: "ids follow the order of Hello", name: "negotiation/reverse-order" },
  { fault: "names are ordered by locale", name: "negotiation/upper-case-first" },
  { fault: "the lowest version is taken", name: "negotiation/highest-shared" },
  { fault: "unshared protocols take ids", name: "negotiation/one" },
  { fault: "nothing shared is fine", name: "negotiation/none-shared" },
  { fault: "Ping is not answered", name: "base/ping" },
  { fault: "Pong has no payload", name: "base/pong-payload" },
  { fault: "Disconnect is ignored", name: "teardown/disconnect" },
  { fault: "its own Disconnect closes nothing", name: "teardown/own-disconnect-closes" },
  { fault: "half-open stays open", name: "teardown/half-open" },
  { fault: "refusals come late", name: "handshake/bad-mac" },
  { fault: "the second connection is let in", name: "teardown/already-connected" },
  { fault: "a peer is never forgotten", name: "teardown/return-after-reset" },
  { fault: "it dies of a bad handshake", name: "handshake/foreign" },
];

/** How long a node may say nothing: short, where that is what it does wrong. */
const WAIT_MS = 400;

/** Runs exactly these cases. */
async function run(
  node: FaultyNode,
  names: readonly string[],
  options: ConformanceOptions = {},
): Promise<readonly CaseResult[]> {
  const cases = CASES.filter(({ name }) => names.includes(name));
  const { results } = await runConformance(node.enode, { ...options, cases });
  return results;
}

describe.concurrent("a node with one fault", () => {
  test.each(CAUGHT)("$fault", async ({ fault, name }) => {
    await using node = await startFaultyNode(fault);
    const [result] = await run(node, [name], { waitMs: WAIT_MS });
    expect(result).toMatchObject({ name, verdict: "fail" });
  });
});

/** What a case makes of a node, without the runner's questions before and after. */
async function judged(node: FaultyNode, candidate: Case): Promise<Verdict> {
  const offer = [
    { name: "MyProtocol", version: 1 },
    { name: "bench", version: 1 },
    { name: "echo", version: 1 },
    { name: "echo", version: 2 },
    { name: "wide", version: 1 },
  ];
  const probe = new Probe({ node: parseEnode(node.enode), offer, waitMs: SHORT_MS });
  try {
    return judge(candidate.expects, await candidate.run(probe)).verdict;
  } catch {
    // The runner counts a case that throws as failed.
    return "fail";
  } finally {
    probe.close();
  }
}

const SHORT_MS = 100;

/** The cases that end within seconds whatever the node does. */
const quick = CASES.filter(({ isSlow }) => isSlow !== true);

describe.concurrent("no case can be passed by doing the same to everybody", () => {
  const refusing = quick.filter(({ expects }) => expects.kind === "refused");
  const greeting = quick.filter(({ name }) => /^handshake|^hello.unprompted/.test(name));
  const accepting = quick.filter(({ expects }) => expects.kind === "accepted");

  test.each(refusing)("$name: a node that refuses nothing", async (candidate) => {
    await using node = await startFaultyNode("nothing is refused");
    expect(await judged(node, candidate)).not.toBe("pass");
  });

  test.each(accepting.filter((candidate) => !greeting.includes(candidate)))(
    "$name: a node that refuses everything behind Hello",
    async (candidate) => {
      await using node = await startFaultyNode("everything after Hello is refused");
      expect(await judged(node, candidate)).not.toBe("pass");
    },
  );

  test.each(accepting.filter((candidate) => greeting.includes(candidate)))(
    "$name: a node that refuses every auth",
    async (candidate) => {
      await using node = await startFaultyNode("every auth is refused");
      expect(await judged(node, candidate)).not.toBe("pass");
    },
  );
});

test("without a fault the same node passes every one of these cases", async () => {
  await using node = await startFaultyNode();
  const names = CAUGHT.map(({ name }) => name);
  const results = await run(node, names, { concurrency: 2 });
  expect(results.filter(({ verdict }) => verdict !== "pass")).toEqual([]);
  expect(results).toHaveLength(new Set(names).size);
});

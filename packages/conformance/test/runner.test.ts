import { formatEnode, generateSecretKey, nodeIdOf, parseEnode } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { MessageReadWriter, Peer, Protocol } from "@heddle/p2p";
import { describe, expect, test } from "vitest";

import { CASES, runConformance, selectCases, UnreachableError } from "../src/index.ts";
import type { Case } from "../src/index.ts";
import { accepted } from "../src/outcome.ts";

async function start(protocols: readonly Protocol[]): Promise<Server> {
  const server = new Server({
    key: generateSecretKey(),
    clientId: "target/1",
    listen: "127.0.0.1:0",
    protocols,
  });
  await server.start();
  return server;
}

/** Returns what comes under code 0 under code 1. */
const mirror: Protocol = {
  name: "mirror",
  version: 1,
  length: 2,
  async run(_peer: Peer, rw: MessageReadWriter) {
    for await (const { code, payload } of rw) if (code === 0) await rw.sendEncoded(1, payload);
  },
};

function caseOf(name: string, run: Case["run"]): Case {
  return { name, asks: "anything", source: "devp2p", expects: { kind: "accepted" }, run };
}

const named = (...names: string[]): Case[] => CASES.filter(({ name }) => names.includes(name));

describe("selectCases", () => {
  const cases = ["a/one", "a/one-more", "b/one"].map((name) =>
    caseOf(name, async () => accepted("")),
  );
  const slow: Case = { ...caseOf("a/slow", async () => accepted("")), isSlow: true };

  test.each([
    { only: undefined, slow: false, names: ["a/one", "a/one-more", "b/one"] },
    { only: undefined, slow: true, names: ["a/one", "a/one-more", "b/one", "a/slow"] },
    { only: "one-", slow: false, names: ["a/one-more"] },
    { only: "a/*", slow: true, names: ["a/one", "a/one-more", "a/slow"] },
    { only: "*/one", slow: false, names: ["a/one", "b/one"] },
    { only: "a.one", slow: false, names: [] },
    { only: "a.*", slow: false, names: [] },
  ])("only $only, slow $slow", ({ only, slow: isSlow, names }) => {
    const options = only === undefined ? { slow: isSlow } : { only, slow: isSlow };
    const selected = selectCases([...cases, slow], options);
    expect(selected.map(({ name }) => name)).toEqual(names);
  });
});

describe("runConformance", () => {
  test("reports results in the order of the cases, however they end", async () => {
    await using server = await start([mirror]);
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const cases = [
      caseOf("a/first", async () => {
        await released;
        return accepted("first");
      }),
      caseOf("a/second", async () => {
        release();
        return accepted("second");
      }),
    ];
    const ended: string[] = [];
    const report = await runConformance(server.enode, {
      cases,
      concurrency: 2,
      onResult: ({ name }) => ended.push(name),
    });
    expect(report.results.map(({ did }) => did)).toEqual(["first", "second"]);
    expect(ended.toSorted()).toEqual(["a/first", "a/second"]);
    expect(report).toMatchObject({
      clientId: "target/1",
      protocolVersion: 5,
      capabilities: ["flow/1", "mirror/1"],
      counts: { pass: 2, fail: 0, tolerated: 0, skipped: 0 },
    });
  });

  test("skips what needs a protocol that the node lacks, and says which", async () => {
    await using server = await start([mirror]);
    const { results } = await runConformance(server.enode, {
      cases: named("negotiation/one", "base/ping-while-stalled", "base/ping"),
    });
    expect(results.map(({ verdict, did }) => `${verdict}: ${did}`)).toEqual([
      "skipped: not possible: the node lacks echo/1",
      "pass: Pong",
      "skipped: not possible: the node lacks hold",
    ]);
  });

  test("proves by another protocol than echo when it is told its name and length", async () => {
    await using server = await start([mirror]);
    const { results } = await runConformance(server.enode, {
      cases: named("negotiation/one", "hello/plain", "mux/beyond-last"),
      echo: "mirror",
      lengths: { mirror: 2 },
    });
    expect(results.map(({ verdict, did }) => `${verdict}: ${did}`)).toEqual([
      "pass: 17 bytes returned under 0x11",
      "pass: mirror at 0x10",
      "pass: all 2: Disconnect 0x02",
    ]);
  });

  test("tests a node without any protocol as far as that goes", async () => {
    await using server = await start([]);
    const { counts } = await runConformance(server.enode, { only: "base/", concurrency: 4 });
    expect(counts).toEqual({ pass: 7, fail: 0, tolerated: 0, skipped: 1 });
  });

  test("fails a case that throws, with what it threw", async () => {
    await using server = await start([mirror]);
    const cases = [caseOf("a/throws", () => Promise.reject(new Error("no ack")))];
    const { results } = await runConformance(server.enode, { cases });
    expect(results).toMatchObject([{ verdict: "fail", did: "error: no ack" }]);
  });

  test("fails a case that does not end", async () => {
    await using server = await start([mirror]);
    const cases = [caseOf("a/hangs", () => new Promise(() => undefined))];
    const { results } = await runConformance(server.enode, { cases, limitMs: 20 });
    expect(results).toMatchObject([{ verdict: "fail", did: "the case did not end within 20 ms" }]);
  });

  test("fails a case after which an honest peer is not served any more", async () => {
    await using server = await start([mirror]);
    const cases = [
      caseOf("a/kills", async () => {
        await server.stop();
        return accepted("as asked");
      }),
    ];
    const { results } = await runConformance(server.enode, { cases });
    expect(results).toMatchObject([
      {
        verdict: "fail",
        did: expect.stringMatching(/^as asked; then an honest peer is not served: /),
      },
    ]);
  });

  test("closes what a case has opened", async () => {
    await using server = await start([mirror]);
    const ended = new Promise<void>((resolve) => {
      server.on("peer:drop", ({ peer }) => {
        if (peer.clientId === "left open") resolve();
      });
    });
    const cases = [
      caseOf("a/opens", async (probe) => {
        await probe.link({ hello: { clientId: "left open" } });
        return accepted("");
      }),
    ];
    await runConformance(server.enode, { cases });
    await ended;
  });

  test("says so when nobody is there", async () => {
    const server = await start([]);
    const { enode } = server;
    await server.stop();
    await expect(runConformance(enode)).rejects.toThrow(UnreachableError);
    await expect(runConformance(enode)).rejects.toMatchObject({
      code: "ERR_CONFORMANCE_UNREACHABLE",
    });
  });

  test("says so when somebody else is there", async () => {
    await using server = await start([]);
    const node = parseEnode(server.enode);
    const other = formatEnode({ ...node, id: nodeIdOf(generateSecretKey()) });
    await expect(runConformance(other)).rejects.toThrow(UnreachableError);
  });

  test.each([0, 9, 1.5, Number.NaN])("refuses a concurrency of %d", async (concurrency) => {
    await using server = await start([]);
    await expect(runConformance(server.enode, { concurrency })).rejects.toThrow(
      `concurrency: expected an integer from 1 to 8, got ${concurrency}`,
    );
  });
});

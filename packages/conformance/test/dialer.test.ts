import { generateSecretKey, parseEnode } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import { ScriptedAuth, scriptedPeer } from "@heddle/testing";
import type { ScriptedWire } from "@heddle/testing";
import { describe, expect, onTestFinished, test } from "vitest";

import { judge } from "../src/case.ts";
import { CASES, formatResult, runConformance, selectCases, targetProtocols } from "../src/index.ts";
import type { Case, Verdict } from "../src/index.ts";
import { Probe } from "../src/probe.ts";

const dialerCases = CASES.filter(({ isDialed }) => isDialed === true);

async function start(handshakeTimeoutMs: number): Promise<Server> {
  const server = new Server({
    key: generateSecretKey(),
    clientId: "dialer/1",
    listen: "127.0.0.1:0",
    protocols: targetProtocols(),
    limits: { handshakeTimeoutMs },
  });
  onTestFinished(() => server.stop());
  await server.start();
  return server;
}

test("without a way to make the node dial these cases are left out", () => {
  const names = selectCases(CASES, { slow: true }).map(({ name }) => name);
  expect(names).toHaveLength(CASES.length - dialerCases.length);
  expect(names.filter((name) => name.startsWith("dialer/"))).toEqual([]);
  expect(selectCases(CASES, { slow: true, dial: () => undefined })).toHaveLength(CASES.length);
});

test("a Heddle server that dials gives up those who say nothing", async () => {
  const server = await start(200);
  const { results } = await runConformance(server.enode, {
    only: "dialer/silence",
    slow: true,
    dial: (enode) => server.dial(enode),
  });
  expect(results).toHaveLength(2);
  expect(results.filter(({ verdict }) => verdict !== "pass").map(formatResult)).toEqual([]);
});

test("a node that does not dial fails, and is not waited for longer than an answer", async () => {
  const server = await start(60_000);
  const { results } = await runConformance(server.enode, {
    only: "dialer/plain",
    waitMs: 50,
    dial: () => Promise.reject(new Error("no such command")),
  });
  expect(results).toMatchObject([
    { verdict: "fail", did: "error: expected a connection, got nothing within 50 ms" },
  ]);
});

/** What a node that dials does with everybody, in the place of a server. */
type Conduct = (auth: ScriptedAuth, wire: ScriptedWire) => Promise<void>;

/** How long a node may take to answer or to close: short where it does not, long where it does. */
const SHORT_MS = 100;
const LONG_MS = 30_000;

async function judged(candidate: Case, conduct: Conduct, waitMs = SHORT_MS): Promise<Verdict> {
  const key = generateSecretKey();
  const wires: ScriptedWire[] = [];
  const node = parseEnode(new Server({ key, clientId: "none/1" }).enode);
  const probe = new Probe({
    node,
    waitMs,
    dial: async (enode) => {
      const wire = await scriptedPeer.wire(enode);
      wires.push(wire);
      const auth = new ScriptedAuth(parseEnode(enode).id, { key });
      await wire.write(auth.packet);
      await conduct(auth, wire);
    },
  });
  try {
    return judge(candidate.expects, await candidate.run(probe)).verdict;
  } catch {
    // The runner counts a case that throws as failed.
    return "fail";
  } finally {
    probe.close();
    for (const wire of wires) wire.close();
  }
}

const quick = dialerCases.filter(({ isSlow }) => isSlow !== true);
const refusing = quick.filter(({ expects }) => expects.kind === "refused");
const accepting = quick.filter(({ expects }) => expects.kind === "accepted");

/** Goes through with it, whomever it has reached. */
const trusting: Conduct = async (auth, wire) => {
  const peer = scriptedPeer.over(await auth.open(wire));
  peer.sendHello();
};

describe.concurrent("no case can be passed by doing the same to everybody", () => {
  test.each(refusing)("$name: a node that refuses nothing", async (candidate) => {
    expect(await judged(candidate, async () => undefined)).not.toBe("pass");
    expect(await judged(candidate, trusting)).not.toBe("pass");
  });

  test.each(refusing)("$name: a node that goes at once, whatever comes", async (candidate) => {
    expect(await judged(candidate, async (_auth, wire) => wire.finish())).not.toBe("pass");
  });

  test.each(accepting)("$name: a node that refuses every ack", async (candidate) => {
    const refuse: Conduct = async (_auth, wire) => {
      await wire.read();
      wire.finish();
    };
    expect(await judged(candidate, refuse)).not.toBe("pass");
    expect(await judged(candidate, trusting, LONG_MS)).toBe("pass");
  });
});

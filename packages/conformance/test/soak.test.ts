import { Server } from "@heddle/p2p";
import { seededRandom } from "@heddle/testing";
import { describe, expect, test, vi } from "vitest";

import { main } from "../src/soak/cli.ts";
import { HOSTILE_ACTS } from "../src/soak/hostile.ts";
import { Ledger } from "../src/soak/ledger.ts";
import { heapGrowth, leakedHandles } from "../src/soak/measure.ts";
import { soak } from "../src/soak/soak.ts";
import type { SoakOptions } from "../src/soak/soak.ts";
import { talkProtocols } from "../src/soak/talk.ts";
import { Visitor } from "../src/soak/visitor.ts";

const MIB = 2 ** 20;

/** Real connections with real deadlines, on a machine that may have other things to do. */
vi.setConfig({ testTimeout: 120_000 });

const short: SoakOptions = {
  durationMs: 400,
  roundMs: 300,
  warmupRounds: 1,
  seed: 5,
  visitors: 4,
  hostile: 2,
};

describe("a soak", () => {
  test("of honest and hostile nodes leaves nothing behind", async () => {
    const told: number[] = [];
    const report = await soak({ ...short, onRound: ({ connections }) => told.push(connections) });
    expect(report.failures).toEqual([]);
    expect(told.length).toBe(report.rounds.length);
    const last = report.rounds.at(-1);
    expect(last?.connections).toBeGreaterThan(0);
    expect(last?.messages).toBeGreaterThan(0);
    expect(last?.hostile).toBe(Object.values(report.acts).reduce((sum, count) => sum + count, 0));
  });

  test("fails on timers that stay", async () => {
    const timers: NodeJS.Timeout[] = [];
    const leak = async (): Promise<void> => {
      timers.push(setInterval(() => undefined, 60_000));
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    const report = await soak({ ...short, acts: { leak }, settleMs: 1_000 });
    for (const timer of timers) clearInterval(timer);
    const leaked = /^left after 1000 ms: handles: \d+ Timeout$/;
    expect(report.failures).toContainEqual(expect.stringMatching(leaked));
    // The first round that fails is the last.
    expect(report.rounds).toHaveLength(1);
  });

  test("fails on what never settles, and says what it is", async () => {
    const never = (): Promise<void> => new Promise(() => undefined);
    const { failures } = await soak({ ...short, hostile: 1, acts: { never }, settleMs: 1_000 });
    expect(failures).toContain("left after 1000 ms: a promise: never");
  });

  test("fails on a heap that grows", async () => {
    const kept: Uint8Array[] = [];
    const leak = async (): Promise<void> => {
      kept.push(new Uint8Array(8 * MIB));
      await new Promise((resolve) => setTimeout(resolve, 100));
    };
    const { rounds, failures } = await soak({
      ...short,
      durationMs: 1_500,
      roundMs: 100,
      warmupRounds: 0,
      hostile: 1,
      acts: { leak },
    });
    expect(rounds.length).toBeGreaterThan(1);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatch(/^the heap grew from \d+ to \d+ bytes$/);
  });
});

test("every hostile act comes to its end at a host that serves on", async () => {
  const random = seededRandom(11);
  await using host = new Server({
    key: random.secretKey(),
    clientId: "host/1",
    listen: "127.0.0.1:0",
    protocols: talkProtocols(),
    limits: { handshakeTimeoutMs: 1_000, drainTimeoutMs: 500 },
  });
  await host.start();
  const acts = Object.entries(HOSTILE_ACTS);
  const outcomes = await Promise.all(
    acts.map(async ([name, act]) => {
      const error = await act(host, random.fork()).then(() => undefined, String);
      // Nobody is left waiting; being cut off before the script's end is one way to end it.
      return error?.includes("ERR_TESTING_TIMEOUT") || error?.includes("within") ? name : undefined;
    }),
  );
  expect(outcomes.filter((name) => name !== undefined)).toEqual([]);
  const ledger = new Ledger();
  const visitor = new Visitor(ledger, random, {});
  await visitor.start();
  await visitor.visit(host);
  await visitor.stop();
  expect(ledger).toMatchObject({ connections: 1, refused: 0, failures: [] });
});

describe("the ledger", () => {
  test("knows what has not settled, by name", async () => {
    const ledger = new Ledger();
    let settle: () => void = () => undefined;
    const open = ledger.track("open", new Promise<void>((resolve) => (settle = resolve)));
    const failing = ledger.track("failing", Promise.reject(new Error("no")));
    await expect(failing).rejects.toThrow("no");
    expect(ledger.unsettled).toEqual(["open"]);
    settle();
    await open;
    expect(ledger.unsettled).toEqual([]);
  });

  test("keeps the first failures, however many there are", () => {
    const ledger = new Ledger();
    for (let i = 0; i < 1_000; i += 1) ledger.fail(`${i}`);
    expect(ledger.failures).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`));
  });
});

test("handles are leaked where there are more of a kind than at first", () => {
  expect(leakedHandles({ TCPServerWrap: 1 }, { TCPServerWrap: 1 })).toEqual([]);
  expect(leakedHandles({ Timeout: 2 }, { Timeout: 1, TCPSocketWrap: 3 })).toEqual([
    "3 TCPSocketWrap",
  ]);
});

test("growth is told by medians, so that one large heap is none", () => {
  const steady = [30, 31, 60, 30, 31, 30, 31, 30, 61].map((mib) => mib * MIB);
  expect(heapGrowth(steady)).toBeUndefined();
  const growing = Array.from({ length: 9 }, (_, i) => (30 + i) * MIB);
  expect(heapGrowth(growing)).toEqual({ from: 31 * MIB, to: 37 * MIB });
  expect(heapGrowth([])).toBeUndefined();
});

describe("the command line", () => {
  async function run(args: string[]) {
    let text = "";
    const code = await main(args, { write: (more) => (text += more) });
    return { code, text };
  }

  test("prints rounds, what was done, and the verdict", async () => {
    const { code, text } = await run(["--minutes", "0.005", "--seed", "9"]);
    expect(text).toContain("no failures");
    expect(code).toBe(0);
    expect(text).toMatch(/^seed 9, 0.005 minutes\n +time +connections/);
    expect(text).toMatch(/\n +\d+ s( +[\d,.]+){6}\n/);
  });

  test("asked for help it says how it is called, and exits with 0", async () => {
    const text = "usage: soak [--minutes N] [--seed N]\n";
    expect(await run(["--help"])).toEqual({ code: 0, text });
  });

  test.each([
    [["--minutes", "0"], "--minutes: expected a number above 0, got 0"],
    [["--seed", "x"], "--seed: expected an integer, got x"],
    [["--what"], "soak: Unknown option '--what'\nusage: soak"],
  ])("refuses %j", async (args, expected) => {
    const { code, text } = await run(args);
    expect(code).toBe(2);
    expect(text).toContain(expected);
  });
});

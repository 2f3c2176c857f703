import { stat } from "node:fs/promises";

import { Disconnect, DisconnectReason } from "@heddle/p2p";
import type { Peer, Protocol } from "@heddle/p2p";
import { defineProtocol, implement, request, text, uint } from "@heddle/protocol";
import { describe, expect, test } from "vitest";

import { contract, ContractError, FaultKind } from "../src/index.ts";
import type { CreateSubject, Fault } from "../src/index.ts";
import { createRange, createZeros, Range1 } from "./range.ts";

describe("a declared protocol keeps to", () => contract(test, () => createRange()));

describe("a declared protocol that asks keeps to", () =>
  contract(test, () => createRange({ run: async () => undefined })));

describe("a raw protocol keeps to", () =>
  contract(test, () => [createZeros(100)], { samples: { 0: [[3]] } }));

describe("a protocol that waits for a disk keeps to", () => {
  const waiting = async (): Promise<number[]> => [(await stat(import.meta.dirname)).nlink];
  contract(test, () => ({
    protocols: createRange({ range: waiting, store: waiting }),
    attach: waiting,
    close: waiting,
  }));
});

describe("two versions and a companion keep to", () =>
  contract(test, () => [
    { ...createZeros(10), version: 2, requires: [Range1] },
    createZeros(10),
    ...createRange(),
  ]));

/** Runs the case whose name has `word` in it, and returns the faults it finds. */
async function faultsOf(word: string, create: CreateSubject): Promise<readonly Fault[]> {
  const cases = new Map<string, () => Promise<void>>();
  contract((name, run) => cases.set(name, run), create, { patienceMs: 50 });
  const [found] = [...cases].filter(([name]) => name.includes(word));
  if (found === undefined) throw new Error(`no case is about ${word}`);
  try {
    await found[1]();
    return [];
  } catch (error) {
    if (error instanceof ContractError) return error.faults;
    throw error;
  }
}

const kindsOf = (faults: readonly Fault[]): string[] => [
  ...new Set(faults.map(({ kind }) => kind)),
];

const SPEAK = "with one another";
const END = "may end";
const ANSWER = "answered, taken or refused";
const UNREADABLE = "cannot be read";
const LEAVE = "left behind";

const zeros = (run: Protocol["run"]) => (): readonly Protocol[] => [{ ...createZeros(10), run }];
const peers = new Set<Peer>();

describe("what breaks it is found:", () => {
  test.each<[kind: string, what: string, word: string, create: CreateSubject]>([
    [
      FaultKind.conduct,
      "a node that refuses its own kind",
      SPEAK,
      zeros(async () => {
        throw new Disconnect(DisconnectReason.protocolError);
      }),
    ],
    [
      FaultKind.escaped,
      "a send that nobody waits for, on a connection that is gone",
      END,
      zeros(async (_peer, rw) => {
        for await (const _ of rw) continue;
        void (async () => rw.sendItems(1, "bye"))();
      }),
    ],
    [
      FaultKind.hang,
      "a run that waits for what will not come",
      END,
      zeros(async (_peer, rw) => {
        await rw.read();
        await new Promise(() => undefined);
      }),
    ],
    [
      FaultKind.conduct,
      "an end that ends others",
      END,
      zeros(async (peer, rw) => {
        peers.add(peer);
        for await (const _ of rw) continue;
        peers.delete(peer);
        for (const other of peers) void other.disconnect();
      }),
    ],
    [
      FaultKind.unread,
      "a code that is not read",
      ANSWER,
      zeros(async (peer) => {
        await new Promise((resolve) => peer.signal.addEventListener("abort", resolve));
      }),
    ],
    [
      FaultKind.conduct,
      "a request that is not answered",
      ANSWER,
      () => createRange({ range: () => new Promise(() => undefined) }),
    ],
    [
      FaultKind.undocumented,
      "what cannot be read, and is not expected to be so",
      UNREADABLE,
      zeros(async (_peer, rw) => {
        for await (const { payload } of rw) if (payload[0] !== 0xc1) throw new TypeError("what?");
      }),
    ],
    [
      FaultKind.leak,
      "a timer for each connection",
      LEAVE,
      zeros(async (_peer, rw) => {
        rw.clock.setTimeout(() => undefined, 86_400_000);
        for await (const _ of rw) continue;
      }),
    ],
    [
      FaultKind.leak,
      "a listener of the process",
      LEAVE,
      () => {
        process.on("SIGUSR2", onSignal);
        return [createZeros(10)];
      },
    ],
  ])("%s: %s", async (kind, _what, word, create) => {
    try {
      expect(kindsOf(await faultsOf(word, create))).toContain(kind);
    } finally {
      process.removeAllListeners("SIGUSR2");
      peers.clear();
    }
  });

  test("a timer in real time that nobody stops", async () => {
    const timers: NodeJS.Timeout[] = [];
    const create = zeros(async (_peer, rw) => {
      timers.push(setTimeout(() => undefined, 3_600_000));
      for await (const _ of rw) continue;
    });
    const faults = await faultsOf(LEAVE, create);
    for (const timer of timers) clearTimeout(timer);
    expect(faults.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(/^left behind: .*Timeout/),
    ]);
  });

  test("an answer that its definition does not allow, and a handshake that is not accepted", async () => {
    const Short1 = defineProtocol({
      name: "short",
      version: 1,
      messages: { ask: request(0, 1, uint, text({ max: 4_000 }), { maxReplyBytes: 10 }) },
    });
    const create: CreateSubject = () => implement([Short1], { on: { ask: () => "a".repeat(50) } });
    expect(await faultsOf(ANSWER, create)).toMatchObject([
      { kind: FaultKind.conduct, detail: expect.stringContaining("short/1 ask(0x00)") as unknown },
      { kind: FaultKind.conduct },
    ]);
    const choosy: CreateSubject = () =>
      createRange().map((protocol) => ({
        ...protocol,
        run: async (): Promise<void> => {
          throw new Disconnect(DisconnectReason.uselessPeer);
        },
      }));
    expect((await faultsOf(ANSWER, choosy))[0]?.detail).toContain("is there a sample of it?");
  });
});

function onSignal(): void {}

test("the error lists what was found, each once, and carries the first cause", async () => {
  const cases: (() => Promise<void>)[] = [];
  const cause = new TypeError("oops");
  contract(
    (_name, run) => cases.push(run),
    zeros(async () => {
      throw cause;
    }),
  );
  expect(cases).toHaveLength(5);
  const error: unknown = await cases[1]?.().catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    name: "ContractError",
    code: "ERR_TESTING_CONTRACT",
    message: "undocumented: zeros/1 ended with TypeError: oops",
    cause,
  });
});

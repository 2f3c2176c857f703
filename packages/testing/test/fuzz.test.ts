import { stat } from "node:fs/promises";

import { bytesEqual, nodeIdOf } from "@heddle/identity";
import { DisconnectReason, UselessPeer } from "@heddle/p2p";
import type { Peer, Protocol } from "@heddle/p2p";
import {
  defineProtocol,
  fixedBytes,
  implement,
  mapped,
  notify,
  request,
  uint,
} from "@heddle/protocol";
import { describe, expect, test } from "vitest";

import { FaultKind, fuzzProtocol } from "../src/index.ts";
import type { CreateSubject, FuzzReport, Speaker } from "../src/index.ts";
import { createRange, createZeros, numbers, Range1 } from "./range.ts";
import type { Planted } from "./range.ts";

const kinds = ({ faults }: FuzzReport): string[] => [...new Set(faults.map(({ kind }) => kind))];

test("a protocol that checks what it gets has no faults, and has been given much", async () => {
  const report = await fuzzProtocol(createRange({ run: async () => undefined }));
  expect(report.faults).toEqual([]);
  expect(report.messages).toBeGreaterThan(500);
  expect(report.received).toBeGreaterThan(50);
  expect(report.refused).toBeGreaterThan(50);
  expect(report.connections).toBeGreaterThanOrEqual(report.refused);
});

test("waiting for a disk is no fault", async () => {
  const waiting = async (): Promise<number[]> => [(await stat(import.meta.dirname)).nlink];
  const protocols = createRange({ range: waiting, store: waiting });
  const { faults } = await fuzzProtocol(() => ({ protocols, close: waiting }), { messages: 100 });
  expect(faults).toEqual([]);
});

test("a count that nobody checks is found, with the messages that show it", async () => {
  const { faults } = await fuzzProtocol(createRange({ range: numbers }));
  const [fault] = faults;
  expect(fault?.sent.at(-1)).toMatchObject({ message: "range/1 range(0x01)" });
  expect(fault?.sent.at(-1)?.payload).toMatch(/^0x[0-9a-f]+$/);
});

test("a count that nobody checks in a raw protocol is found, too", async () => {
  const { faults } = await fuzzProtocol(createZeros(Infinity), { samples: { 0: [[3]] } });
  expect(faults.length).toBeGreaterThan(0);
  expect(await fuzzProtocol(createZeros(1_000), { samples: { 0: [[3]] } })).toMatchObject({
    faults: [],
  });
});

describe("what escapes is told by its kind:", () => {
  test.each<[kind: string, what: string, planted: Planted]>([
    [
      FaultKind.undocumented,
      "a handler that throws",
      { store: (value) => value.length > 5 && JSON.parse("{") },
    ],
    [
      FaultKind.escaped,
      "a rejection that nobody takes",
      { store: (value) => void (value.length > 5 && Promise.reject(new Error("lost"))) },
    ],
    [FaultKind.conduct, "more than its definition allows", { range: () => numbers(9_000) }],
    [
      FaultKind.undocumented,
      "an answer that is trusted",
      { run: async ([first = 0]) => void "x".repeat(first * 1_000_000) },
    ],
  ])("%s: %s", async (kind, _what, planted) => {
    const report = await fuzzProtocol(createRange(planted), { messages: 150 });
    expect(kinds(report)).toContain(kind);
  });

  test("unread and hang: a handler that never ends", async () => {
    const store = (): Promise<never> => new Promise(() => undefined);
    const report = await fuzzProtocol(createRange({ store }), { messages: 50, patienceMs: 50 });
    expect(kinds(report).sort()).toEqual([FaultKind.hang, FaultKind.unread]);
  });

  test("amplification: an answer that is too long", async () => {
    const limits = { answerBytes: 100_000 };
    const report = await fuzzProtocol(createZeros(200_000), { messages: 50, limits });
    expect(kinds(report)).toEqual([FaultKind.amplification]);
  });

  test("memory: what one message takes", async () => {
    const store = (value: Uint8Array): Uint8Array => new Uint8Array(value.length * 20_000);
    const limits = { memoryBytes: 1_000_000 };
    const report = await fuzzProtocol(createRange({ store }), { messages: 100, limits });
    expect(kinds(report)).toEqual([FaultKind.memory]);
  });

  test("memory: what is kept", async () => {
    const kept: Uint8Array[] = [];
    const store = (value: Uint8Array): void => void kept.push(new Uint8Array(100_000), value);
    const limits = { memoryBytes: 1_000_000 };
    const { faults } = await fuzzProtocol(createRange({ store }), { messages: 200, limits });
    expect(faults).toMatchObject([{ kind: FaultKind.memory, sent: [] }]);
    expect(faults[0]?.detail).toContain("kept after everything has ended");
    expect(kept.length).toBeGreaterThan(20);
  });

  test("blocked: what one message keeps the processor busy for", async () => {
    const range = (count: number): number[] => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum = (sum * 31 + i) >>> 0;
      return [sum];
    };
    const limits = { cpuMs: 200 };
    const report = await fuzzProtocol(createRange({ range }), { messages: 0, limits });
    expect(kinds(report)).toContain(FaultKind.blocked);
  });

  test("escaped: a timer that throws", async () => {
    const late: Protocol = {
      ...createZeros(10),
      async run(_peer, rw) {
        for await (const { size } of rw) {
          rw.clock.setTimeout(() => {
            if (size > 1) throw new Error("late");
          }, 1);
        }
      },
    };
    expect(kinds(await fuzzProtocol(late, { messages: 50 }))).toEqual([FaultKind.escaped]);
  });

  test("conduct: one peer's message ends another's connection", async () => {
    const peers = new Set<Peer>();
    const jealous: Protocol = {
      ...createZeros(10),
      async run(peer, rw) {
        peers.add(peer);
        for await (const message of rw) {
          if (message.size < 2) continue;
          for (const other of peers) {
            if (other !== peer) void other.disconnect(DisconnectReason.uselessPeer);
          }
        }
        peers.delete(peer);
      },
    };
    expect(kinds(await fuzzProtocol(jealous, { messages: 50 }))).toEqual([FaultKind.conduct]);
  });
});

test("the same seed sends the same messages, another one others", async () => {
  const sent = async (seed: number): Promise<unknown> => {
    const store = (): never => JSON.parse("{") as never;
    const report = await fuzzProtocol(createRange({ store }), { seed, messages: 60 });
    return report.faults.map(({ sent }) => sent);
  };
  const first = await sent(1);
  expect(await sent(1)).toEqual(first);
  expect(await sent(2)).not.toEqual(first);
});

test("what makes protocols is given a clock, a key and the server, and is closed", async () => {
  const told: string[] = [];
  const protocols = [createZeros(10)];
  const report = await fuzzProtocol(
    ({ clock, key, random }) => {
      expect([typeof clock.now(), key.length, typeof random()]).toEqual(["number", 32, "number"]);
      return {
        protocols,
        attach(server) {
          expect(server.config.protocols).toEqual(protocols);
          expect(server.peers).toEqual([]);
          return told.push(`attached to ${server.config.clientId}`);
        },
        close: async () => told.push("closed"),
      };
    },
    { messages: 10 },
  );
  expect(report.faults).toEqual([]);
  expect(told).toEqual(["attached to probe/1", "closed"]);
});

test("every version is fuzzed, and companions shake hands, too", async () => {
  const seen = new Set<string>();
  const versions = [1, 2].map((version): Protocol => ({
    ...createZeros(10),
    version,
    requires: [Range1],
    async run(peer, rw) {
      await peer.protocol(Range1);
      for await (const _ of rw) seen.add(`${version} ${peer.inbound ? "inbound" : "dialed"}`);
    },
  }));
  const report = await fuzzProtocol([...versions, ...createRange()], { messages: 200 });
  expect(report.faults).toEqual([]);
  expect([...seen].sort()).toEqual(["1 dialed", "1 inbound", "2 dialed", "2 inbound"]);
});

test("options that make no sense are refused", async () => {
  await expect(fuzzProtocol([])).rejects.toThrow("there is no protocol to fuzz");
  await expect(fuzzProtocol(createRange(), { messages: -1 })).rejects.toThrow(RangeError);
  await expect(fuzzProtocol(createRange(), { seed: 0.5 })).rejects.toThrow(RangeError);
});

test("a handshake that each peer must make itself is made from its key", async () => {
  const Signed1 = defineProtocol({
    name: "signed",
    version: 1,
    handshake: "who",
    messages: { who: notify(0, fixedBytes(64)), ask: request(1, 2, uint, uint) },
  });
  let asked = 0;
  const create: CreateSubject = ({ key }) =>
    implement([Signed1], {
      handshake: {
        local: () => nodeIdOf(key),
        verify(remote, { peer }) {
          if (!bytesEqual(remote, peer.id)) throw new UselessPeer();
        },
      },
      on: { ask: () => (asked += 1) },
    });
  const without = await fuzzProtocol(create, { messages: 50 });
  expect(asked).toBe(0);
  expect(without.faults).toMatchObject([
    {
      kind: FaultKind.conduct,
      detail:
        "signed/1: disconnected as useless peer (0x03) at the handshake; is there a sample of it?",
    },
  ]);
  const samples = { who: [({ key }: Speaker) => nodeIdOf(key)] };
  expect((await fuzzProtocol(create, { messages: 50, samples })).faults).toEqual([]);
  expect(asked).toBeGreaterThan(10);
});

test("a message that is hardly ever right is drawn until it is, and one that never is is named", async () => {
  const createOf = (accepts: (value: number) => boolean): Protocol[] => {
    const schema = mapped(uint, {
      decode(value: number) {
        if (!accepts(value)) throw new Error("another one");
        return value;
      },
      encode: (value: number) => value,
    });
    const Odd1 = defineProtocol({ name: "odd", version: 1, messages: { odd: notify(0, schema) } });
    return implement([Odd1], { on: {} });
  };
  const { faults } = await fuzzProtocol(
    createOf((value) => value === 128),
    { messages: 50 },
  );
  expect(faults).toEqual([]);
  await expect(fuzzProtocol(createOf(() => false))).rejects.toThrow(
    "odd: no valid payload was found, give some as samples",
  );
});

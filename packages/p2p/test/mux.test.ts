import { encodeRlp } from "@heddle/identity";
import { asyncProperty, assert, integer, nat, record, array } from "fast-check";
import { describe, expect, test } from "vitest";

import { BaseMessage, MESSAGE_OVERHEAD } from "../src/index.ts";
import { decodeGrants, encodeGrants, INITIAL_WINDOW } from "../src/flow.ts";
import type { LivePeer } from "../src/peer.ts";
import {
  dialRaw,
  keyOf,
  networks,
  nextEvent,
  rejection,
  Scripted,
  settle,
  startServer,
  within,
} from "./harness.ts";

/** A server with protocols a (3 codes), b (300) and c (1), and a hand-made peer that shares them. */
async function threeProtocols(options: { hasFlow?: boolean } = {}) {
  const protocols = [
    new Scripted("c", { length: 1 }),
    new Scripted("a", { length: 3 }),
    new Scripted("b", { length: 300 }),
  ];
  const server = await startServer({ ...networks().memory("127.0.0.2"), protocols });
  const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
  const added = nextEvent(server, "peer:add");
  const flow = options.hasFlow === true ? [{ name: "flow", version: 1 }] : [];
  await raw.greet([...protocols.map(({ name, version }) => ({ name, version })), ...flow]);
  const { protocols: negotiated } = await within("a peer", added);
  const [c, a, b] = [
    await protocols[0]?.next(),
    await protocols[1]?.next(),
    await protocols[2]?.next(),
  ];
  if (a === undefined || b === undefined || c === undefined) throw new Error("unreachable");
  return { server, raw, runs: { a, b, c }, negotiated, peer: a.peer as LivePeer };
}

describe("message ids", () => {
  test("are dealt out in the byte order of names, from 0x10", async () => {
    const { negotiated } = await threeProtocols();
    expect(negotiated.map(({ name, offset, length }) => [name, offset, length])).toEqual([
      ["a", 0x10, 3],
      ["b", 0x13, 300],
      ["c", 0x13 + 300, 1],
    ]);
  });

  test.each([
    ["a", 0x10, 0],
    ["a", 0x12, 2],
    ["b", 0x13, 0],
    ["b", 0x13 + 127, 127],
    ["b", 0x13 + 299, 299],
    ["c", 0x13 + 300, 0],
  ] as const)("of %s: %i is its code %i, both ways", async (name, msgId, code) => {
    const { raw, runs } = await threeProtocols();
    const { rw } = runs[name];
    raw.send(msgId, encodeRlp("in"));
    expect(await within("a message", rw.read())).toMatchObject({ code, payload: encodeRlp("in") });
    await rw.send(code, "out");
    expect(await raw.read()).toEqual({ msgId, payload: encodeRlp("out") });
  });

  test("one beyond the last is a breach that names the ranges", async () => {
    const { raw, runs } = await threeProtocols();
    raw.send(0x13 + 301, encodeRlp(1));
    const { cause } = await rejection(runs.a.rw.read());
    expect(cause).toMatchObject({ code: "ERR_P2P_MSG_ID_RANGE" });
    expect((cause as Error).message).toContain("b/1 0x13-0x13e");
  });

  test("of any order reach their own protocol, in order", async () => {
    const { raw, runs } = await threeProtocols();
    const lengths = { a: 3, b: 300, c: 1 };
    const offsets = { a: 0x10, b: 0x13, c: 0x13 + 300 };
    const step = record({
      which: nat(2),
      code: nat(299),
      value: integer({ min: 1, max: 2 ** 30 }),
    });
    await assert(
      asyncProperty(array(step, { maxLength: 50 }), async (steps) => {
        const sent = steps.map(({ which, code, value }) => {
          const name = (["a", "b", "c"] as const)[which] ?? "a";
          return { name, code: code % lengths[name], payload: encodeRlp(value) };
        });
        for (const { name, code, payload } of sent) {
          raw.session.push(offsets[name] + code, payload);
        }
        raw.stream.write(raw.session.take());
        for (const name of ["a", "b", "c"] as const) {
          for (const { code, payload } of sent.filter((message) => message.name === name)) {
            const message = await within("a message", runs[name].rw.read());
            expect({ code: message.code, payload: message.payload }).toEqual({ code, payload });
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});

test("what inboxes hold is counted exactly", async () => {
  const { raw, runs, peer } = await threeProtocols();
  const cost = () => peer.channels.reduce((sum, { inbox }) => sum + inbox.cost, 0);
  for (const size of [0, 100, 5_000]) raw.send(0x10, new Uint8Array(size));
  raw.send(0x13, new Uint8Array(7));
  await settle();
  expect(cost()).toBe(5_107 + 4 * MESSAGE_OVERHEAD);
  await runs.a.rw.read();
  await runs.a.rw.read();
  expect(cost()).toBe(5_007 + 2 * MESSAGE_OVERHEAD);
  await runs.a.rw.read();
  await runs.b.rw.read();
  expect(cost()).toBe(0);
  // Handed straight to a reader that waits, a message is never counted as held.
  const waiting = runs.c.rw.read();
  raw.send(0x13 + 300, new Uint8Array(9));
  await within("a message", waiting);
  expect(cost()).toBe(0);
});

describe("windows", () => {
  const FLOW = 0x13 + 300 + 1;
  const noise = crypto.getRandomValues(new Uint8Array(60_000));

  test("a protocol sends no more than its window and one message, until it is granted more", async () => {
    const { raw, runs, server } = await threeProtocols({ hasFlow: true });
    const sends = Array.from({ length: 100 }, () => runs.a.rw.sendEncoded(0, noise));
    const receive = async (): Promise<number> => {
      await settle();
      let bytes = 0;
      raw.send(BaseMessage.ping, encodeRlp([]));
      for (;;) {
        const message = await raw.read();
        if (message === undefined || message.msgId === BaseMessage.pong) return bytes;
        if (message.msgId === 0x10) bytes += message.payload.length + MESSAGE_OVERHEAD;
      }
    };
    let bytes = await receive();
    expect(bytes).toBeGreaterThanOrEqual(INITIAL_WINDOW);
    expect(bytes).toBeLessThan(INITIAL_WINDOW + noise.length + MESSAGE_OVERHEAD);
    expect(await receive()).toBe(0);
    // Another protocol has a window of its own.
    await runs.b.rw.send(0, "beside");
    expect(await raw.read()).toMatchObject({ msgId: 0x13 });
    raw.send(FLOW, encodeGrants([{ offset: 0x10, bytes: 100_000 }]));
    bytes += await receive();
    expect(bytes).toBeGreaterThanOrEqual(INITIAL_WINDOW + 100_000);
    expect(bytes).toBeLessThan(INITIAL_WINDOW + 100_000 + noise.length + MESSAGE_OVERHEAD);
    raw.send(FLOW, encodeGrants([{ offset: 0x10, bytes: 10_000_000 }]));
    const all = 100 * (noise.length + MESSAGE_OVERHEAD);
    while (bytes < all) bytes += await receive();
    expect(bytes).toBe(all);
    await Promise.all(sends);
    expect(server.peers).toHaveLength(1);
  });

  test("grants for offsets that are none, and grants of nothing, are harmless", async () => {
    const { raw, runs } = await threeProtocols({ hasFlow: true });
    raw.send(FLOW, encodeGrants([]));
    raw.send(
      FLOW,
      encodeGrants([
        { offset: 0x11, bytes: 5 },
        { offset: 0x10, bytes: 0 },
      ]),
    );
    raw.send(0x10, encodeRlp(1));
    expect((await within("a message", runs.a.rw.read())).payload).toEqual(encodeRlp(1));
  });

  test("what is read is granted again, exactly, however it is spread over messages", async () => {
    const { raw, runs } = await threeProtocols({ hasFlow: true });
    const count = 100;
    let granted = 0;
    const grants = (async () => {
      for (;;) {
        const message = await raw.read();
        if (message === undefined || message.msgId === BaseMessage.pong) return;
        if (message.msgId !== FLOW) continue;
        for (const { offset, bytes } of decodeGrants(message.payload)) {
          expect(offset).toBe(0x10);
          granted += bytes;
        }
      }
    })();
    for (let i = 0; i < count; i += 1) {
      raw.send(0x10, noise);
      await within("a message", runs.a.rw.read());
    }
    await settle();
    raw.send(BaseMessage.ping, encodeRlp([]));
    await grants;
    const read = count * (noise.length + MESSAGE_OVERHEAD);
    // It has the connection to itself: its window is 2 MiB, of which less than a quarter is still owed.
    const window = 2 * 1024 * 1024;
    expect(granted).toBeLessThanOrEqual(read + window - INITIAL_WINDOW);
    expect(granted).toBeGreaterThan(read + (window * 3) / 4 - INITIAL_WINDOW);
  });
});

import { encodeRlp } from "@heddle/identity";
import { asyncProperty, array, assert, boolean, integer } from "fast-check";
import { describe, expect, test } from "vitest";

import { INITIAL_WINDOW } from "../src/flow.ts";
import { BaseMessage, MESSAGE_OVERHEAD } from "../src/index.ts";
import type { MessageReadWriter, Peer, ServerOptions } from "../src/index.ts";
import type { LivePeer } from "../src/peer.ts";
import {
  connectPair,
  connectScripted,
  dialRaw,
  keyOf,
  ManualClock,
  networks,
  nextEvent,
  numbered,
  numberOf,
  rejection,
  Scripted,
  settle,
  startServer,
  turn,
  until,
  within,
} from "./harness.ts";

const KIB = 1024;

/** What a protocol's inbox holds at one end, in bytes. */
function inboxCost(peer: Peer, name: string): number {
  const channel = (peer as LivePeer).channels.find(({ capability }) => capability.name === name);
  return channel?.inbox.cost ?? Number.NaN;
}

/** How many messages it holds. */
function inboxSize(peer: Peer, name: string): number {
  const channel = (peer as LivePeer).channels.find(({ capability }) => capability.name === name);
  return channel?.inbox.size ?? Number.NaN;
}

/** Sends as fast as it is let, until the connection ends. */
async function flood(rw: MessageReadWriter, payload: Uint8Array): Promise<void> {
  for (let i = 0; ; i += 1) {
    await rw.sendEncoded(0, payload);
    if (i % 16 === 15) await turn();
  }
}

/** Two protocols on one connection: nobody reads the first one at the far end. */
async function lazyAndBusy(options: Partial<ServerOptions> = {}, nearOptions = options) {
  const near = { lazy: new Scripted("lazy"), busy: new Scripted("busy") };
  const far = { lazy: new Scripted("lazy"), busy: new Scripted("busy") };
  const pair = await connectPair(
    { ...nearOptions, protocols: [near.lazy, near.busy] },
    { ...options, protocols: [far.lazy, far.busy] },
  );
  return {
    ...pair,
    near: { lazy: await near.lazy.next(), busy: await near.busy.next(), server: pair.near },
    far: { lazy: await far.lazy.next(), busy: await far.busy.next(), server: pair.far },
  };
}

async function roundTrips(a: MessageReadWriter, b: MessageReadWriter, count: number) {
  for (let i = 1; i <= count; i += 1) {
    await a.send(1, i);
    const { payload } = await within("a message beside the flood", b.read());
    await b.sendEncoded(2, payload);
    expect((await within("its answer", a.read())).payload).toEqual(encodeRlp(i));
  }
}

describe("with flow/1", () => {
  test.each([100, 64 * KIB, 1024 * KIB])(
    "a protocol that never reads %i-byte messages holds up neither another one nor pings",
    async (size) => {
      const { near, far, nearPeer, farPeer } = await lazyAndBusy();
      const offered = rejection(flood(near.lazy.rw, new Uint8Array(size)), "the end of the flood");
      await roundTrips(near.busy.rw, far.busy.rw, 100);
      await within("a ping", nearPeer.ping());
      await within("a ping back", farPeer.ping());
      expect(inboxCost(farPeer, "lazy")).toBeGreaterThan(0);
      expect(inboxCost(farPeer, "lazy")).toBeLessThanOrEqual(
        INITIAL_WINDOW + size + MESSAGE_OVERHEAD,
      );
      await nearPeer.disconnect();
      await offered;
    },
  );

  test("the peer of a protocol that never reads is dropped after stallTimeoutMs, naming it", async () => {
    const clock = new ManualClock();
    const { near, far, farPeer } = await lazyAndBusy({
      clock,
      limits: { stallTimeoutMs: 10_000, pingIntervalMs: 1_000 },
    });
    void flood(near.lazy.rw, new Uint8Array(4 * KIB)).catch(() => undefined);
    await settle();
    const dropped = nextEvent(far.server, "peer:drop");
    await clock.advance(9_000);
    expect(farPeer.signal.aborted).toBe(false);
    await clock.advance(1_001);
    const { error } = await within("the drop", dropped);
    expect(error).toMatchObject({ by: "local", reason: 0x0b, phase: "session" });
    expect(error.cause).toMatchObject({ name: "TimeoutError", ms: 10_000 });
    expect(error.message).toContain("lazy/1");
  });

  test("a reader that takes one message in time is no stalled one", async () => {
    const clock = new ManualClock();
    const { near, far, farPeer } = await lazyAndBusy({
      clock,
      limits: { stallTimeoutMs: 10_000, pingIntervalMs: 1_000 },
    });
    void flood(near.lazy.rw, new Uint8Array(4 * KIB)).catch(() => undefined);
    await settle();
    for (let i = 0; i < 10; i += 1) {
      await clock.advance(9_000);
      await far.lazy.rw.read();
    }
    expect(farPeer.signal.aborted).toBe(false);
  });

  test("a sender that pays no heed to its window is dropped as soon as it has none left", async () => {
    const protocol = new Scripted();
    const server = await startServer({
      ...networks().memory("127.0.0.2"),
      protocols: [protocol],
    });
    const dropped = nextEvent(server, "peer:drop");
    const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
    await raw.greet([
      { name: "flow", version: 1 },
      { name: "test", version: 1 },
    ]);
    const { peer } = await protocol.next();
    const noise = crypto.getRandomValues(new Uint8Array(60 * KIB));
    while (inboxCost(peer, "test") < INITIAL_WINDOW) {
      raw.send(0x11, noise);
      await turn();
    }
    expect(peer.signal.aborted).toBe(false);
    raw.send(0x11, noise);
    const { error } = await within("the drop", dropped);
    expect(error).toMatchObject({ by: "local", reason: 0x02, cause: { code: "ERR_P2P_WINDOW" } });
  });

  test("a grant that is no grant ends the connection with 0x02", async () => {
    const protocol = new Scripted();
    const server = await startServer({
      ...networks().memory("127.0.0.2"),
      protocols: [protocol],
    });
    const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
    await raw.greet([
      { name: "flow", version: 1 },
      { name: "test", version: 1 },
    ]);
    const { rw } = await protocol.next();
    raw.send(0x10, encodeRlp([[0x11]]));
    const error = await rejection(rw.read());
    expect(error).toMatchObject({ reason: 0x02, by: "local" });
    expect(error.cause).toMatchObject({ code: "ERR_P2P_BAD_GRANT" });
  });
});

describe("without flow/1", () => {
  const limits = { inboxMessages: 100, inboxBytes: 64 * KIB };
  const withoutFlow = { flowControl: false, limits };

  test("a full inbox stops the sender, not a message is lost, and reading goes on where it stood", async () => {
    const { nearRun, farRun, farPeer } = await connectScripted(withoutFlow, "memory", { limits });
    const total = 300;
    const sent = (async () => {
      for (let i = 0; i < total; i += 1) await nearRun.rw.sendEncoded(0, numbered(i, 70_000));
    })();
    await settle(100);
    expect(inboxCost(farPeer, "test")).toBeGreaterThanOrEqual(64 * KIB);
    expect(inboxCost(farPeer, "test")).toBeLessThan(1024 * KIB);
    for (let i = 0; i < total; i += 1) {
      expect(numberOf(await within("a message", farRun.rw.read()))).toBe(i);
    }
    await sent;
  });

  test("base messages that were read with it are answered although the inbox is full", async () => {
    const protocol = new Scripted();
    const server = await startServer({
      ...networks().memory("127.0.0.2"),
      protocols: [protocol],
      limits: { inboxMessages: 10 },
    });
    const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
    await raw.greet();
    const { rw } = await protocol.next();
    // One chunk: the inbox is full in the middle of it.
    for (let i = 0; i < 20; i += 1) raw.session.push(0x10, encodeRlp(i + 1));
    raw.session.push(BaseMessage.ping, encodeRlp([]));
    raw.stream.write(raw.session.take());
    expect(await raw.read()).toMatchObject({ msgId: BaseMessage.pong });
    for (let i = 0; i < 20; i += 1) {
      expect((await within("a message", rw.read())).payload).toEqual(encodeRlp(i + 1));
    }
  });

  test("messages of another protocol that were read with it are delivered although the inbox is full", async () => {
    const [lazy, busy] = [new Scripted("lazy"), new Scripted("busy")];
    const server = await startServer({
      ...networks().memory("127.0.0.2"),
      protocols: [lazy, busy],
      limits: { inboxMessages: 10 },
    });
    const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
    await raw.greet([
      { name: "busy", version: 1 },
      { name: "lazy", version: 1 },
    ]);
    const { rw } = await busy.next();
    // One chunk: from the tenth message of the first protocol on its inbox is full.
    for (let i = 0; i < 20; i += 1) {
      raw.session.push(0x14, encodeRlp(i + 1));
      raw.session.push(0x10, encodeRlp(i + 1));
    }
    raw.stream.write(raw.session.take());
    for (let i = 0; i < 20; i += 1) {
      expect((await within("a message", rw.read())).payload).toEqual(encodeRlp(i + 1));
    }
    const { rw: late } = await lazy.next();
    for (let i = 0; i < 20; i += 1) {
      expect((await within("a message", late.read())).payload).toEqual(encodeRlp(i + 1));
    }
  });

  test("pings between the messages do not lift the brake", async () => {
    const protocol = new Scripted();
    const server = await startServer({
      ...networks().memory("127.0.0.2"),
      protocols: [protocol],
      limits,
    });
    const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
    await raw.greet();
    const { peer } = await protocol.next();
    const noise = crypto.getRandomValues(new Uint8Array(KIB));
    let isWritable = true;
    for (let i = 0; i < 2_000 && isWritable; i += 1) {
      for (let j = 0; j < 20; j += 1) raw.session.push(BaseMessage.ping, encodeRlp([]));
      isWritable = raw.send(0x10, noise);
      await turn();
    }
    expect(isWritable).toBe(false);
    expect(inboxCost(peer, "test")).toBeLessThan(256 * KIB);
  });

  test.each(["tcp", "memory"] as const)(
    "a ping that comes while the inbox is full is answered within two seconds, over %s",
    async (net) => {
      const clock = new ManualClock();
      const protocol = new Scripted();
      const server = await startServer({
        ...networks()[net]("127.0.0.2"),
        protocols: [protocol],
        clock,
        limits: { inboxMessages: 20 },
      });
      const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
      await raw.greet();
      const { peer, rw } = await protocol.next();
      for (let i = 0; i < 20; i += 1) raw.send(0x10, encodeRlp(i + 1));
      await until("the inbox is full", () => inboxSize(peer, "test") === 20);
      for (let second = 0; second < 10; second += 2) {
        raw.send(BaseMessage.ping, encodeRlp([]));
        await settle();
        await clock.advance(2_000);
        expect(await raw.read()).toMatchObject({ msgId: BaseMessage.pong });
      }
      for (let i = 0; i < 20; i += 1) {
        expect((await within("a message", rw.read())).payload).toEqual(encodeRlp(i + 1));
      }
    },
  );

  test("looking for pings takes in no more than a quarter over the bound, then nothing", async () => {
    const clock = new ManualClock();
    const bound = 256 * KIB;
    const { near, farPeer } = await lazyAndBusy({
      clock,
      flowControl: false,
      limits: { inboxBytes: bound, stallTimeoutMs: 600_000, writeTimeoutMs: 600_000 },
    });
    void flood(near.lazy.rw, crypto.getRandomValues(new Uint8Array(4 * KIB))).catch(
      () => undefined,
    );
    await settle(100);
    const atFirst = inboxCost(farPeer, "lazy");
    expect(atFirst).toBeGreaterThanOrEqual(bound);
    await clock.advance(4_000);
    expect(inboxCost(farPeer, "lazy")).toBeGreaterThan(atFirst);
    await clock.advance(60_000);
    const atLast = inboxCost(farPeer, "lazy");
    // A glance from just below takes a whole chunk.
    expect(atLast).toBeLessThan(bound * 1.25 + 128 * KIB);
    await clock.advance(60_000);
    expect(inboxCost(farPeer, "lazy")).toBe(atLast);
    expect(farPeer.signal.aborted).toBe(false);
  });

  test("a protocol that takes a message and then hangs is named, too, before the stream goes on", async () => {
    const clock = new ManualClock();
    const { near, far } = await lazyAndBusy({
      clock,
      flowControl: false,
      limits: { ...limits, stallTimeoutMs: 10_000, writeTimeoutMs: 60_000 },
    });
    void flood(near.lazy.rw, new Uint8Array(4 * KIB)).catch(() => undefined);
    await settle();
    await clock.advance(9_000);
    await within("a message", far.lazy.rw.read());
    const dropped = nextEvent(far.server, "peer:drop");
    await clock.advance(10_000);
    const { error } = await within("the drop", dropped);
    expect(error.message).toContain("lazy/1");
  });

  test("a protocol that never reads is named when its peer is dropped after stallTimeoutMs", async () => {
    const clock = new ManualClock();
    const { near, far } = await lazyAndBusy({
      clock,
      flowControl: false,
      limits: { ...limits, stallTimeoutMs: 10_000 },
    });
    void flood(near.lazy.rw, new Uint8Array(4 * KIB)).catch(() => undefined);
    await settle();
    const dropped = nextEvent(far.server, "peer:drop");
    await clock.advance(10_000);
    const { error } = await within("the drop", dropped);
    expect(error).toMatchObject({ by: "local", reason: 0x0b });
    expect(error.message).toContain("lazy/1");
  });
});

test("whatever the sizes and the pace, every message arrives, once and in order", async () => {
  const sizes = array(integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 60 });
  const paces = array(integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 10 });
  await assert(
    asyncProperty(sizes, paces, boolean(), async (lengths, pauses, flowControl) => {
      const limits = { inboxMessages: 8, inboxBytes: 32 * KIB, highWaterMark: 16 * KIB };
      const { nearRun, farRun, nearPeer } = await connectScripted({ flowControl, limits });
      const payloads = lengths.map((length, i) => new Uint8Array(length).fill(i + 1));
      const sent = Promise.all(payloads.map((payload) => nearRun.rw.sendEncoded(0, payload)));
      for (const [i, payload] of payloads.entries()) {
        await settle(pauses[i % pauses.length] ?? 0);
        const message = await within("a message", farRun.rw.read());
        expect(message.size).toBe(payload.length);
        expect(message.payload[0]).toBe(payload[0]);
      }
      await sent;
      await nearPeer.disconnect();
    }),
    { numRuns: 25 },
  );
});

test("an awaited send holds the writer back while nobody reads", async () => {
  const { nearRun, farRun, nearPeer } = await connectScripted();
  let accepted = 0;
  const flooding = rejection(
    (async () => {
      for (;;) {
        await nearRun.rw.sendEncoded(0, new Uint8Array(64 * KIB));
        accepted += 1;
      }
    })(),
  );
  await settle(100);
  const held = accepted;
  expect(held).toBeLessThan(64);
  await settle(100);
  expect(accepted).toBe(held);
  await within("a message", farRun.rw.read());
  for (let i = 0; i < 20; i += 1) await within("a message", farRun.rw.read());
  await until("the writer goes on", () => accepted > held);
  await nearPeer.disconnect();
  await flooding;
});

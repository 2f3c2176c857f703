import { encodeRlp, formatEnode, nodeIdOf } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import { BaseMessage, decodeHello, encodeDisconnect, MemoryNetwork } from "../src/index.ts";
import type { Server, ServerEvents, ServerOptions } from "../src/index.ts";
import {
  allEvents,
  defer,
  dialRaw,
  idle,
  keyOf,
  ManualClock,
  networks,
  nextEvent,
  RawPeer,
  rejection,
  Scripted,
  settle,
  startServer,
  until,
  watchEscapes,
  within,
} from "./harness.ts";

type Failure = NonNullable<ServerEvents["handshake"]["failed"]>;

/** A server, a hand-made peer after the encryption handshake, and how the server's side of it fails. */
async function shakenHands(options: Partial<ServerOptions> = {}, key = keyOf(900)) {
  const server = await startServer({
    ...networks().memory("127.0.0.2"),
    protocols: [new Scripted()],
    ...options,
  });
  const failure = nextEvent(server, "handshake", ({ failed }) => failed !== undefined);
  const raw = await (await dialRaw(server, key)).initiate(server.id);
  return { server, raw, failure: () => within("a failed handshake", failure) };
}

/** Lets a server dial a hand-made peer, up to the end of the encryption handshake. */
async function dialedByServer(options: Partial<ServerOptions> = {}) {
  const network = new MemoryNetwork();
  const accepted = defer<RawPeer>();
  const key = keyOf(901);
  const transport = network.transport("10.0.0.9");
  const { address } = await transport.listen({ host: "10.0.0.9", port: 0 }, (stream) =>
    accepted.resolve(new RawPeer(stream, key)),
  );
  const server = await startServer({
    transport: network.transport("10.0.0.2"),
    protocols: [new Scripted()],
    ...options,
  });
  const { host, port: tcpPort } = address;
  const outcome = server.dial(formatEnode({ id: nodeIdOf(key), host, tcpPort, udpPort: tcpPort }));
  outcome.catch(() => undefined);
  const raw = await (await within("a dial", accepted.promise)).respond();
  return { server, raw, outcome };
}

async function stillServes(server: Server): Promise<void> {
  const raw = await (await dialRaw(server, keyOf(999))).initiate(server.id);
  await raw.greet();
  await until("the honest peer is added", () =>
    server.peers.some(({ id }) => id.every((byte, i) => byte === raw.id[i])),
  );
}

describe("Hello", () => {
  test("goes out at once, sorted, with our version and without compression", async () => {
    const { raw, server } = await shakenHands({
      protocols: [idle("b"), idle("a", 2), idle("a", 1)],
    });
    const message = await raw.read();
    expect(message?.msgId).toBe(BaseMessage.hello);
    expect(decodeHello(message?.payload ?? new Uint8Array(0))).toEqual({
      protocolVersion: 5,
      clientId: "test/1",
      capabilities: [
        { name: "a", version: 1 },
        { name: "a", version: 2 },
        { name: "b", version: 1 },
        { name: "flow", version: 1 },
      ],
      listenPort: 0,
      nodeId: server.id,
    });
  });

  test("does not offer flow/1 when flow control is off", async () => {
    const { raw } = await shakenHands({ flowControl: false });
    const message = await raw.read();
    const { capabilities } = decodeHello(message?.payload ?? new Uint8Array(0));
    expect(capabilities).toEqual([{ name: "test", version: 1 }]);
  });

  interface Breach {
    readonly what: string;
    readonly send: (raw: RawPeer) => void;
    readonly reason: number;
    readonly code: string;
    readonly isAfterHello?: true;
  }
  const breaches: Breach[] = [
    {
      what: "another node id than the proven one",
      send: (raw) => raw.sendHello({ nodeId: nodeIdOf(keyOf(77)) }),
      reason: 0x09,
      code: "ERR_P2P_IDENTITY_MISMATCH",
      isAfterHello: true,
    },
    {
      what: "a node id of zeros",
      send: (raw) => raw.sendHello({ nodeId: new Uint8Array(64) }),
      reason: 0x07,
      code: "ERR_P2P_NULL_IDENTITY",
    },
    {
      what: "a node id of 63 bytes",
      send: (raw) => raw.sendHello({ nodeId: new Uint8Array(63).fill(1) }),
      reason: 0x07,
      code: "ERR_P2P_NULL_IDENTITY",
    },
    {
      what: "a Hello that is no RLP",
      send: (raw) => raw.send(BaseMessage.hello, Uint8Array.of(0xf8)),
      reason: 0x02,
      code: "ERR_P2P_BAD_HELLO",
    },
    {
      what: "a Hello nested 2,000 lists deep",
      send: (raw) => raw.send(BaseMessage.hello, new Uint8Array(2_000).fill(0xc1)),
      reason: 0x02,
      code: "ERR_P2P_BAD_HELLO",
    },
    {
      what: "a Ping before Hello",
      send: (raw) => raw.send(BaseMessage.ping, encodeRlp([])),
      reason: 0x02,
      code: "ERR_P2P_EXPECTED_HELLO",
    },
    {
      what: "a subprotocol message before Hello",
      send: (raw) => raw.send(0x10, encodeRlp([])),
      reason: 0x02,
      code: "ERR_P2P_EXPECTED_HELLO",
    },
  ];

  test.each(breaches)("$what is answered with $reason", async (breach) => {
    const escaped = watchEscapes();
    const { server, raw, failure } = await shakenHands();
    breach.send(raw);
    expect((await raw.read())?.msgId).toBe(BaseMessage.hello);
    // Both have each other's Hello: what follows is compressed.
    if (breach.isAfterHello === true) raw.session.helloAccepted(5);
    expect(await raw.readDisconnect()).toBe(breach.reason);
    const { phase, inbound, failed } = await failure();
    expect({ phase, inbound }).toEqual({ phase: "hello", inbound: true });
    expect(failed).toMatchObject({
      reason: breach.reason,
      side: "local",
    } satisfies Partial<Failure>);
    expect(failed?.error.cause).toMatchObject({ code: breach.code });
    expect(server.counters.serves.failed).toEqual({ hello: 1 });
    expect(server.peers).toEqual([]);
    await stillServes(server);
    expect(escaped).toEqual([]);
  });

  test.each(breaches)("$what ends a dial with a DialError", async (breach) => {
    const { raw, outcome } = await dialedByServer();
    breach.send(raw);
    expect(await rejection(outcome)).toMatchObject({
      name: "DialError",
      phase: "hello",
      reason: breach.reason,
      side: "local",
    });
  });

  test("a Disconnect in place of Hello is the remote side's refusal", async () => {
    const { raw, outcome } = await dialedByServer();
    raw.send(BaseMessage.disconnect, encodeDisconnect(0x04));
    const error = await rejection(outcome);
    expect(error).toMatchObject({ phase: "hello", reason: 0x04, side: "remote" });
    expect(error.message).toContain("too many peers (0x04)");
    expect((await raw.read())?.msgId).toBe(BaseMessage.hello);
    expect(await raw.readDisconnect()).toBeUndefined();
  });

  test("the stream's end in place of Hello is the remote side's network error", async () => {
    const { raw, outcome } = await dialedByServer();
    raw.stream.destroy();
    expect(await rejection(outcome)).toMatchObject({
      phase: "hello",
      reason: 0x01,
      side: "remote",
    });
  });

  test("no shared capability is 0x03 at both ends", async () => {
    const on = networks().memory;
    const far = await startServer({ ...on("127.0.0.2"), protocols: [idle("b")] });
    const near = await startServer({ ...on("127.0.0.1"), protocols: [idle("a")] });
    const failed = nextEvent(far, "handshake", (event) => event.failed !== undefined);
    const error = await rejection(near.dial(far.enode));
    expect(error).toMatchObject({ name: "DialError", phase: "hello", reason: 0x03 });
    expect((await within("the far end", failed)).failed).toMatchObject({ reason: 0x03 });
  });

  test("a shared flow/1 alone is no shared capability", async () => {
    const { raw } = await shakenHands();
    raw.sendHello({ capabilities: [{ name: "flow", version: 1 }] });
    await raw.read();
    raw.session.helloAccepted(5);
    expect(await raw.readDisconnect()).toBe(0x03);
  });

  test("a version 4 peer is spoken to without compression", async () => {
    const protocol = new Scripted();
    const { raw } = await shakenHands({ protocols: [protocol] });
    await raw.greet([{ name: "test", version: 1 }], 4);
    const { rw } = await protocol.next();
    const payload = encodeRlp(new Uint8Array(1_000));
    const before = raw.bytesIn;
    await rw.sendEncoded(0, payload);
    expect(await raw.read()).toEqual({ msgId: 0x10, payload });
    expect(raw.bytesIn - before).toBeGreaterThan(1_000);
    raw.send(0x10, payload);
    expect((await within("a message", rw.read())).payload).toEqual(payload);
  });

  test("a version 5 peer is spoken to with compression", async () => {
    const protocol = new Scripted();
    const { raw } = await shakenHands({ protocols: [protocol] });
    await raw.greet();
    const { rw } = await protocol.next();
    const payload = encodeRlp(new Uint8Array(1_000));
    const before = raw.bytesIn;
    await rw.sendEncoded(0, payload);
    expect(await raw.read()).toEqual({ msgId: 0x10, payload });
    expect(raw.bytesIn - before).toBeLessThan(500);
  });

  test("messages in the same chunk as Hello wait for the protocols to start", async () => {
    const protocol = new Scripted();
    const { raw } = await shakenHands({ protocols: [protocol] });
    await raw.read();
    const hello = raw.session;
    raw.sendHello();
    hello.helloAccepted(5);
    for (let i = 1; i < 10; i += 1) raw.send(0x10, encodeRlp(i));
    const { rw } = await protocol.next();
    for (let i = 1; i < 10; i += 1) {
      expect((await within("a message", rw.read())).payload).toEqual(Uint8Array.of(i));
    }
  });

  test("until Hello is accepted a frame of more than 2 KiB is refused by its header", async () => {
    const { server, raw, failure } = await shakenHands();
    await raw.read();
    // Our writer obeys the bound, so it is made to believe that Hello is through.
    raw.session.helloAccepted(4);
    raw.session.push(BaseMessage.hello, new Uint8Array(2_049));
    const frame = raw.session.take();
    raw.stream.write(frame.subarray(0, 32));
    const { phase, failed } = await failure();
    expect(phase).toBe("hello");
    expect(failed).toMatchObject({ reason: 0x02, side: "local" });
    expect(failed?.error.cause).toMatchObject({ code: "ERR_RLPX_FRAME_SIZE" });
    await stillServes(server);
  });
});

describe("the one deadline", () => {
  const limits = { handshakeTimeoutMs: 5_000 };

  test("cuts a socket that says nothing", async () => {
    const clock = new ManualClock();
    const server = await startServer({ ...networks().memory("127.0.0.2"), clock, limits });
    const failed = allEvents(server, "handshake");
    const raw = await dialRaw(server, keyOf(900));
    await clock.advance(4_999);
    expect(raw.isClosed).toBe(false);
    await clock.advance(1);
    await until("the socket is cut", () => raw.isClosed);
    const last = failed.at(-1);
    expect(last?.phase).toBe("handshake");
    expect(last?.failed).toMatchObject({ reason: 0x0b, side: "local" });
    expect(last?.failed?.error.cause).toMatchObject({ name: "TimeoutError", what: "handshake" });
  });

  test("counts from the first byte: what stops after the encryption handshake gets no new one", async () => {
    const clock = new ManualClock();
    const server = await startServer({ ...networks().memory("127.0.0.2"), clock, limits });
    const raw = await dialRaw(server, keyOf(900));
    await clock.advance(4_000);
    await raw.initiate(server.id);
    await clock.advance(999);
    expect(raw.isEnded).toBe(false);
    await clock.advance(1);
    await raw.over();
    expect(server.counters.serves.failed).toEqual({ hello: 1 });
  });

  test("cuts a peer that trickles", async () => {
    const clock = new ManualClock();
    const server = await startServer({ ...networks().memory("127.0.0.2"), clock, limits });
    const raw = await dialRaw(server, keyOf(900));
    for (let second = 0; second < 5; second += 1) {
      expect(raw.isClosed).toBe(false);
      raw.stream.write(Uint8Array.of(1));
      await clock.advance(1_000);
    }
    await until("the socket is cut", () => raw.isClosed);
    expect(server.counters.serves.failed).toEqual({ handshake: 1 });
  });

  test("holds for what we dialed, too", async () => {
    const clock = new ManualClock();
    const { outcome } = await dialedByServer({ clock, limits });
    await clock.advance(5_000);
    expect(await rejection(outcome)).toMatchObject({ phase: "hello", reason: 0x0b, side: "local" });
  });

  test("leaves no timer behind when the handshake is done", async () => {
    const clock = new ManualClock();
    const { server, raw } = await shakenHands({ clock });
    await raw.greet();
    await until("a peer", () => server.peers.length === 1);
    await clock.advance(6_000);
    expect(server.peers).toHaveLength(1);
    await server.stop();
    await until("no timer", () => clock.pending === 0);
  });
});

describe("pending handshakes", () => {
  test("are capped; honest peers get in beside any number of silent ones", async () => {
    const clock = new ManualClock();
    const server = await startServer({
      ...networks().memory("127.0.0.2"),
      clock,
      protocols: [new Scripted()],
      limits: { maxPendingHandshakes: 10 },
    });
    const silent = [];
    for (let i = 0; i < 100; i += 1) silent.push(await dialRaw(server, keyOf(500)));
    await settle();
    expect(silent.filter(({ isClosed }) => !isClosed)).toHaveLength(10);
    await stillServes(server);
    await clock.advance(5_000);
    expect(silent.filter(({ isClosed }) => !isClosed)).toHaveLength(0);
    expect(server.peers).toHaveLength(1);
  });

  test("an address with many of them makes room before one with few", async () => {
    const network = new MemoryNetwork();
    const server = await startServer({
      listen: "10.0.0.2:0",
      transport: network.transport("10.0.0.2"),
      protocols: [new Scripted()],
      limits: { maxPendingHandshakes: 4, inboundThrottleMs: 1 },
      clock: new ManualClock(),
    });
    const { host, port } = server.address ?? { host: "", port: 0 };
    const from = async (address: string): Promise<RawPeer> => {
      const { signal } = new AbortController();
      const stream = await network.transport(address).dial({ host, port }, { signal });
      return new RawPeer(stream, keyOf(700));
    };
    // Loopback is exempt from the throttle, and thus the one address that can flood here.
    const honest = await from("10.0.0.7");
    const flood = [];
    for (let i = 0; i < 20; i += 1) flood.push(await from("127.0.0.1"));
    await settle();
    expect(honest.isClosed).toBe(false);
    expect(flood.filter(({ isClosed }) => !isClosed)).toHaveLength(3);
  });
});

test("a stop in the middle of a handshake ends it", async () => {
  const { server, raw } = await shakenHands();
  await within("the stop", server.stop());
  expect(raw.isEnded || raw.isClosed).toBe(true);
  expect(server.counters.serves.failed).toEqual({ hello: 1 });
});

test("a dial to an id that is no public key is refused on our side", async () => {
  const server = await startServer({ transport: new MemoryNetwork().transport("a") });
  const id = new Uint8Array(64).fill(1);
  const node = { id, host: "b", tcpPort: 1, udpPort: 1 };
  expect(await rejection(server.dial(node))).toMatchObject({ code: "ERR_ENODE_BAD_ID" });
});

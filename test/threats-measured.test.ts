import { readFile } from "node:fs/promises";
import { connect, Socket } from "node:net";

import { encodeRlp, nodeIdOf, toHex } from "@heddle/identity";
import { BaseMessage, consoleLogger, tcpTransport } from "@heddle/p2p";
import type { ByteStream, Protocol } from "@heddle/p2p";
import {
  compress,
  decompress,
  deriveSecrets,
  Initiator,
  RawFrameWriter,
  RlpxSession,
} from "@heddle/rlpx";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import {
  allEvents,
  defer,
  idle,
  keyOf,
  nextEvent,
  rejection,
  Scripted,
  settle,
  startServer,
  until,
  watchEscapes,
  within,
} from "./helpers.ts";
import type { RawPeer } from "./helpers.ts";
import { startTarget } from "./threats-target.ts";
import type { Target } from "./threats-target.ts";

/** Faults that were measured on running nodes, and what the house holds to because of them. */

const capabilities = (...names: string[]) => names.map((name) => ({ name, version: 1 }));

/** Secrets of the two ends of a session, with nothing secret about them. */
function sessionSecrets() {
  const shared = {
    ephemeralSharedSecret: keyOf(1),
    initiatorNonce: keyOf(2),
    recipientNonce: keyOf(3),
    auth: keyOf(4),
    ack: keyOf(5),
  };
  return {
    initiator: deriveSecrets("initiator", shared),
    recipient: deriveSecrets("recipient", shared),
  };
}

describe("measured on go-ethereum", () => {
  test("who falls silent behind the encryption handshake holds a slot for 5 s, not for 30 s", async () => {
    const { server, clock, connect } = await startTarget({
      protocols: [idle()],
      limits: { maxPendingHandshakes: 1 },
    });
    const raw = await connect("10.0.0.2");
    await clock.advance(3_000);
    await raw.initiate(server.id);
    await clock.advance(1_999);
    expect(raw.isEnded || raw.isClosed).toBe(false);
    await clock.advance(1);
    await raw.over();
    expect(server.counters.serves.failed).toEqual({ hello: 1 });
  });

  test("a frame of 16 MiB in place of Hello is refused by its header, before its bytes are read", async () => {
    const { initiator, recipient } = sessionSecrets();
    const session = new RlpxSession(nodeIdOf(keyOf(9)), recipient);
    const writer = new RawFrameWriter(initiator.egress);
    const frame = writer.seal(new Uint8Array(64), { frameSize: 0xffffff });
    session.feed(frame.subarray(0, 32));
    expect(() => session.next()).toThrow(expect.objectContaining({ code: "ERR_RLPX_FRAME_SIZE" }));
    const { server, connect } = await startTarget({ protocols: [idle()] });
    const raw = await (await connect("10.0.0.2")).initiate(server.id);
    // Lifts the limit on what this end sends, and on nothing else.
    raw.session.helloAccepted(4);
    raw.session.push(BaseMessage.hello, new Uint8Array(0xffff00));
    raw.stream.write(raw.session.take().subarray(0, 32));
    await raw.over();
    expect(server.counters.serves.failed).toEqual({ hello: 1 });
  });

  test("a protocol that stops reading stalls no other one, and no pong", async () => {
    const lazy = new Scripted("lazy");
    const busy = new Scripted("busy");
    const { server, clock, enter } = await startTarget({ protocols: [lazy, busy] });
    const raw = await enter("10.0.0.2", undefined, {
      capabilities: [...capabilities("busy", "lazy"), { name: "flow", version: 1 }],
    });
    const { rw } = await busy.next();
    await lazy.next();
    // Ranges in the order of names: busy, flow, lazy. One window and a message more is allowed.
    for (const size of [150_000, 1_500_000]) raw.send(0x15, encodeRlp(new Uint8Array(size)));
    for (let i = 1; i <= 20; i += 1) {
      raw.send(0x10, encodeRlp(i));
      expect((await within("beside the stalled one", rw.read())).payload).toEqual(encodeRlp(i));
      await rw.send(0, i);
      raw.send(BaseMessage.ping, Uint8Array.of(0xc0));
    }
    const seen = { echoes: 0, pongs: 0 };
    while (seen.echoes < 20 || seen.pongs < 20) {
      const message = await raw.read();
      if (message?.msgId === 0x10) seen.echoes += 1;
      if (message?.msgId === BaseMessage.pong) seen.pongs += 1;
      if (message === undefined) throw new Error("the connection ended");
    }
    const dropped = nextEvent(server, "peer:drop");
    await clock.advance(server.config.limits.stallTimeoutMs);
    const { error } = await within("the drop of who stalls", dropped);
    expect(error.message).toMatch(/lazy\/1/);
  });

  test("a run that ignores the end leaks no slot, and stop() ends beside it", async () => {
    const released = defer();
    onTestFinished(() => released.resolve());
    const deaf: Protocol = { ...idle(), run: () => released.promise };
    const { server, clock, enter } = await startTarget({
      protocols: [deaf],
      maxPeers: 2,
      dialRatio: 2,
    });
    expect(server.config.maxInbound).toBe(1);
    const first = await enter("10.0.0.2");
    await until("a peer", () => server.peers.length === 1);
    first.stream.destroy();
    await until("it is gone", () => server.peers.length === 0);
    await enter("10.0.0.3");
    await until("the next one has its slot", () => server.peers.length === 1);
    const detached = allEvents(server, "protocol:detached");
    const stopped = server.stop();
    await clock.advance(server.config.limits.graceMs);
    await within("the stop", stopped);
    expect(detached).toHaveLength(2);
  });
});

describe("measured on EthereumJS", () => {
  test("32 bytes behind a valid auth in the same write end that connection, and the loop goes on", async () => {
    const { server, connect, enter } = await startTarget({ protocols: [idle()] });
    const raw = await connect("10.0.0.2");
    await raw.initiate(server.id, { behindAuth: new Uint8Array(32).fill(0x55) });
    await raw.over();
    expect(server.counters.serves.failed).toEqual({ hello: 1 });
    await enter("10.0.0.3");
  });

  test("a Hello in another's name is refused with 0x09", async () => {
    const { server, connect } = await startTarget({ protocols: [idle()] });
    const raw = await (await connect("10.0.0.2")).initiate(server.id);
    raw.sendHello({ nodeId: nodeIdOf(keyOf(404)) });
    expect((await raw.read())?.msgId).toBe(BaseMessage.hello);
    raw.session.helloAccepted(5);
    expect(await raw.readDisconnect()).toBe(0x09);
    expect(server.peers).toHaveLength(0);
  });

  test("silence is cut on both sides of a dial, and the sockets are closed", async () => {
    const { clock, connect } = await startTarget({ protocols: [idle()] });
    const dialer = await startServer({ listen: "127.0.0.1:0", clock, protocols: [idle()] });
    const crowd: RawPeer[] = [];
    for (let i = 0; i < 40; i += 1) crowd.push(await connect(`10.3.0.${i}`));
    const silent = await silentListener();
    const enode = `enode://${toHex(nodeIdOf(keyOf(405)))}@127.0.0.1:${silent.port}`;
    const dial = rejection(dialer.dial(enode));
    await until("the dial arrives", () => silent.streams.length === 1);
    await settle();
    await clock.advance(5_000);
    expect(await dial).toMatchObject({ name: "DialError", phase: "handshake", side: "local" });
    await until("all are closed", () => crowd.every(({ isClosed }) => isClosed));
    await until("the dialed one, too", () => silent.closed() === 1);
  });

  test("57 MB of garbage are dropped from the first wrong header on", async () => {
    const { recipient } = sessionSecrets();
    const session = new RlpxSession(nodeIdOf(keyOf(9)), recipient);
    const chunk = new Uint8Array(1_448).fill(0xa5);
    session.feed(chunk);
    expect(() => session.next()).toThrow(
      expect.objectContaining({ code: "ERR_RLPX_BAD_HEADER_MAC" }),
    );
    const before = process.memoryUsage().arrayBuffers;
    let refused = 0;
    for (let sent = 0; sent < 57_000_000; sent += chunk.length) {
      try {
        session.feed(chunk);
      } catch {
        refused += 1;
      }
    }
    expect(refused).toBe(Math.ceil(57_000_000 / chunk.length));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
  });

  test("a frame of 16 MiB in chunks of one packet is copied a few times, not once more for each chunk", async () => {
    const { initiator, recipient } = sessionSecrets();
    const session = new RlpxSession(nodeIdOf(keyOf(9)), recipient);
    session.helloAccepted(4);
    const data = new Uint8Array(0xffffff);
    data[0] = 0x10;
    const wire = new RawFrameWriter(initiator.egress).seal(data);
    let copied = 0;
    const spy = vi.spyOn(Uint8Array.prototype, "set");
    let message;
    for (let at = 0; at < wire.length; at += 1_448) {
      session.feed(wire.subarray(at, at + 1_448));
      message = session.next();
      copied += spy.mock.calls.reduce((sum, [source]) => sum + source.length, 0);
      spy.mockClear();
    }
    spy.mockRestore();
    expect(message?.payload).toHaveLength(0xffffff - 1);
    // Into the buffer, into the engine, out of it, and into a message: with quadratic joins it is gigabytes.
    expect(copied).toBeLessThan(12 * wire.length);
  });

  test("of 30 that come at once no more than maxPeers are admitted", async () => {
    const { server, connect } = await startTarget({
      protocols: [idle()],
      maxPeers: 5,
      dialRatio: 5,
    });
    let most = 0;
    server.on("peer:add", () => (most = Math.max(most, server.peers.length)));
    const crowd = await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const raw = await (await connect(`10.4.0.${i}`)).initiate(server.id);
        if (!raw.isClosed && !raw.isEnded) raw.sendHello();
        return raw;
      }),
    );
    const open = () => crowd.filter(({ isClosed, isEnded }) => !isClosed && !isEnded);
    await until("the others are refused", () => open().length === server.config.maxInbound);
    expect(most).toBe(server.config.maxInbound);
  });

  test("refusing a duplicate leaves the original where it is", async () => {
    const protocol = new Scripted();
    const { server, connect, enter } = await startTarget({ protocols: [protocol] });
    const original = await enter("10.0.0.2", keyOf(88));
    const { rw, peer } = await protocol.next();
    const copy = await (await connect("10.0.0.3", keyOf(88))).initiate(server.id);
    copy.sendHello();
    expect(await copy.readDisconnect()).toBe(0x05);
    expect(server.peers).toEqual([peer]);
    original.send(0x10, encodeRlp(1));
    expect((await within("the original is heard", rw.read())).payload).toEqual(encodeRlp(1));
  });

  test("a Snappy bomb is refused by what it declares", async () => {
    expect(() => decompress(compress(new Uint8Array(15 * 2 ** 20)), 10 * 2 ** 20)).toThrow(
      expect.objectContaining({ code: "ERR_RLPX_MESSAGE_SIZE" }),
    );
    const target = await startTarget({ protocols: [idle()] });
    const raw = await enterPlain(target);
    const dropped = nextEvent(target.server, "peer:drop");
    // 17 MiB that take less than 1 MiB on the wire.
    raw.send(0x10, compress(new Uint8Array(17 * 2 ** 20)));
    const { error } = await within("the drop", dropped);
    expect(error.cause).toMatchObject({ code: "ERR_RLPX_MESSAGE_SIZE" });
  });

  test("a message of 7 bytes that declares 512 MiB, or 15 MiB, takes no memory", () => {
    const before = process.memoryUsage().arrayBuffers;
    for (const declared of [512 * 2 ** 20, 15 * 2 ** 20]) {
      const length = [];
      for (let n = declared; n > 0; n = Math.floor(n / 128)) length.push((n % 128) | 0x80);
      length.push((length.pop() ?? 0) & 0x7f);
      const bomb = Uint8Array.of(...length, 0x00, 0x41);
      expect(() => decompress(bomb, 2 ** 24 - 1)).toThrow(
        expect.objectContaining({ name: "RemoteProtocolError" }),
      );
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
  });

  test("a Hello of 378 KB of nested lists is refused by its size, one of 2 KiB by its depth", async () => {
    const { server, connect } = await startTarget({ protocols: [idle()] });
    const failures = allEvents(server, "handshake");
    const codes = () => failures.flatMap(({ failed }) => failed?.error.cause ?? []);
    for (const [at, size] of [378_000, 2_048].entries()) {
      const raw = await (await connect(`10.0.0.${2 + at}`)).initiate(server.id);
      // Lifts the limit on what this end sends, and on nothing else.
      raw.session.helloAccepted(4);
      raw.send(BaseMessage.hello, new Uint8Array(size).fill(0xc1));
      expect(await raw.readDisconnect()).toBe(0x02);
      await until("the failure is told", () => codes().length === at + 1);
    }
    expect(codes()).toMatchObject([{ code: "ERR_RLPX_FRAME_SIZE" }, { code: "ERR_P2P_BAD_HELLO" }]);
  });

  test("Hello again and again starts no timer", async () => {
    const protocol = new Scripted();
    const { clock, enter } = await startTarget({ protocols: [protocol] });
    const raw = await enter("10.0.0.2");
    const { rw } = await protocol.next();
    await settle();
    const before = clock.pending;
    for (let i = 0; i < 100; i += 1) raw.sendHello();
    raw.send(0x10, encodeRlp(1));
    await within("a message behind them", rw.read());
    expect(clock.pending).toBe(before);
  });

  test("of pings from a peer that reads nothing no queue grows", async () => {
    const { server, enter, clock } = await startTarget({ protocols: [idle()] });
    const raw = await enter("10.0.0.2");
    raw.stream.pause();
    let hasRoom = true;
    for (let i = 0; i < 10_000 && hasRoom; i += 1) {
      hasRoom = raw.send(BaseMessage.ping, Uint8Array.of(0xc0));
      if (i % 100 === 0) await settle();
    }
    // What is left over stays with the one that sends.
    expect(hasRoom).toBe(false);
    expect(server.peers).toHaveLength(1);
    await clock.advance(server.config.limits.writeTimeoutMs);
    await until("the peer is dropped", () => server.peers.length === 0);
  });

  test.each([
    ["the length of a protocol", 0x10 + 4 + 4],
    ["one over 112", 0x10 + 113],
    ["one that folds to the first in 7 bits", 0x10 + 0x80],
    ["one that folds to the first in a byte", 0x10 + 0x100],
  ])("a code that is %s lands in no other protocol", async (_what, msgId) => {
    const [a, b] = [new Scripted("aa"), new Scripted("bb")];
    const { server, enter } = await startTarget({ protocols: [a, b] });
    const raw = await enter("10.0.0.2", undefined, { capabilities: capabilities("aa", "bb") });
    const runs = [await a.next(), await b.next()];
    const reads = runs.map(({ rw }) => rejection(rw.read()));
    const dropped = nextEvent(server, "peer:drop");
    raw.send(msgId, encodeRlp(1));
    const { error } = await within("the drop", dropped);
    expect(error).toMatchObject({ reason: 0x02, cause: { code: "ERR_P2P_MSG_ID_RANGE" } });
    expect(await Promise.all(reads)).toEqual([error, error]);
  });

  test("the code behind a protocol's last is the next protocol's first, and nobody else's", async () => {
    const [a, b] = [new Scripted("aa"), new Scripted("bb")];
    const { enter } = await startTarget({ protocols: [a, b] });
    const raw = await enter("10.0.0.2", undefined, { capabilities: capabilities("aa", "bb") });
    const [first, second] = [await a.next(), await b.next()];
    for (const msgId of [0x13, 0x14]) raw.send(msgId, encodeRlp(msgId));
    expect((await within("aa's last", first.rw.read())).code).toBe(3);
    expect((await within("bb's first", second.rw.read())).code).toBe(0);
  });

  test("a message that comes before anybody reads is kept", async () => {
    const started = defer();
    const heard = defer<Uint8Array>();
    const late: Protocol = {
      ...idle(),
      async run(_peer, rw) {
        await started.promise;
        heard.resolve((await rw.read()).payload);
      },
    };
    const { server, connect } = await startTarget({ protocols: [late] });
    const raw = await (await connect("10.0.0.2")).initiate(server.id);
    // In one write with the Hello: there is no protocol yet, let alone a reader.
    raw.sendHello();
    raw.session.helloAccepted(5);
    raw.send(0x10, encodeRlp("early"));
    await until("a peer", () => server.peers.length === 1);
    started.resolve();
    expect(await within("what came early", heard.promise)).toEqual(encodeRlp("early"));
  });

  test("a Disconnect after Hello is compressed like any message", async () => {
    const target = await startTarget({ protocols: [idle()] });
    const raw = await enterPlain(target);
    await until("a peer", () => target.server.peers.length === 1);
    void target.server.peers[0]?.disconnect(0x04);
    for (;;) {
      const message = await raw.read();
      if (message?.msgId !== BaseMessage.disconnect && message !== undefined) continue;
      expect(decompress(message?.payload ?? new Uint8Array(), 16)).toEqual(encodeRlp([4]));
      break;
    }
  });

  test("sockets have no Nagle delay, and a message is one write", async () => {
    const noDelay = vi.spyOn(await tcpHandle(), "setNoDelay");
    const writes = vi.spyOn(Socket.prototype, "write");
    onTestFinished(() => void vi.restoreAllMocks());
    const [near, far] = [new Scripted(), new Scripted()];
    const listen = "127.0.0.1:0";
    const server = await startServer({ listen, protocols: [far], flowControl: false });
    const dialer = await startServer({ protocols: [near], flowControl: false });
    await within("a dial", dialer.dial(server.enode));
    const [asker, answerer] = [await near.next(), await far.next()];
    await settle();
    const before = writes.mock.calls.length;
    for (let i = 1; i <= 5; i += 1) {
      await asker.rw.send(0, i);
      await within("the question", answerer.rw.read());
      await answerer.rw.send(0, i);
      await within("the answer", asker.rw.read());
    }
    expect(writes.mock.calls.length - before).toBe(10);
    // One at each end.
    expect(noDelay.mock.calls).toEqual([[true], [true]]);
  });
});

test("DVE-2015-0099, CVE-2015-20112: one key for both directions is what the protocol says, and SECURITY.md says so first", async () => {
  const { initiator } = sessionSecrets();
  expect(initiator.egress.aesSecret).toEqual(initiator.ingress.aesSecret);
  const text = await readFile(new URL("../SECURITY.md", import.meta.url), "utf8");
  const [, first] = text.split("\n\n");
  expect(first).toContain("CVE-2015-20112");
  expect(first).toMatch(/same AES-CTR key/);
  expect(first).toMatch(/do not rely on it for secrecy/);
});

describe("rules that follow", () => {
  test("every failed handshake is answered alike: with nothing, and the end", async () => {
    const { auth } = new Initiator({ secretKey: keyOf(2), remoteId: nodeIdOf(keyOf(1)) });
    const ends = [];
    for (const [at, bytes] of [auth.fill(0x11, 3, 67), auth.with(40, 1), auth.fill(0)].entries()) {
      const { server, connect } = await startTarget();
      const raw = await connect(`10.0.0.${2 + at}`);
      raw.stream.write(bytes);
      await raw.over();
      ends.push({ bytesIn: raw.bytesIn, failed: server.counters.serves.failed });
    }
    expect(new Set(ends.map((end) => JSON.stringify(end))).size).toBe(1);
    expect(ends[0]?.bytesIn).toBe(0);
  });

  test("a client id of terminal escapes reaches no log unescaped, and a key none at all", async () => {
    const lines: string[] = [];
    const note = (line: unknown): void => void lines.push(String(line));
    const { server, connect } = await startTarget({
      protocols: [idle()],
      logger: consoleLogger({ debug: note, info: note, warn: note, error: note }, "debug"),
    });
    const raw = await (await connect("10.0.0.2")).initiate(server.id);
    raw.sendHello({ clientId: "\u001b[2J\u001b]0;owned\u0007\r\n peer=me" });
    await until("a peer", () => server.peers.length === 1);
    raw.send(BaseMessage.disconnect, encodeRlp([0]));
    await until("it is gone", () => server.peers.length === 0);
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) {
      expect(line).toMatch(/^[\x20-\x7e]*$/);
      expect(line).not.toContain(toHex(server.config.key));
    }
    expect(JSON.stringify(server.info())).not.toContain("\\u001b");
  });

  test("nothing that a peer sends escapes its connection", async () => {
    const escaped = watchEscapes();
    const { server, connect, enter } = await startTarget({ protocols: [idle()] });
    for (let i = 0; i < 50; i += 1) {
      const raw = await (await connect(`10.5.0.${i}`)).initiate(server.id);
      raw.send(i % 20, new Uint8Array(i * 7).fill(i * 5));
      await settle();
      raw.stream.destroy();
    }
    await enter("10.0.0.2");
    await until("the honest peer alone", () => server.peers.length === 1);
    expect(escaped).toEqual([]);
  });
});

/** Enters, says version 5 and does not compress: what is sent and shown is what stands on the wire. */
async function enterPlain({ server, connect }: Target): Promise<RawPeer> {
  const raw = await (await connect("10.0.0.2")).initiate(server.id);
  raw.sendHello();
  expect((await raw.read())?.msgId).toBe(BaseMessage.hello);
  raw.session.helloAccepted(4);
  return raw;
}

/** What sockets call in the runtime: the options of `connect` and `createServer` reach nothing above it. */
async function tcpHandle(): Promise<{ setNoDelay(on: boolean): void }> {
  const { port, close } = await silentListener();
  const socket = connect({ host: "127.0.0.1", port });
  await new Promise((resolve) => socket.once("connect", resolve));
  const { _handle: handle } = socket as unknown as { _handle: object };
  const prototype: unknown = Object.getPrototypeOf(handle);
  socket.destroy();
  await close();
  return prototype as { setNoDelay(on: boolean): void };
}

/** A listener on loopback that accepts and says nothing. */
async function silentListener() {
  const streams: ByteStream[] = [];
  let closed = 0;
  const listener = await tcpTransport.listen({ host: "127.0.0.1", port: 0 }, (stream) => {
    streams.push(stream);
    stream.open({
      data: () => undefined,
      drain: () => undefined,
      end: () => stream.end(),
      close: () => (closed += 1),
    });
    stream.resume();
  });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= listener.close());
  onTestFinished(close);
  return { streams, port: listener.address.port, closed: () => closed, close };
}

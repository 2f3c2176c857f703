import { encodeRlp, generateSecretKey, nodeIdOf } from "@heddle/identity";
import { BaseMessage, DisconnectReason, MemoryNetwork, Server } from "@heddle/p2p";
import type { Protocol, ServerOptions } from "@heddle/p2p";
import { text, tuple } from "@heddle/protocol";
import { RemoteProtocolError } from "@heddle/rlpx";
import { expect, onTestFinished, test } from "vitest";

import { ExpectationError, nullSession, scriptedPeer, VirtualClock } from "../src/index.ts";

/** Answers every word with the same word one code up; the empty word with nothing. */
const echo: Protocol = {
  name: "echo",
  version: 1,
  length: 2,
  messageNames: { 0: "say", 1: "said" },
  async run(_peer, rw) {
    for await (const message of rw) {
      const [word] = message.decode(tuple(text));
      if (word !== "") await rw.sendItems(1, word);
    }
  },
};

const foo: Protocol = { ...echo, name: "foo", length: 5 };

/** A server in memory that listens; stopped after the test. */
async function startServer(options: Partial<ServerOptions> = {}): Promise<Server> {
  const server = new Server({
    key: generateSecretKey(),
    clientId: "server/1",
    listen: "127.0.0.1:0",
    protocols: [echo],
    transport: new MemoryNetwork().transport("127.0.0.1"),
    ...options,
  });
  onTestFinished(() => server.stop());
  await server.start();
  return server;
}

async function failure(promise: Promise<unknown>): Promise<ExpectationError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ExpectationError))
    throw new Error(`no ExpectationError: ${String(error)}`);
  return error;
}

test.each<[string, Partial<ServerOptions>]>([
  ["memory", {}],
  ["TCP", { transport: undefined as never }],
  ["memory, without cryptography", { session: nullSession }],
])("it dials a server over %s and speaks its protocol", async (_name, options) => {
  const server = await startServer(options);
  await using peer = await scriptedPeer(server);
  expect(peer.remoteHello?.clientId).toBe("server/1");
  const capability = peer.capability("echo");
  expect([capability.version, capability.offset, capability.length]).toEqual([1, 0x10, 2]);
  capability.send(0, ["hello"]);
  const reply = await capability.expect(1);
  expect([reply.code, reply.decode(tuple(text))]).toEqual([1, ["hello"]]);
  expect(server.peers[0]?.id).toEqual(peer.id);
  peer.send(0x10, ["wire"]);
  const wire = await peer.expect(0x11);
  expect([wire.code, wire.payload]).toEqual([0x11, encodeRlp(["wire"])]);
  peer.disconnect(DisconnectReason.tooManyPeers);
  await peer.expectEnd();
});

test("every field of its Hello can be another", async () => {
  const server = await startServer();
  const hello = {
    clientId: "liar/9",
    capabilities: [
      { name: "echo", version: 1 },
      { name: "zzz", version: 200 },
    ],
    listenPort: 7,
  };
  await using peer = await scriptedPeer(server, { hello });
  expect(server.peers[0]).toMatchObject({
    clientId: "liar/9",
    capabilities: hello.capabilities,
  });
  expect(peer.shared.map(({ name }) => name)).toEqual(["echo"]);
  const stranger = await scriptedPeer.handshake(server);
  await stranger.greet({ nodeId: nodeIdOf(generateSecretKey()) });
  expect(await stranger.expectDisconnect()).toBe(DisconnectReason.unexpectedIdentity);
  await stranger.expectEnd();
});

test("a side of protocol version 4 is not sent compressed messages, and sends none", async () => {
  const server = await startServer();
  await using peer = await scriptedPeer(server, { hello: { protocolVersion: 4 } });
  peer.capability("echo").send(0, ["plain"]);
  await peer.capability("echo").expect(1);
});

test("offsets follow the lengths of all that is shared", async () => {
  const server = await startServer({ protocols: [foo, echo] });
  await using peer = await scriptedPeer(server);
  expect(peer.shared.map(({ name, offset }) => [name, offset])).toEqual([
    ["echo", 0x10],
    ["foo", 0x12],
  ]);
  expect(() => peer.capability("bar")).toThrow("bar is not shared; what is: echo/1, foo/1");
});

test("a protocol's messages are expected in its own order, whatever others send", async () => {
  const server = await startServer({ protocols: [foo, echo] });
  await using peer = await scriptedPeer(server);
  const [e, f] = [peer.capability("echo"), peer.capability("foo")];
  e.send(0, ["to echo"]);
  await peer.expect(({ code }) => code === e.offset + 1);
  e.send(0, ["1"]);
  f.send(0, ["2"]);
  await f.expect(1);
  await e.expect((message) => message.code === 1);
});

test("before Hello it speaks when and what the script says", async () => {
  const server = await startServer();
  await using peer = await scriptedPeer.handshake(server);
  expect(() => peer.capability("echo")).toThrow("what is: nothing");
  const hello = await peer.expectHello();
  expect(hello.nodeId).toEqual(server.id);
  peer.send(BaseMessage.ping, []);
  expect(await peer.expectDisconnect()).toBe(DisconnectReason.protocolError);
  await peer.expectEnd();
});

test("a Hello may be larger than strangers may send", async () => {
  const server = await startServer();
  await using peer = await scriptedPeer.handshake(server);
  peer.sendRaw(BaseMessage.hello, new Uint8Array(3_000));
  await peer.expectHello();
  await peer.expectDisconnect(DisconnectReason.protocolError);
});

test("payloads that are no RLP are sent as they are", async () => {
  const server = await startServer();
  await using peer = await scriptedPeer(server);
  peer.capability("echo").sendRaw(0, Uint8Array.of(0xc5, 0x00));
  await peer.expectDisconnect(DisconnectReason.protocolError);
});

test("bytes that are no frame are sent as they are", async () => {
  const server = await startServer();
  await using peer = await scriptedPeer(server);
  peer.sendBytes(new Uint8Array(64));
  await peer.expectDisconnect(DisconnectReason.protocolError);
  await peer.expectEnd();
});

test("it waits to be dialed, too", async () => {
  const server = await startServer();
  const { transport } = server.config;
  await using listener = await scriptedPeer.listen({ transport, protocols: [echo] });
  const [peer, dialed] = await Promise.all([listener.accept(), server.dial(listener.enode)]);
  expect(dialed.id).toEqual(peer.id);
  peer.capability("echo").send(0, ["hi"]);
  await peer.capability("echo").expect(1);
  await using second = await scriptedPeer.listen({ transport });
  const failing = server.dial(second.enode);
  const silent = await second.acceptHandshake();
  silent.disconnect(DisconnectReason.tooManyPeers);
  await expect(failing).rejects.toMatchObject({ reason: DisconnectReason.tooManyPeers });
});

test("pings are answered in silence, or left to the script", async () => {
  const server = await startServer();
  await using peer = await scriptedPeer(server);
  await server.peers[0]?.ping();
  peer.capability("echo").send(0, ["after"]);
  await peer.expect(0x11);
  await using manual = await scriptedPeer(server, { answerPings: false });
  const pinged = server.peer(manual.id)?.ping();
  await manual.expect(BaseMessage.ping);
  manual.send(BaseMessage.pong, []);
  expect(await pinged).toBeGreaterThanOrEqual(0);
});

test("another message than the expected one fails, showing both", async () => {
  const server = await startServer();
  await using peer = await scriptedPeer(server);
  const capability = peer.capability("echo");
  capability.send(0, ["x".repeat(40)]);
  const error = await failure(capability.expect(0));
  expect(error.message).toBe(
    `expected echo/1 say(0x00) as 0x10, got echo/1 said(0x01) as 0x11 with 42 bytes e9a8${"78".repeat(30)}…`,
  );
  expect(error.code).toBe("ERR_TESTING_UNEXPECTED");
  expect(error.received?.msgId).toBe(0x11);
  capability.send(0, ["y"]);
  const named = failure(
    peer.expect(function theAnswer({ size }) {
      return size > 100;
    }),
  );
  expect((await named).message).toBe(
    "expected a message that is theAnswer, got echo/1 said(0x01) as 0x11 with 2 bytes c179",
  );
});

test("a Disconnect in place of a message fails with its reason, and a wrong reason with both", async () => {
  const server = await startServer();
  await using peer = await scriptedPeer(server);
  const waiting = failure(peer.capability("echo").expect(1));
  await server.peers[0]?.disconnect(DisconnectReason.tooManyPeers);
  expect((await waiting).message).toBe(
    "expected echo/1 said(0x01) as 0x11, got Disconnect(0x01) too many peers (0x04)",
  );
  await using other = await scriptedPeer(server);
  void server.peers[0]?.disconnect(DisconnectReason.uselessPeer);
  expect((await failure(other.expectDisconnect(DisconnectReason.requested))).message).toBe(
    "expected Disconnect(0x01) disconnect requested (0x00), got Disconnect(0x01) useless peer (0x03)",
  );
});

test("messages in front of the expected one are dropped on demand", async () => {
  const server = await startServer();
  await using peer = await scriptedPeer(server);
  for (const word of ["a", "b", "c"]) peer.capability("echo").send(0, [word]);
  await peer.expect((message) => message.decode(tuple(text))[0] === "c", { skipOthers: true });
  peer.capability("echo").send(0, ["d"]);
  await peer.capability("echo").expect(1);
  peer.capability("echo").send(0, ["e"]);
  peer.capability("echo").sendRaw(0, Uint8Array.of(1));
  await peer.expectDisconnect(undefined, { skipOthers: true });
});

test("a stream that ends fails what is expected, and a message fails the expected end", async () => {
  const server = await startServer();
  await using peer = await scriptedPeer(server);
  peer.capability("echo").send(0, ["one"]);
  const early = await failure(peer.expectEnd());
  expect(early.message).toMatch(/^expected the end of the stream, got echo\/1 said/);
  peer.destroy();
  const late = await failure(peer.expect(0x11));
  expect([late.code, late.message]).toEqual([
    "ERR_TESTING_ENDED",
    "expected echo/1 said(0x01) as 0x11, got the end of the stream",
  ]);
});

test("what does not come fails when its time is over, on the server's clock", async () => {
  const clock = new VirtualClock();
  const server = await startServer({ clock });
  await using peer = await scriptedPeer(server);
  const error = await failure(clock.settle(peer.capability("echo").expect(1, { timeoutMs: 700 })));
  expect([error.code, error.message, clock.now()]).toEqual([
    "ERR_TESTING_TIMEOUT",
    "expected echo/1 said(0x01) as 0x11, got nothing within 700 ms",
    700,
  ]);
  const stop = server.stop();
  await peer.expectDisconnect(DisconnectReason.clientQuitting);
  await peer.expectEnd();
  await clock.settle(stop);
  expect(clock.pending).toBe(0);
});

test("a handshake and a connection that do not come are given up in time", async () => {
  const clock = new VirtualClock();
  const transport = new MemoryNetwork().transport("127.0.0.1");
  const listener = await transport.listen({ host: "127.0.0.1", port: 9 }, () => undefined);
  const target = { id: nodeIdOf(generateSecretKey()), host: "127.0.0.1", tcpPort: 9, udpPort: 9 };
  const dialing = scriptedPeer(target, { transport, clock, timeoutMs: 10 });
  expect((await failure(clock.settle(dialing))).message).toBe(
    "expected a handshake, got nothing within 10 ms",
  );
  await listener.close();
  await using waiting = await scriptedPeer.listen({ transport, clock, timeoutMs: 10 });
  expect((await failure(clock.settle(waiting.accept()))).code).toBe("ERR_TESTING_TIMEOUT");
  expect(clock.pending).toBe(0);
});

test("what is no message of the session fails with the session's error", async () => {
  const network = new MemoryNetwork().transport("127.0.0.1");
  await using listener = await scriptedPeer.listen({ transport: network });
  const [far, near] = await Promise.all([
    listener.acceptHandshake(),
    scriptedPeer.handshake(listener.enode, { transport: network }),
  ]);
  far.sendBytes(new Uint8Array(100));
  const error = await failure(near.expectHello());
  expect(error.code).toBe("ERR_TESTING_BROKEN");
  expect(error.cause).toBeInstanceOf(RemoteProtocolError);
});

test("a server that refuses it says so in place of a Hello", async () => {
  const server = await startServer({ maxPeers: 0 });
  const error = await failure(scriptedPeer(server));
  expect(error.message).toBe("expected Hello(0x00), got Disconnect(0x01) too many peers (0x04)");
});

test("a peer that does not read holds the server back, and reads on when told to", async () => {
  const server = await startServer({ limits: { highWaterMark: 1_000 } });
  await using peer = await scriptedPeer(server);
  peer.pause();
  const word = "x".repeat(50_000);
  for (let i = 0; i < 20; i++) peer.capability("echo").send(0, [word]);
  const held = await failure(peer.expect(0x11, { timeoutMs: 20 }));
  expect(held.code).toBe("ERR_TESTING_TIMEOUT");
  peer.resume();
  for (let i = 0; i < 20; i++) await peer.capability("echo").expect(1);
});

test("it learns that what it sent is not read", async () => {
  const stuck: Protocol = {
    ...echo,
    run: (peer) => new Promise((resolve) => peer.signal.addEventListener("abort", () => resolve())),
  };
  const server = await startServer({ protocols: [stuck], limits: { inboxBytes: 10_000 } });
  await using peer = await scriptedPeer(server);
  for (let i = 0; i < 10; i++) peer.capability("echo").send(0, generateBytes(20_000));
  const error = await failure(peer.drained({ timeoutMs: 20 }));
  expect(error.message).toBe("expected what was sent to be read, got nothing within 20 ms");
  peer.destroy();
  await server.stop();
});

/** Bytes that compression makes no shorter. */
function generateBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

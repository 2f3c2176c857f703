import { curve, encodeRlp, generateSecretKey, nodeIdOf } from "@heddle/identity";
import { BaseMessage, DisconnectReason, MemoryNetwork, Server } from "@heddle/p2p";
import type { Protocol, ServerOptions } from "@heddle/p2p";
import { compress } from "@heddle/rlpx";
import { expect, onTestFinished, test } from "vitest";

import {
  nullSession,
  ScriptedAck,
  ScriptedAuth,
  scriptedPeer,
  ScriptedWire,
  VirtualClock,
} from "../src/index.ts";
import type { HandshakePacketOptions } from "../src/index.ts";

/** Returns what comes under code 0 under code 1. */
const mirror: Protocol = {
  name: "mirror",
  version: 1,
  length: 2,
  async run(_peer, rw) {
    for await (const { payload } of rw) await rw.sendEncoded(1, payload);
  },
};

async function startServer(options: Partial<ServerOptions> = {}): Promise<Server> {
  const server = new Server({
    key: generateSecretKey(),
    clientId: "server/1",
    listen: "127.0.0.1:0",
    protocols: [mirror],
    ...options,
  });
  onTestFinished(() => server.stop());
  await server.start();
  return server;
}

const inMemory = (): Promise<Server> =>
  startServer({ transport: new MemoryNetwork().transport("127.0.0.1") });

const bytes = encodeRlp("some bytes");

test.each([
  ["a bit of the header", 0],
  ["a bit of the header MAC", 16],
  ["a bit of the data", 32],
  ["a bit of the frame MAC", -1],
])("a frame with %s changed ends the session, one before it is read", async (_what, at) => {
  await using peer = await scriptedPeer(await inMemory());
  peer.sendRaw(0x10, bytes);
  expect((await peer.expect(0x11)).payload).toEqual(bytes);
  peer.sendRaw(0x10, bytes, { damage: (frame) => frame.with(at, (frame.at(at) ?? 0) ^ 1) });
  await peer.expectDisconnect(DisconnectReason.protocolError);
  expect(await peer.expectEnd()).toEqual({ how: "end", reason: DisconnectReason.protocolError });
  expect(peer.ending).toEqual({ how: "end", reason: DisconnectReason.protocolError });
});

test("what the specification does not have looked at may be anything, and frames go on behind it", async () => {
  await using peer = await scriptedPeer(await inMemory());
  const oddities = [
    { headerData: new Uint8Array(13).fill(0xff) },
    { headerPadding: 0x55 },
    { padding: 0xaa },
    { headerData: new Uint8Array(0) },
  ];
  for (const oddity of oddities) peer.sendRaw(0x10, bytes, oddity);
  peer.sendRaw(0x10, compress(bytes), { isRaw: true });
  for (let i = 0; i <= oddities.length; i += 1) {
    const message = await peer.expect(0x11);
    expect([message.msgId, message.payload]).toEqual([0x11, bytes]);
    // What came stands as it was sent, too: compressed.
    expect(message.raw).toEqual(compress(bytes));
  }
});

test.each<[string, Uint8Array]>([
  ["without a message id", new Uint8Array(0)],
  ["with an id of two bytes for one", Uint8Array.of(0x81, 0x02, 0x01, 0x00, 0xc0)],
  ["with a list for an id", Uint8Array.of(0xc0)],
])("frame-data %s end the session", async (_what, data) => {
  await using peer = await scriptedPeer(await inMemory());
  peer.sendBytes(peer.frames.sealData(data));
  await peer.expectDisconnect(DisconnectReason.protocolError);
});

test("an id of 64 bits is sent as it is", async () => {
  await using peer = await scriptedPeer(await inMemory());
  peer.sendRaw(2n ** 64n - 1n, bytes);
  await peer.expectDisconnect(DisconnectReason.protocolError);
});

test("the elements of Hello may be of any kind, and more than five", async () => {
  const server = await inMemory();
  await using peer = await scriptedPeer.handshake(server);
  peer.sendHello({ extra: [1, ["later"]], clientId: Uint8Array.of(0xff), capabilities: [] });
  await peer.expectHello();
  await peer.expectDisconnect(DisconnectReason.uselessPeer);
  await using liar = await scriptedPeer.handshake(server);
  liar.sendHello({ capabilities: "mirror" });
  await liar.expectHello();
  await liar.expectDisconnect(DisconnectReason.protocolError);
});

test("a Hello that is sealed counts as said, and a message may come in the same write", async () => {
  await using peer = await scriptedPeer.handshake(await inMemory());
  const hello = peer.sealHello();
  const message = peer.seal(0x10, compress(bytes), { isRaw: true });
  await peer.wire.write(Buffer.concat([hello, message]));
  await peer.expectHello();
  expect((await peer.expect(0x11)).payload).toEqual(bytes);
});

test("a peer on another session than RLPx of its own has no frames, and says so", async () => {
  const transport = new MemoryNetwork().transport("127.0.0.1");
  await using peer = await scriptedPeer(await startServer({ transport, session: nullSession }));
  expect(() => peer.frames).toThrow(TypeError);
  expect(() => peer.sendRaw(0x10, bytes, { padding: 1 })).toThrow(TypeError);
  expect(() => peer.sendRaw(2n, bytes)).toThrow(TypeError);
  peer.sendRaw(0x10, bytes);
  expect((await peer.expect(0x11)).raw).toEqual(bytes);
});

test("whatever comes next is taken: a message, nothing in time, the end", async () => {
  const server = await inMemory();
  await using peer = await scriptedPeer(server);
  expect(await peer.next(0)).toBeUndefined();
  peer.sendRaw(0x10, bytes);
  expect(await peer.next()).toMatchObject({ msgId: 0x11, payload: bytes });
  expect(peer.ending).toBeUndefined();
  peer.disconnect();
  expect(await peer.next()).toBe("end");
  expect(peer.ending).toEqual({ how: "end", reason: undefined });
});

const flipLast = (packet: Uint8Array): Uint8Array =>
  packet.map((byte, at) => (at === packet.length - 1 ? byte ^ 1 : byte));

const offCurve = new Uint8Array(64).fill(0x11);

test.each<[string, HandshakePacketOptions, "ack" | "reset"]>([
  ["as usual", {}, "ack"],
  ["of another version, with more elements", { version: 56, extra: [[1], "later"] }, "ack"],
  ["without padding", { padding: new Uint8Array(0) }, "ack"],
  ["with a key off the curve", { fields: (fields) => fields.with(1, offCurve) }, "reset"],
  ["that is no list", { plaintext: () => encodeRlp(new Uint8Array(180)) }, "reset"],
])("an auth %s is made as it is wanted", async (_what, options, answer) => {
  expect(curve.isPoint(offCurve)).toBe(false);
  const server = await inMemory();
  await using wire = await scriptedPeer.wire(server);
  const auth = new ScriptedAuth(server.id, options);
  await wire.write(auth.packet);
  if (answer === "reset") {
    expect(await wire.read()).toBe("reset");
    await expect(auth.open(wire)).rejects.toMatchObject({ code: "ERR_TESTING_ENDED" });
    return;
  }
  const peer = scriptedPeer.over(await auth.open(wire), { protocols: [mirror] });
  await peer.greet();
  peer.capability("mirror").sendRaw(0, bytes);
  await peer.capability("mirror").expect(1);
  expect(server.peers[0]?.id).toEqual(auth.id);
});

test("an auth for somebody else, or one that is cut off, is not answered", async () => {
  const server = await inMemory();
  const { packet } = new ScriptedAuth(server.id);
  const foreign = new ScriptedAuth(nodeIdOf(generateSecretKey())).packet;
  await using stranger = await scriptedPeer.wire(server);
  await stranger.write(foreign);
  expect(await stranger.read()).toBe("reset");
  await using half = await scriptedPeer.wire(server);
  await half.write(packet.subarray(0, 100));
  half.finish();
  // What is written behind the end leaves nowhere.
  await half.write(packet.subarray(100));
  expect(await half.read()).toBe("reset");
  expect(half.ending).toBe("reset");
});

test.each<[string, HandshakePacketOptions, (packet: Uint8Array) => Uint8Array, boolean]>([
  ["as usual", {}, (ack) => ack, true],
  ["of another version, with more elements", { version: 99, extra: ["later"] }, (ack) => ack, true],
  ["with a wrong MAC", {}, flipLast, false],
  ["off the curve", { fields: (fields) => fields.with(0, offCurve) }, (ack) => ack, false],
])("a node that dials is given an ack %s", async (_what, options, change, isTaken) => {
  const server = await inMemory();
  const { transport } = server.config;
  const key = generateSecretKey();
  await using listener = await scriptedPeer.listen({ key, transport });
  const dialing = server.dial(listener.enode).then(
    () => "in",
    () => "given up",
  );
  const wire = await listener.acceptWire();
  const ack = new ScriptedAck(key, await wire.readPacket("an auth"), options);
  expect(ack.remoteId).toEqual(server.id);
  expect(ack.auth).toHaveLength(4);
  await wire.write(change(ack.packet));
  if (isTaken) {
    await using peer = scriptedPeer.over(ack.open(wire), { protocols: [mirror] });
    await peer.greet();
    expect(await dialing).toBe("in");
  } else {
    expect(await dialing).toBe("given up");
    expect(await wire.read()).toMatch(/^(end|reset)$/);
  }
});

test("over TCP the other side can tell a reset from an end", async () => {
  await using listener = await scriptedPeer.listen();
  for (const how of ["reset", "end"] as const) {
    const near = await scriptedPeer.wire(listener.enode);
    const far = await listener.acceptWire();
    await near.write(Uint8Array.of(1));
    expect(await far.read()).toEqual(Uint8Array.of(1));
    if (how === "reset") near.reset();
    else near.finish();
    expect(await far.read()).toBe(how);
    expect(far.ending).toBe(how);
    far.close();
    near.close();
  }
});

test("a node is told from one that is not there", async () => {
  const server = await startServer();
  const { enode } = server;
  await server.stop();
  await expect(scriptedPeer.wire(enode)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("bytes come one at a time until the other side has had enough, in its own time", async () => {
  const clock = new VirtualClock();
  const transport = new MemoryNetwork().transport("127.0.0.1");
  const server = await startServer({ transport, clock });
  await using wire = await scriptedPeer.wire(server);
  const { packet } = new ScriptedAuth(server.id);
  const patience = { pauseMs: 500, limitMs: 30_000 };
  const endedMs = await clock.settle(wire.trickle(packet, patience));
  expect(endedMs).toBeGreaterThanOrEqual(server.config.limits.handshakeTimeoutMs);
  expect(endedMs).toBeLessThanOrEqual(server.config.limits.handshakeTimeoutMs + 500);
  await using impatient = await scriptedPeer.wire(server);
  const limits = { pauseMs: 10, limitMs: 100 };
  expect(await clock.settle(impatient.trickle(packet, limits))).toBeUndefined();
});

test("a wire that is read slowly keeps what came, in pieces as they came", async () => {
  const transport = new MemoryNetwork().transport("127.0.0.1");
  await using listener = await scriptedPeer.listen({ transport });
  const [far, near] = await Promise.all([
    listener.acceptWire(),
    scriptedPeer.wire(listener.enode, { transport }),
  ]);
  expect(near).toBeInstanceOf(ScriptedWire);
  await near.write(Uint8Array.of(0, 3, 1, 2, 3, 9));
  await near.write(Uint8Array.of(8));
  expect(await far.readPacket()).toEqual(Uint8Array.of(0, 3, 1, 2, 3));
  expect(await far.read()).toEqual(Uint8Array.of(9));
  expect(await far.read()).toEqual(Uint8Array.of(8));
  expect(await far.read(1)).toBeUndefined();
  far.pause();
  const flood = near.write(new Uint8Array(1 << 20));
  expect(near.isWritable).toBe(false);
  far.resume();
  await flood;
  expect(near.isWritable).toBe(true);
  near.close();
});

test("no packet in time is an error, and so is an end in the middle of one", async () => {
  const clock = new VirtualClock();
  const transport = new MemoryNetwork().transport("127.0.0.1");
  await using listener = await scriptedPeer.listen({ transport, clock, timeoutMs: 50 });
  const near = await scriptedPeer.wire(listener.enode, { transport, clock });
  const far = await listener.acceptWire();
  await near.write(Uint8Array.of(0, 3, 1));
  await expect(clock.settle(far.readPacket("an auth"))).rejects.toMatchObject({
    code: "ERR_TESTING_TIMEOUT",
    message: "expected an auth, got nothing within 50 ms",
  });
  await near.write(Uint8Array.of(0, 3, 1));
  near.finish();
  await expect(clock.settle(far.readPacket())).rejects.toMatchObject({
    code: "ERR_TESTING_ENDED",
    message: "expected a handshake packet, got the end of the stream",
  });
  expect(clock.pending).toBe(0);
  near.close();
});

test("a peer before Hello may send a message of any kind, and read the other's Hello as a message", async () => {
  await using peer = await scriptedPeer.handshake(await inMemory());
  peer.sendRaw(BaseMessage.pong, Uint8Array.of(0xc0));
  expect(await peer.next()).toMatchObject({ msgId: BaseMessage.hello });
  await peer.expectDisconnect(DisconnectReason.protocolError);
});

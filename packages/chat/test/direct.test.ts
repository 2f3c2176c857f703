import { createGossip } from "@heddle/gossip";
import { encodeRlp, Enr, nodeIdOf } from "@heddle/identity";
import { DialError } from "@heddle/p2p";
import type { Peer, Protocol, Server } from "@heddle/p2p";
import { implement } from "@heddle/protocol";
import { memoryNetwork } from "@heddle/testing";
import type { SimulatedNetwork } from "@heddle/testing";
import { afterEach, describe, expect, test } from "vitest";

import { Chat1, createChat } from "../src/index.ts";
import type { Chat, ChatOptions, DirectMessage, Receipt } from "../src/index.ts";
import { sayBody } from "../src/protocol.ts";
import { keyOf, record, recordingLogger } from "./harness.ts";

interface Node {
  readonly server: Server;
  readonly chat: Chat;
  readonly heard: string[];
}

const networks: SimulatedNetwork[] = [];

afterEach(async () => {
  for (const network of networks.splice(0)) await network[Symbol.asyncDispose]();
});

function start(): SimulatedNetwork {
  const network = memoryNetwork({ session: "null" });
  networks.push(network);
  return network;
}

/** The record of a node as an address book has it. */
function recordOf(server: Server, number: number): Enr {
  const [, host = ""] = /@([\d.]+):/.exec(server.enode) ?? [];
  return Enr.create(keyOf(number), { ip: host, tcp: 30_303 });
}

/** A node with gossip and chat, that may dial everybody whose record it is given. */
async function join(
  network: SimulatedNetwork,
  number: number,
  nick: string,
  options: Partial<ChatOptions> & { records?: Enr[] } = {},
): Promise<Node> {
  const { records = [], ...rest } = options;
  const { clock } = network;
  const key = keyOf(number);
  const gossip = createGossip({ key, clock, random: network.random.next });
  const chat = createChat({
    gossip,
    key,
    nick,
    clock,
    find: (id) => records.find((record) => String(record.id) === String(id)),
    dial: (node, { signal }) => server.dial(node, { signal }),
    ...rest,
  });
  const server: Server = network.server(`${nick}-${number}`, {
    key,
    protocols: [...gossip.protocols, ...chat.protocols],
    // A host that comes back at once is not kept out.
    limits: { inboundThrottleMs: 1 },
  });
  await network.clock.settle(server.start());
  return { server, chat, heard: record(chat) };
}

async function connect(network: SimulatedNetwork, a: Node, b: Node): Promise<Peer> {
  const peer = await network.clock.settle(a.server.dial(b.server.enode));
  await network.clock.settle(peer.protocol(Chat1));
  await network.clock.runUntil(
    () => b.server.peers.length > 0 && a.chat.nameOf(b.chat.id)[0] !== "#",
  );
  return peer;
}

/** What a promise rejects with, in virtual time. */
async function failure(network: SimulatedNetwork, promise: Promise<unknown>): Promise<Error> {
  const outcome = promise.then(
    () => new Error("it did not fail"),
    (error: Error) => error,
  );
  return network.clock.settle(outcome);
}

/** A peer that speaks gossip as far as it takes, and chat as the test says. */
function strangeProtocols(
  tell: (message: DirectMessage) => Promise<Receipt> | Receipt,
  nick = "eve",
): Protocol[] {
  const gossip = createGossip({ key: keyOf(66) });
  const handshake = { local: () => ({ nick }) };
  return [
    ...gossip.protocols,
    ...implement([Chat1], { handshake, on: { tell: (_c, message) => tell(message) } }),
  ];
}

describe("a direct message", () => {
  test("is shown at the other end, and the receipt says so", async () => {
    const network = start();
    const [ann, bob] = [await join(network, 1, "ann"), await join(network, 2, "bob")];
    await connect(network, ann, bob);
    const said = await network.clock.settle(ann.chat.tell("bob", "psst"));
    expect(said).toMatchObject({ text: "psst", isOwn: true, to: bob.chat.id, room: undefined });
    expect(bob.heard).toEqual(["<ann> psst"]);
    await network.clock.settle(bob.chat.tell(ann.chat.id, "what?"));
    expect(ann.heard).toEqual(["<bob> what?"]);
    const texts = ann.chat.history().map(({ isOwn, text }) => `${isOwn ? ">" : "<"} ${text}`);
    expect(texts).toEqual(["> psst", "< what?"]);
    expect(bob.chat.counters.direct).toBe(1);
  });

  test("to a node that is not connected goes over a connection made for it, by its record", async () => {
    const network = start();
    const bob = await join(network, 2, "bob");
    const ann = await join(network, 1, "ann", { records: [recordOf(bob.server, 2)] });
    await network.clock.settle(ann.chat.tell(bob.chat.id, "psst"));
    expect(bob.heard).toEqual(["<ann> psst"]);
    expect(ann.server.peers).toHaveLength(1);
  });

  test("finds a node that has moved, once news of that has come", async () => {
    const network = start();
    const bob = await join(network, 2, "bob");
    const stale = Enr.create(keyOf(2), { seq: 1, ip: "10.9.9.9", tcp: 30_303 });
    const records = [stale];
    const ann = await join(network, 1, "ann", { records });
    const telling = ann.chat.tell(bob.chat.id, "psst");
    await network.clock.advance(1_000);
    records[0] = Enr.create(keyOf(2), { seq: 2, ip: "10.0.0.1", tcp: 30_303 });
    await network.clock.settle(telling);
    expect(bob.heard).toEqual(["<ann> psst"]);
  });

  test("is sent again when the connection ends before the receipt, and shown once", async () => {
    const network = start();
    const bob = await join(network, 2, "bob");
    const ann = await join(network, 1, "ann", { records: [recordOf(bob.server, 2)] });
    await connect(network, ann, bob);
    let isFirst = true;
    bob.chat.handle("NOTE", () => {
      // It is taken, and the receipt is lost.
      if (isFirst) void bob.server.peer(ann.chat.id)?.disconnect();
      isFirst = false;
    });
    const receipt = await network.clock.settle(ann.chat.send("bob", "NOTE", new Uint8Array()));
    expect(receipt).toEqual({ status: "delivered" });
    expect(bob.chat.counters.direct).toBe(1);
  });

  test("of a type that nobody handles is ignored, as the receipt says, and logged at debug", async () => {
    const network = start();
    const logger = recordingLogger();
    const [ann, bob] = [await join(network, 1, "ann"), await join(network, 2, "bob", { logger })];
    await connect(network, ann, bob);
    const sent = ann.chat.send("bob", "PING", new Uint8Array());
    expect(await network.clock.settle(sent)).toEqual({ status: "ignored" });
    expect(bob.chat.counters.ignored).toBe(1);
    expect(logger.lines).toEqual([
      "debug: a chat message of a type that nobody handles was ignored",
    ]);
  });

  test("of a type of one's own is delivered when its handler is done", async () => {
    const network = start();
    const [ann, bob] = [await join(network, 1, "ann"), await join(network, 2, "bob")];
    await connect(network, ann, bob);
    const got: string[] = [];
    bob.chat.handle("PING", async ({ from, name, room }) => {
      got.push(`${name} ${String(room)}`);
      await bob.chat.send(from, "PONG", new Uint8Array());
    });
    ann.chat.handle("PONG", ({ name }) => got.push(`pong from ${name}`));
    const receipt = await network.clock.settle(ann.chat.send("bob", "PING", new Uint8Array()));
    expect(receipt).toEqual({ status: "delivered" });
    expect(got).toEqual(["ann undefined", "pong from bob"]);
  });
});

describe("a direct message that cannot be delivered says why", () => {
  test("nobody is called so, or several are", async () => {
    const network = start();
    const ann = await join(network, 1, "ann");
    for (const number of [2, 3]) await connect(network, ann, await join(network, number, "bob"));
    expect(await failure(network, ann.chat.tell("cal", "hi"))).toMatchObject({
      code: "ERR_CHAT_UNKNOWN_NICK",
      message: "nobody here is called cal",
    });
    expect(await failure(network, ann.chat.tell("bob", "hi"))).toMatchObject({
      code: "ERR_CHAT_AMBIGUOUS_NICK",
      message: expect.stringMatching(/^several are called bob: bob#[0-9a-f]{4}, bob#[0-9a-f]{4}$/),
    });
    expect((await failure(network, ann.chat.tell("ann", "hi"))).name).toBe("ChatError");
    expect((await failure(network, ann.chat.tell(ann.chat.id, "hi"))).name).toBe("RangeError");
  });

  test("its address is not known", async () => {
    const network = start();
    const ann = await join(network, 1, "ann");
    const error = await failure(network, ann.chat.tell(nodeIdOf(keyOf(2)), "hi"));
    expect(error).toMatchObject({ code: "ERR_CHAT_NO_RECORD" });
    expect(error.message).toMatch(/^#[0-9a-f]{8} is not connected, and its address is not known$/);
  });

  test("a record that is somebody else's is not used", async () => {
    const network = start();
    const cal = await join(network, 3, "cal");
    const find = () => recordOf(cal.server, 3);
    const ann = await join(network, 1, "ann", { find });
    const error = await failure(network, ann.chat.tell(nodeIdOf(keyOf(2)), "hi"));
    expect(error).toMatchObject({ code: "ERR_CHAT_NO_RECORD" });
    expect(ann.server.peers).toEqual([]);
  });

  test("connections are not made here", async () => {
    const network = start();
    const chat = createChat({
      gossip: createGossip({ key: keyOf(1) }),
      key: keyOf(1),
      nick: "ann",
    });
    const error = await failure(network, chat.tell(nodeIdOf(keyOf(2)), "hi"));
    expect(error).toMatchObject({ code: "ERR_CHAT_NO_RECORD" });
    expect(error.message).toContain("connections are not made here");
  });

  test.each([
    ["no address", {}],
    ["no port", { ip: "10.0.0.1" }],
  ])("its record names %s", async (_name, content) => {
    const network = start();
    const ann = await join(network, 1, "ann", { records: [Enr.create(keyOf(2), content)] });
    const error = await failure(network, ann.chat.tell(nodeIdOf(keyOf(2)), "hi"));
    expect(error).toMatchObject({ code: "ERR_CHAT_NO_ADDRESS" });
  });

  test("nobody answers at its address", async () => {
    const network = start();
    const records = [Enr.create(keyOf(2), { ip: "10.9.9.9", tcp: 30_303 })];
    const ann = await join(network, 1, "ann", { records });
    const error = await failure(network, ann.chat.tell(nodeIdOf(keyOf(2)), "hi"));
    expect(error).toMatchObject({ code: "ERR_CHAT_UNREACHABLE" });
    expect(error.cause).toBeInstanceOf(DialError);
    expect(error.message).toMatch(/^#[0-9a-f]{8} cannot be reached: /);
  });

  test("it does not speak chat", async () => {
    const network = start();
    const gossip = createGossip({ key: keyOf(2), clock: network.clock });
    const server = network.server("bob", { key: keyOf(2), protocols: gossip.protocols });
    await network.start();
    const ann = await join(network, 1, "ann", { records: [recordOf(server, 2)] });
    const error = await failure(network, ann.chat.tell(nodeIdOf(keyOf(2)), "hi"));
    expect(error).toMatchObject({ code: "ERR_CHAT_NOT_SPOKEN" });
  });

  test("no receipt came in time", async () => {
    const network = start();
    const protocols = strangeProtocols(() => new Promise<never>(() => undefined));
    network.server("eve", { key: keyOf(66), protocols });
    await network.start();
    const ann = await join(network, 1, "ann");
    const [eve] = network.servers;
    await connect(network, ann, { server: eve!, chat: { id: eve!.id } as Chat, heard: [] });
    const error = await failure(network, ann.chat.tell("eve", "hi"));
    expect(error).toMatchObject({
      code: "ERR_CHAT_NO_RECEIPT",
      message: "no receipt from eve within 10000 ms: the message may have arrived",
    });
  });

  test("the connection ended, and no other could be made", async () => {
    const network = start();
    const [ann, bob] = [await join(network, 1, "ann"), await join(network, 2, "bob")];
    await connect(network, ann, bob);
    bob.chat.handle("NOTE", () => void bob.server.peer(ann.chat.id)?.disconnect());
    const error = await failure(network, ann.chat.send("bob", "NOTE", new Uint8Array()));
    expect(error).toMatchObject({
      code: "ERR_CHAT_NO_RECEIPT",
      message: "no receipt from bob before the connection ended: the message may have arrived",
    });
  });

  test("it is refused, because the handler failed or its body is not what the type has", async () => {
    const network = start();
    const [ann, bob] = [await join(network, 1, "ann"), await join(network, 2, "bob")];
    await connect(network, ann, bob);
    bob.chat.handle("BAD", ({ body }) => sayBody.decode(body));
    const error = await failure(network, ann.chat.send("bob", "BAD", encodeRlp([])));
    expect(error).toMatchObject({ code: "ERR_CHAT_REFUSED", message: "bob refuses the message" });
  });

  test("it is ignored, though it is plain text", async () => {
    const network = start();
    network.server("eve", {
      key: keyOf(66),
      protocols: strangeProtocols(() => ({ status: "ignored" })),
    });
    await network.start();
    const ann = await join(network, 1, "ann");
    const [eve] = network.servers;
    await connect(network, ann, { server: eve!, chat: { id: eve!.id } as Chat, heard: [] });
    const error = await failure(network, ann.chat.tell("eve", "hi"));
    expect(error).toMatchObject({ code: "ERR_CHAT_REFUSED" });
  });

  test("too many wait already", async () => {
    const network = start();
    const never = () => new Promise<never>(() => undefined);
    network.server("eve", { key: keyOf(66), protocols: strangeProtocols(never) });
    await network.start();
    const ann = await join(network, 1, "ann", { limits: { maxPending: 2 } });
    const [eve] = network.servers;
    await connect(network, ann, { server: eve!, chat: { id: eve!.id } as Chat, heard: [] });
    const waiting = Promise.allSettled([ann.chat.tell("eve", "1"), ann.chat.tell("eve", "2")]);
    expect(await failure(network, ann.chat.tell("eve", "3"))).toMatchObject({
      code: "ERR_CHAT_BUSY",
    });
    const late = {
      status: "rejected",
      reason: expect.objectContaining({ code: "ERR_CHAT_NO_RECEIPT" }),
    };
    expect(await network.clock.settle(waiting)).toEqual([late, late]);
    expect(await failure(network, ann.chat.tell("eve", "4"))).toMatchObject({
      code: "ERR_CHAT_NO_RECEIPT",
    });
  });

  test("it was given up, or the chat was closed", async () => {
    const network = start();
    const never = () => new Promise<never>(() => undefined);
    network.server("eve", { key: keyOf(66), protocols: strangeProtocols(never) });
    await network.start();
    const ann = await join(network, 1, "ann");
    const [eve] = network.servers;
    await connect(network, ann, { server: eve!, chat: { id: eve!.id } as Chat, heard: [] });
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const given = failure(network, ann.chat.tell("eve", "1", { signal: controller.signal }));
    controller.abort(reason);
    expect(await given).toBe(reason);
    const closed = failure(network, ann.chat.tell("eve", "2"));
    ann.chat.close();
    expect(await closed).toMatchObject({ code: "ERR_CHAT_CLOSED" });
  });
});

describe("a peer that tells too much", () => {
  test("is refused, and after that disconnected", async () => {
    const network = start();
    const limits = { direct: { perSecond: 1, burst: 3 }, refusals: { perSecond: 1, burst: 2 } };
    const bob = await join(network, 2, "bob", { limits });
    const ann = await join(network, 1, "ann");
    const peer = await connect(network, ann, bob);
    const { call } = await peer.protocol(Chat1);
    const statuses: string[] = [];
    for (let i = 1; i <= 6; i++) {
      const message = {
        id: new Uint8Array(16).fill(i),
        type: "SAY",
        nick: "ann",
        body: sayBody.encode("x"),
      };
      const outcome = call.tell(message).then(
        ({ status }) => status,
        (error: Error) => error.name,
      );
      statuses.push(await network.clock.settle(outcome));
    }
    expect(statuses).toEqual([...Array(3).fill("delivered"), "refused", "refused", "PeerGone"]);
    expect(bob.heard).toEqual(Array(3).fill("<ann> x"));
    expect(bob.server.peers).toEqual([]);
  });

  test("says one thing twice, and it is shown once, with the same receipt", async () => {
    const network = start();
    const [ann, bob] = [await join(network, 1, "ann"), await join(network, 2, "bob")];
    const { call } = await (await connect(network, ann, bob)).protocol(Chat1);
    const message = { id: new Uint8Array(16), type: "SAY", nick: "ann", body: sayBody.encode("x") };
    for (let i = 0; i < 2; i++) {
      expect(await network.clock.settle(call.tell(message))).toEqual({ status: "delivered" });
    }
    expect(bob.heard).toEqual(["<ann> x"]);
  });

  test("says something malformed, and learns that it is refused", async () => {
    const network = start();
    const [ann, bob] = [await join(network, 1, "ann"), await join(network, 2, "bob")];
    const { call } = await (await connect(network, ann, bob)).protocol(Chat1);
    const message = { id: new Uint8Array(16), type: "SAY", nick: "ann", body: encodeRlp([]) };
    expect(await network.clock.settle(call.tell(message))).toEqual({ status: "refused" });
    expect(bob.chat.counters.malformed).toBe(1);
    expect(bob.heard).toEqual([]);
  });
});

test("chat does not run with a peer that does not speak gossip", async () => {
  const network = start();
  const other: Protocol = {
    name: "other",
    version: 1,
    length: 1,
    run: ({ signal }) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve())),
  };
  const chatOnly = implement([Chat1], {
    handshake: { local: () => ({ nick: "eve" }) },
    on: { tell: () => ({ status: "delivered" as const }) },
  });
  network.server("eve", { key: keyOf(66), protocols: [other, ...chatOnly] });
  await network.start();
  const gossip = createGossip({ key: keyOf(1), clock: network.clock });
  const chat = createChat({ gossip, key: keyOf(1), nick: "ann", clock: network.clock });
  const protocols = [...gossip.protocols, ...chat.protocols, other];
  const ann = network.server("ann", { key: keyOf(1), protocols });
  await network.clock.settle(ann.start());
  const peer = await network.clock.settle(ann.dial(network.servers[0]!.enode));
  const error = await failure(network, peer.protocol(Chat1));
  expect(error).toMatchObject({ code: "ERR_P2P_NOT_SHARED" });
});

test("rooms, presence and direct messages work together over the real gossip", async () => {
  const network = start();
  const ann = await join(network, 1, "ann");
  const bob = await join(network, 2, "bob");
  const cal = await join(network, 3, "cal", { records: [recordOf(ann.server, 1)] });
  // A chain: ann and cal hear each other through bob.
  await connect(network, ann, bob);
  await connect(network, bob, cal);
  for (const { chat } of [ann, bob, cal]) chat.join("lobby");
  ann.chat.say("lobby", "hello all");
  await network.clock.advance(5_000);
  expect(cal.heard).toEqual(
    expect.arrayContaining(["#lobby ann joined", "#lobby bob joined", "#lobby <ann> hello all"]),
  );
  const members = cal.chat
    .members("lobby")
    .map(({ isConnected, name }) => `${name} ${isConnected}`);
  expect(members.sort()).toEqual(["ann false", "bob true", "cal false"]);
  await network.clock.settle(cal.chat.tell("ann", "directly"));
  expect(ann.heard.at(-1)).toBe("<cal> directly");
  await network.clock.settle(ann.server.stop());
  await network.clock.advance(90_000);
  expect(cal.heard.at(-1)).toBe("#lobby ann lost");
  expect(cal.heard.filter((line) => line.includes("hello all"))).toHaveLength(1);
});

test("a chat's own timers and connections end with it", async () => {
  const network = start();
  const [ann, bob] = [await join(network, 1, "ann"), await join(network, 2, "bob")];
  await connect(network, ann, bob);
  ann.chat.join("lobby");
  await network.clock.advance(100_000);
  expect(bob.server.peers).toHaveLength(1);
  for (const { chat } of [ann, bob]) chat.close();
  await network.stop();
  expect(ann.server.peers).toEqual([]);
});

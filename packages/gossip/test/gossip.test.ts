import { nodeIdOf } from "@heddle/identity";
import { VirtualClock } from "@heddle/testing";
import { expect, test, vi } from "vitest";

import { createGossip, GossipError } from "../src/index.ts";
import type { Gossip, GossipMessage, GossipOptions } from "../src/index.ts";
import { connect, connectRandomly, gossipNetwork, say, words } from "./network.ts";
import type { SimulatedNode } from "./network.ts";
import { KEYS, START } from "./samples.ts";

function alone(options: Partial<GossipOptions> = {}): { gossip: Gossip; clock: VirtualClock } {
  const clock = new VirtualClock();
  return { gossip: createGossip({ key: KEYS[0]!, clock, ...options }), clock };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof GossipError) return error.code;
    throw error;
  }
  return "nothing was thrown";
}

test("what one node publishes reaches another, once", async () => {
  await using net = await gossipNetwork(2);
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  await connect(net, ann, bob);
  const sent = ann.gossip.publish("t", say("hello"));
  await net.network.clock.advance(60_000);
  expect(bob.received).toEqual([sent]);
  expect(ann.received).toEqual([]);
});

test("about √n of n neighbours get a message at once, the others its id", async () => {
  await using net = await gossipNetwork(17);
  const [hub, ...others] = net.nodes as [SimulatedNode, ...SimulatedNode[]];
  for (const other of others) await connect(net, other, hub);
  hub.gossip.publish("t", say("hello"));
  await net.network.clock.advance(5_000);
  expect(hub.gossip.counters).toMatchObject({ pushed: 4, announced: 12 });
  expect(others.map(words)).toEqual(others.map(() => ["hello"]));
});

test("a message says who published it, where, when and as which one", () => {
  const { clock, gossip } = alone();
  const first = gossip.publish("news", say("one"));
  expect(first).toMatchObject({
    origin: nodeIdOf(KEYS[0]!),
    topic: "news",
    epoch: START,
    sequence: 1,
    time: clock.wallNow(),
    payload: say("one"),
  });
  expect(gossip.id).toEqual(nodeIdOf(KEYS[0]!));
  expect(gossip.publish("news", say("two")).sequence).toBe(2);
  expect(gossip.publish("other", say("three")).sequence).toBe(1);
  expect(Object.isFrozen(first)).toBe(true);
});

test.each([
  ["bytes", say("one")],
  ["a Buffer", Buffer.from("one")],
])("%s are copied: what the caller does with them later changes nothing", (_name, payload) => {
  const { gossip } = alone();
  const message = gossip.publish("news", payload);
  payload.fill(0);
  expect(message.payload).toEqual(say("one"));
});

test.each<[string, unknown, unknown]>([
  ["an empty topic", "", say("x")],
  ["a topic over 64 bytes", "é".repeat(33), say("x")],
  ["a topic that is not well-formed", "\ud800", say("x")],
  ["a topic that is no string", 5, say("x")],
  ["a payload over 64 KiB", "t", new Uint8Array(65_537)],
  ["a payload that is no bytes", "t", "x"],
])("%s is the caller's fault, and counts for nothing", (_name, topic, payload) => {
  const { gossip } = alone();
  expect(() => gossip.publish(topic as string, payload as Uint8Array)).toThrow(/topic|payload/);
  expect(gossip.counters.published).toBe(0);
  expect(gossip.publish("t", say("good")).sequence).toBe(1);
});

test("the greatest topic and payload are taken", () => {
  const { gossip } = alone();
  const message = gossip.publish("é".repeat(32), new Uint8Array(65_536));
  expect(message.payload).toHaveLength(65_536);
});

test("a node does not publish more than others would take", async () => {
  const { clock, gossip } = alone({ limits: { origin: { messages: 3, windowMs: 10_000 } } });
  for (let i = 0; i < 3; i++) gossip.publish("t", say(`${i}`));
  expect(codeOf(() => gossip.publish("t", say("more")))).toBe("ERR_GOSSIP_RATE");
  await clock.advance(10_000);
  expect(gossip.publish("t", say("more")).sequence).toBe(4);
});

test("what is published without peers reaches those who come", async () => {
  await using net = await gossipNetwork(2);
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  ann.gossip.publish("t", say("early"));
  await connect(net, bob, ann);
  await net.network.clock.advance(1_000);
  expect(words(bob)).toEqual(["early"]);
});

test("a subscription gets its topic alone, and what is held comes first if it is asked for", async () => {
  await using net = await gossipNetwork(2);
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  await connect(net, ann, bob);
  ann.gossip.publish("u", say("other"));
  ann.gossip.publish("t", say("one"));
  await net.network.clock.advance(1_000);
  const heard: string[] = [];
  const note = ({ payload }: GossipMessage): void =>
    void heard.push(new TextDecoder().decode(payload));
  bob.gossip.subscribe("t", { replay: true }, note);
  bob.gossip.subscribe("t", {}, note);
  expect(heard).toEqual(["one"]);
  ann.gossip.publish("t", say("two"));
  await net.network.clock.advance(1_000);
  expect(heard).toEqual(["one", "two", "two"]);
});

test("messages can be iterated as they come", async () => {
  await using net = await gossipNetwork(2);
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  await connect(net, ann, bob);
  const taken: number[] = [];
  const loop = (async () => {
    for await (const { sequence } of bob.gossip.subscribe("t"))
      if (taken.push(sequence) === 2) break;
  })();
  ann.gossip.publish("t", say("one"));
  await net.network.clock.advance(1_000);
  ann.gossip.publish("t", say("two"));
  await net.network.clock.settle(loop);
  expect(taken).toEqual([1, 2]);
});

test("our own messages come only if they are asked for", () => {
  const { gossip } = alone();
  const [others, all] = [vi.fn(), vi.fn()];
  gossip.subscribe("t", {}, others);
  gossip.subscribe("t", { own: true }, all);
  const message = gossip.publish("t", say("mine"));
  expect(others).not.toHaveBeenCalled();
  expect(all).toHaveBeenCalledExactlyOnceWith(message);
});

test("what a node said before it was restarted comes back to it, and is its own none the less", async () => {
  await using net = await gossipNetwork(2);
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  await connect(net, ann, bob);
  ann.gossip.publish("t", say("before"));
  await net.network.clock.advance(1_000);
  await net.network.clock.settle(ann.server.stop());
  const { clock } = net.network;
  const gossip = createGossip({ key: ann.server.config.key, clock });
  const [others, all] = [vi.fn(), vi.fn()];
  gossip.subscribe("t", { ordered: true }, others);
  gossip.subscribe("t", { own: true }, all);
  const { key } = ann.server.config;
  const again = net.network.server("again", { key, protocols: gossip.protocols });
  await again.start();
  await clock.settle(again.dial(bob.server.enode));
  await clock.advance(1_000);
  expect(others).not.toHaveBeenCalled();
  expect(all).toHaveBeenCalledOnce();
  // A new start is a new epoch, so its first message is not taken for the one before.
  gossip.publish("t", say("after"));
  await clock.advance(1_000);
  expect(words(bob)).toEqual(["before", "after"]);
  gossip.close();
});

test("an ordered subscription gets each origin's messages in the order they were published", async () => {
  await using net = await gossipNetwork(30, { network: { latencyMs: { min: 1, max: 400 } } });
  await connectRandomly(net, { degree: 4 });
  const heard = net.nodes.map(({ gossip }) => {
    const sequences: number[] = [];
    gossip.subscribe("t", { ordered: true }, ({ sequence }) => sequences.push(sequence));
    return sequences;
  });
  const [ann] = net.nodes as [SimulatedNode];
  for (let i = 0; i < 30; i++) {
    ann.gossip.publish("t", say(`${i}`));
    await net.network.clock.advance(20);
  }
  await net.network.clock.advance(5_000);
  const inOrder = Array.from({ length: 30 }, (_, i) => i + 1);
  expect(heard.slice(1)).toEqual(heard.slice(1).map(() => inOrder));
  // That they came in another order is what makes it worth something.
  const asTheyCame = net.nodes
    .slice(1)
    .map(({ received }) => received.map(({ sequence }) => sequence));
  expect(asTheyCame).not.toEqual(heard.slice(1));
});

test("a message that the validator ignores or rejects is not delivered nor forwarded", async () => {
  const validate = vi.fn(({ payload }: GossipMessage) =>
    payload[0] === 1
      ? ("accept" as const)
      : payload[0] === 2
        ? ("ignore" as const)
        : ("reject" as const),
  );
  await using net = await gossipNetwork(3, { gossip: { validate } });
  const [ann, bob, cid] = net.nodes as [SimulatedNode, SimulatedNode, SimulatedNode];
  await connect(net, ann, bob);
  await connect(net, bob, cid);
  for (const kind of [1, 2, 3]) ann.gossip.publish("t", Uint8Array.of(kind));
  await net.network.clock.advance(30_000);
  expect(bob.received.map(({ payload }) => payload[0])).toEqual([1]);
  expect(cid.received.map(({ payload }) => payload[0])).toEqual([1]);
  expect(bob.gossip.counters).toMatchObject({ accepted: 1, ignored: 1, rejected: 1, dropped: 0 });
  expect(cid.gossip.counters).toMatchObject({ accepted: 1, ignored: 0, rejected: 0 });
  // Bob was asked once for each, though Ann still holds all three and compares.
  expect(validate).toHaveBeenCalledTimes(4);
  expect(validate.mock.calls[0]).toHaveLength(2);
});

test("who sends what the validator rejects four times is dropped", async () => {
  await using net = await gossipNetwork(2, { gossip: { validate: () => "reject" } });
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  await connect(net, ann, bob);
  for (let i = 0; i < 4; i++) ann.gossip.publish("t", say(`${i}`));
  await net.network.clock.advance(1_000);
  expect(bob.gossip.counters).toMatchObject({ rejected: 4, dropped: 1 });
  expect(bob.server.peers).toEqual([]);
});

test("a validator that fails costs the message, not the peer", async () => {
  const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
  const validate = async (): Promise<never> => Promise.reject(new Error("oops"));
  await using net = await gossipNetwork(2, { gossip: { validate, logger } });
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  await connect(net, ann, bob);
  ann.gossip.publish("t", say("one"));
  await net.network.clock.advance(1_000);
  expect(bob.received).toEqual([]);
  expect(bob.gossip.counters).toMatchObject({ ignored: 1, dropped: 0 });
  expect(logger.error).toHaveBeenCalledOnce();
  expect(bob.server.peers).toHaveLength(1);
});

test("a validator may take its time, and the message comes once", async () => {
  let decide: (verdict: "accept") => void = () => undefined;
  const validate = (): Promise<"accept"> => new Promise((resolve) => (decide = resolve));
  await using net = await gossipNetwork(2, { gossip: { validate } });
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  await connect(net, ann, bob);
  ann.gossip.publish("t", say("one"));
  await net.network.clock.advance(25_000);
  expect(bob.received).toEqual([]);
  decide("accept");
  await net.network.clock.advance(1_000);
  expect(words(bob)).toEqual(["one"]);
});

test("what is held can be read at any time", async () => {
  await using net = await gossipNetwork(2);
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  await connect(net, ann, bob);
  ann.gossip.publish("t", new Uint8Array(100));
  await net.network.clock.advance(1_000);
  expect(bob.gossip.info()).toEqual({
    peers: 1,
    messages: 1,
    bytes: 2_100,
    floor: expect.any(Number),
    wanted: 0,
  });
  expect(ann.gossip.counters).toMatchObject({ published: 1, pushed: 1 });
});

test("a node's clock at the floor does not keep it from publishing", async () => {
  const { gossip } = alone({ limits: { maxMessages: 1 } });
  // The second of one millisecond finds no room, and takes the first along.
  const times = ["one", "two", "three"].map((word) => gossip.publish("t", say(word)).time);
  expect(times).toEqual([START, START, START + 1]);
  expect(gossip.info()).toMatchObject({ messages: 1, floor: START });
});

test("after closing nothing is published, subscribed to, taken or sent, and the connection lives on", async () => {
  await using net = await gossipNetwork(2);
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  await connect(net, ann, bob);
  const subscription = bob.gossip.subscribe("t");
  bob.gossip.close();
  bob.gossip[Symbol.dispose]();
  expect(await subscription[Symbol.asyncIterator]().next()).toMatchObject({ done: true });
  expect(codeOf(() => bob.gossip.publish("t", say("x")))).toBe("ERR_GOSSIP_CLOSED");
  expect(codeOf(() => bob.gossip.subscribe("t"))).toBe("ERR_GOSSIP_CLOSED");
  ann.gossip.publish("t", say("one"));
  await net.network.clock.advance(60_000);
  expect(bob.received).toEqual([]);
  expect(bob.gossip.counters.accepted).toBe(0);
  expect(bob.server.peers).toHaveLength(1);
});

test("a node that is stopped leaves no timer behind", async () => {
  const net = await gossipNetwork(10);
  await connectRandomly(net, { degree: 4 });
  for (const { gossip } of net.nodes) gossip.publish("t", say("x"));
  await net.network.clock.advance(120);
  await net[Symbol.asyncDispose]();
  await net.network.clock.advance(60_000);
  expect(net.network.clock.pending).toBe(0);
});

import { expect, test } from "vitest";

import type { GossipMessage } from "../src/index.ts";
import { Gossip1, MAX_IDS, MAX_RANGES, SPLIT } from "../src/protocol.ts";
import type { RangeSummary } from "../src/protocol.ts";
import { findDifferences } from "../src/reconcile.ts";
import { MessageStore } from "../src/store.ts";
import { connect, gossipNetwork, say, words } from "./network.ts";
import type { GossipNetwork, SimulatedNode } from "./network.ts";
import { START, unsigned } from "./samples.ts";

const LIMITS = { maxMessages: 100_000, maxBytes: 1e9, retentionMs: 600_000 };
const EMPTY = new Uint8Array(0);

function storeOf(messages: Iterable<GossipMessage>): MessageStore {
  const store = new MessageStore(LIMITS, () => undefined);
  for (const message of messages) store.add(message);
  return store;
}

function everything(store: MessageStore): RangeSummary {
  const range = { from: { time: 0, id: EMPTY }, to: { time: 1_000_000, id: EMPTY } };
  return { ...range, ...store.summarize(range) };
}

test("a range on which both agree takes no further word", () => {
  const messages = Array.from({ length: 500 }, (_, i) => unsigned({ time: i + 1 }));
  const store = storeOf(messages);
  const { differences } = findDifferences(store, [everything(storeOf(messages))]);
  expect(differences).toEqual({ floor: 0, parts: [], sets: [] });
});

test("a range that differs is listed up to 64 messages, and split into 16 beyond", () => {
  const messages = Array.from({ length: MAX_IDS + 1 }, (_, i) => unsigned({ time: i + 1 }));
  const nothing = everything(storeOf([]));
  const small = findDifferences(storeOf(messages.slice(1)), [nothing]).differences;
  expect([small.parts.length, small.sets.map(({ ids }) => ids.length)]).toEqual([0, [MAX_IDS]]);
  const large = findDifferences(storeOf(messages), [nothing]).differences;
  expect([large.parts.length, large.sets.length]).toEqual([13, 0]);
  expect(large.parts.length).toBeLessThanOrEqual(SPLIT);
  expect(large.parts.reduce((sum, { count }) => sum + count, 0)).toBe(MAX_IDS + 1);
});

test("what an answer costs is counted by the messages looked at", () => {
  const store = storeOf(Array.from({ length: 200 }, (_, i) => unsigned({ time: i + 1 })));
  expect(findDifferences(store, [everything(store)]).cost).toBe(201);
  expect(findDifferences(store, [everything(storeOf([]))]).cost).toBe(401);
});

test("the largest answer fits into its message", () => {
  const store = storeOf(Array.from({ length: 64 * 65 }, (_, i) => unsigned({ time: START + i })));
  const whole = { from: { time: 0, id: EMPTY }, to: { time: 2 * START, id: EMPTY } };
  const asked = store.split(whole, MAX_RANGES).map((range) => ({
    ...range,
    count: 0,
    fingerprint: new Uint8Array(16),
  }));
  expect(asked).toHaveLength(MAX_RANGES);
  const { differences } = findDifferences(store, asked);
  expect(differences.parts.length).toBeGreaterThan(800);
  const { replySchema, maxReplyBytes } = compareMessage();
  expect(replySchema.encode(differences).length).toBeLessThan(maxReplyBytes / 2);
  const listed = findDifferences(
    storeOf([...store.values()].slice(0, 64 * 64)),
    asked.slice(0, 63),
  );
  expect(replySchema.encode(listed.differences).length).toBeLessThan(maxReplyBytes / 2);
});

function compareMessage(): {
  replySchema: typeof Gossip1.messages.compare.reply;
  maxReplyBytes: number;
} {
  const { compare } = Gossip1.messages;
  return { replySchema: compare.reply, maxReplyBytes: compare.maxReplyBytes };
}

/** Two nodes that hold different messages and then meet. */
async function meet(
  mine: number,
  theirs: number,
): Promise<{ net: GossipNetwork; ann: SimulatedNode; bob: SimulatedNode }> {
  const net = await gossipNetwork(2, {
    gossip: { limits: { origin: { messages: 10_000, windowMs: 10_000 } } },
  });
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  for (let i = 0; i < mine; i++) ann.gossip.publish("t", say(`a${i}`));
  for (let i = 0; i < theirs; i++) bob.gossip.publish("t", say(`b${i}`));
  await connect(net, ann, bob);
  await net.network.clock.advance(30_000);
  return { net, ann, bob };
}

test.each([
  [0, 1],
  [1, 0],
  [3, 3],
  [0, 300],
  [300, 0],
  [200, 500],
])(
  "two nodes with %i and %i messages have all of them soon after they meet",
  async (mine, theirs) => {
    const { net, ann, bob } = await meet(mine, theirs);
    await using _ = net;
    expect(words(ann).toSorted()).toEqual(
      Array.from({ length: theirs }, (_, i) => `b${i}`).toSorted(),
    );
    expect(words(bob).toSorted()).toEqual(
      Array.from({ length: mine }, (_, i) => `a${i}`).toSorted(),
    );
    expect([ann, bob].map(({ gossip }) => gossip.info().wanted)).toEqual([0, 0]);
  },
);

test("one message among thousands is found in three questions", async () => {
  const { net, ann, bob } = await meet(0, 2_000);
  await using _ = net;
  // One that comes late, and which nobody announces any more.
  const before = ann.gossip.counters.fetched;
  expect(before).toBe(2_000);
  const counters = net.network.servers[0]?.counters.protocols["gossip/1"];
  const asked = counters?.out[4]?.messages ?? 0;
  net.network.breakConnections(1);
  await net.network.clock.advance(1_000);
  bob.gossip.publish("t", say("new"));
  await connect(net, ann, bob);
  await net.network.clock.advance(1_000);
  expect(words(ann).at(-1)).toBe("new");
  expect(ann.gossip.counters.fetched).toBe(before + 1);
  expect((counters?.out[4]?.messages ?? 0) - asked).toBeLessThanOrEqual(3);
});

test("nodes that hold different spans of time do not trade what only one of them keeps", async () => {
  const net = await gossipNetwork(2);
  await using _ = net;
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  ann.gossip.publish("t", say("old"));
  await net.network.clock.advance(599_000);
  ann.gossip.publish("t", say("new"));
  await connect(net, ann, bob);
  await net.network.clock.advance(60_000);
  expect(words(bob)).toContain("new");
  expect(ann.gossip.info().messages).toBe(1);
  expect(bob.gossip.info().messages).toBe(1);
});

test("nodes that keep different numbers of messages agree on what both keep, and then are quiet", async () => {
  const net = await gossipNetwork(2, { limits: [{ maxMessages: 20 }] });
  await using _ = net;
  const [ann, bob] = net.nodes as [SimulatedNode, SimulatedNode];
  for (let i = 0; i < 100; i++) {
    bob.gossip.publish("t", say(`b${i}`));
    await net.network.clock.advance(100);
  }
  await connect(net, ann, bob);
  await net.network.clock.advance(60_000);
  expect([ann, bob].map(({ gossip }) => gossip.info().messages)).toEqual([20, 100]);
  expect(words(ann)).toContain("b99");
  const { fetched, stale } = ann.gossip.counters;
  const compared = ann.gossip.counters.reconciled + bob.gossip.counters.reconciled;
  await net.network.clock.advance(120_000);
  expect(ann.gossip.counters).toMatchObject({ fetched, stale });
  expect(ann.gossip.counters.reconciled + bob.gossip.counters.reconciled).toBeGreaterThan(compared);
  expect(new Set(words(ann)).size).toBe(ann.received.length);
});

import { DisconnectReason, MemoryNetwork, Server } from "@heddle/p2p";
import type { Message } from "@heddle/p2p";
import { encodeRlp, generateSecretKey } from "@heddle/identity";
import { bytes32, list, tuple, uint } from "@heddle/protocol";
import { scriptedPeer, VirtualClock } from "@heddle/testing";
import type { ScriptedCapability, ScriptedPeer } from "@heddle/testing";
import { expect, onTestFinished, test } from "vitest";

import { createGossip, messageId } from "../src/index.ts";
import type {
  Bound,
  Gossip,
  GossipLimits,
  GossipMessage,
  GossipOptions,
  RangeSummary,
} from "../src/index.ts";
import { signedContent } from "../src/message.ts";
import type { SignedContent } from "../src/message.ts";
import { sample, START } from "./samples.ts";

const [PUSH, ANNOUNCE, FETCH, FETCHED, COMPARE, COMPARED] = [0, 1, 2, 3, 4, 5] as const;

/** A range of all times, and 16 bytes that stand for nothing that is held. */
const EVERYTHING = [[0, ""], [Number.MAX_SAFE_INTEGER, ""], 7, new Uint8Array(16)] as const;

interface Stage {
  readonly clock: VirtualClock;
  readonly gossip: Gossip;
  readonly server: Server;
  /** What was delivered. */
  readonly received: GossipMessage[];
  /** Lets a step of the script happen, in virtual time. */
  play<T>(step: Promise<T>): Promise<T>;
  /** Another peer, real framing and all. */
  join(key?: Uint8Array): Promise<Actor>;
}

interface Actor {
  readonly peer: ScriptedPeer;
  readonly gossip: ScriptedCapability;
  push(...messages: readonly SignedContent[]): void;
}

/** A node that gossips in memory, over RLPx, in virtual time. */
async function setStage(
  limits: Partial<GossipLimits> = {},
  options: Partial<GossipOptions> = {},
): Promise<Stage> {
  const clock = new VirtualClock();
  const network = new MemoryNetwork();
  const key = generateSecretKey();
  // Comparisons come at random times, so only where a test asks for them.
  const quiet = { reconcileIntervalMs: 1e9, ...limits };
  const gossip = createGossip({ key, clock, limits: quiet, ...options });
  const received: GossipMessage[] = [];
  gossip.subscribe("t", {}, (message) => received.push(message));
  const server = new Server({
    key,
    clientId: "victim/1",
    listen: "10.0.0.1:30303",
    protocols: gossip.protocols,
    transport: network.transport("10.0.0.1"),
    clock,
  });
  onTestFinished(async () => {
    gossip.close();
    await clock.settle(server.stop());
  });
  await server.start();
  const play = <T>(step: Promise<T>): Promise<T> => clock.settle(step);
  const join = async (actorKey = generateSecretKey()): Promise<Actor> => {
    const transport = network.transport("127.0.0.1");
    const peer = await play(scriptedPeer(server, { key: actorKey, transport }));
    const capability = peer.capability("gossip");
    const push = (...messages: readonly SignedContent[]): void => {
      for (const message of messages) capability.sendRaw(PUSH, signedContent.encode(message));
    };
    return { peer, gossip: capability, push };
  };
  return { clock, gossip, server, received, play, join };
}

/** Takes an actor's messages up to the first with this code; those before it must have one of the others. */
async function takeUntil(
  stage: Stage,
  { gossip }: Actor,
  code: number,
  others: readonly number[],
): Promise<Message> {
  for (;;) {
    const message = await stage.play(gossip.expect(() => true, { timeoutMs: 60_000 }));
    if (message.code === code) return message;
    expect(others).toContain(message.code);
  }
}

/** The id of the next push to an actor; nothing but comparisons may come before it. */
async function expectPush(stage: Stage, actor: Actor): Promise<Uint8Array> {
  const { payload } = await takeUntil(stage, actor, PUSH, [COMPARE]);
  return messageId(signedContent.decode(payload));
}

/** The node publishes, and its message is the first to reach the watcher: nothing came before it. */
async function expectNothingForwarded(stage: Stage, watcher: Actor): Promise<void> {
  await stage.clock.advance(5_000);
  const { id } = stage.gossip.publish("t", Uint8Array.of(1));
  expect(await expectPush(stage, watcher)).toEqual(id);
}

/** An answer to a fetch. */
function reply(requestId: number, messages: readonly SignedContent[]): Uint8Array {
  return tuple(uint, list(signedContent)).encode([requestId, messages]);
}

const good = sample();
const other = sample({ author: 1 });

test("a good message is delivered once, and forwarded to others only", async () => {
  const stage = await setStage();
  const [liar, watcher] = [await stage.join(), await stage.join()];
  liar.push(good, good);
  expect(await expectPush(stage, watcher)).toEqual(good.id);
  expect(stage.received).toEqual([good]);
  const mine = stage.gossip.publish("t", Uint8Array.of(1));
  expect(await expectPush(stage, liar)).toEqual(mine.id);
  expect(stage.gossip.counters).toMatchObject({ accepted: 1, duplicate: 1, pushed: 3 });
});

test.each<[string, SignedContent]>([
  ["signed by another than its origin", { ...good, signature: other.signature }],
  ["that names another origin", { ...good, origin: other.origin }],
  ["with another payload", { ...good, payload: Uint8Array.of(6, 6, 6) }],
  ["with another topic", { ...good, topic: "u" }],
  ["with another sequence number", { ...good, sequence: good.sequence + 1_000 }],
  ["with another time", { ...good, time: good.time + 1 }],
  ["with another epoch", { ...good, epoch: good.epoch - 1 }],
  ["with a signature of zeros", { ...good, signature: new Uint8Array(65) }],
  ["with recovery id 255", { ...good, signature: good.signature.with(64, 255) }],
])(
  "a message %s is not delivered nor forwarded, and who sent it is dropped",
  async (_name, bad) => {
    const stage = await setStage();
    const [liar, watcher] = [await stage.join(), await stage.join()];
    liar.push(bad, sample());
    await stage.play(liar.peer.expectDisconnect(DisconnectReason.subprotocolError));
    await expectNothingForwarded(stage, watcher);
    expect(stage.received).toEqual([]);
    expect(stage.gossip.counters).toMatchObject({ forged: 1, accepted: 0, dropped: 1 });
  },
);

test("a forged copy does not keep the good message out", async () => {
  const stage = await setStage();
  const [liar, honest] = [await stage.join(), await stage.join()];
  liar.push({ ...good, signature: other.signature });
  await stage.play(liar.peer.expectDisconnect());
  honest.push(good);
  await stage.clock.advance(1_000);
  expect(stage.received).toEqual([good]);
});

test("a message from the future is not delivered nor forwarded, and ten of them are enough", async () => {
  const stage = await setStage();
  const [liar, watcher] = [await stage.join(), await stage.join()];
  const time = stage.clock.wallNow() + 31_000;
  liar.push(sample({ time }));
  await expectNothingForwarded(stage, watcher);
  expect(stage.received).toEqual([]);
  expect(stage.server.peers).toHaveLength(2);
  liar.push(...Array.from({ length: 10 }, () => sample({ time: time + 60_000 })));
  await stage.play(liar.gossip.expect(PUSH));
  await stage.play(liar.peer.expectDisconnect(DisconnectReason.subprotocolError));
  expect(stage.gossip.counters).toMatchObject({ future: 11, accepted: 0, dropped: 1 });
});

test("a clock that is 30 s ahead is forgiven", async () => {
  const stage = await setStage();
  const actor = await stage.join();
  actor.push(sample({ time: stage.clock.wallNow() + 30_000 }));
  await stage.clock.advance(1_000);
  expect(stage.received).toHaveLength(1);
});

test("a message that is replayed is not delivered again: not at once, nor when it has expired", async () => {
  const stage = await setStage({ reconcileIntervalMs: 10_000 });
  const [liar, watcher] = [await stage.join(), await stage.join()];
  liar.push(good);
  expect(await expectPush(stage, watcher)).toEqual(good.id);
  liar.push(good);
  await stage.clock.advance(10_000);
  expect(stage.gossip.counters).toMatchObject({ accepted: 1, duplicate: 1 });
  // What has expired is let go of at the next comparison, whose time is random.
  await stage.clock.advance(700_000);
  expect(stage.gossip.info().messages).toBe(0);
  liar.push(good);
  await expectNothingForwarded(stage, watcher);
  expect(stage.received).toEqual([good]);
  expect(stage.gossip.counters).toMatchObject({ accepted: 1, stale: 1 });
});

test("a message that had to make room for others is not taken again", async () => {
  const stage = await setStage({ maxMessages: 2 });
  const actor = await stage.join();
  const first = sample({ time: stage.clock.wallNow() - 10 });
  actor.push(first, sample(), sample({ author: 1 }), first);
  await stage.clock.advance(1_000);
  expect(stage.received).toHaveLength(3);
  expect(stage.gossip.counters).toMatchObject({ accepted: 3, stale: 1 });
});

test("a message older than all that is held is not taken when there is no room", async () => {
  const stage = await setStage({ maxMessages: 2 });
  const [actor, watcher] = [await stage.join(), await stage.join()];
  actor.push(sample(), sample({ author: 1 }));
  expect(await expectPush(stage, watcher)).toBeDefined();
  expect(await expectPush(stage, watcher)).toBeDefined();
  actor.push(sample({ time: stage.clock.wallNow() - 10_000 }));
  await expectNothingForwarded(stage, watcher);
  expect(stage.received).toHaveLength(2);
  expect(stage.gossip.counters).toMatchObject({ accepted: 2, stale: 1 });
});

test("a second message for a taken sequence number is not delivered", async () => {
  const stage = await setStage();
  const [liar, watcher] = [await stage.join(), await stage.join()];
  liar.push(good);
  expect(await expectPush(stage, watcher)).toEqual(good.id);
  liar.push(sample({ sequence: good.sequence, payload: Uint8Array.of(9) }));
  await expectNothingForwarded(stage, watcher);
  expect(stage.received).toEqual([good]);
  expect(stage.gossip.counters.conflict).toBe(1);
});

test("an origin that publishes too much is cut off, whoever brings it, and nobody is blamed", async () => {
  const stage = await setStage({ origin: { messages: 3, windowMs: 10_000 } });
  const actors = [await stage.join(), await stage.join()];
  for (const actor of actors) actor.push(sample(), sample(), sample());
  await stage.clock.advance(1_000);
  expect(stage.received).toHaveLength(3);
  expect(stage.gossip.counters).toMatchObject({ accepted: 3, excess: 3, dropped: 0 });
  actors[0]!.push(sample({ author: 1 }));
  await stage.clock.advance(1_000);
  expect(stage.received).toHaveLength(4);
});

test("a peer that floods is limited to its allowance, then dropped, and not let in again at once", async () => {
  const stage = await setStage({ pushes: { perSecond: 1, burst: 20 } });
  const key = generateSecretKey();
  const liar = await stage.join(key);
  liar.push(...Array.from({ length: 200 }, (_, i) => sample({ author: i % 3 })));
  await stage.play(liar.peer.expectDisconnect(DisconnectReason.subprotocolError));
  expect(stage.received).toHaveLength(20);
  expect(stage.gossip.counters).toMatchObject({ limited: 100, dropped: 1 });
  const again = await stage.join(key);
  await stage.play(again.peer.expectDisconnect(DisconnectReason.uselessPeer));
  await stage.clock.advance(60_000);
  const later = await stage.join(key);
  later.push(sample());
  await stage.clock.advance(1_000);
  expect(stage.received).toHaveLength(21);
});

test("a peer may push so many bytes", async () => {
  const stage = await setStage({ pushBytes: { perSecond: 1, burst: 200_000 } });
  const liar = await stage.join();
  const payload = new Uint8Array(64 * 1024);
  liar.push(...Array.from({ length: 10 }, () => sample({ payload })));
  await stage.clock.advance(1_000);
  expect(stage.received).toHaveLength(3);
  expect(stage.gossip.counters.limited).toBe(7);
});

test("a peer that announces without end is limited, then dropped", async () => {
  const stage = await setStage({ announcements: { perSecond: 1, burst: 1_024 } });
  const liar = await stage.join();
  const ids = Array.from({ length: 512 }, (_, i) => new Uint8Array(32).fill(i & 0xff));
  for (let i = 0; i < 102; i++) liar.gossip.send(ANNOUNCE, ids);
  await stage.play(liar.peer.expectDisconnect(DisconnectReason.subprotocolError));
  expect(stage.gossip.counters.limited).toBe(100 * 512);
});

test("ids that nobody has are asked for once, and what is waited for is bounded", async () => {
  const stage = await setStage();
  const liar = await stage.join();
  const id = (n: number): Uint8Array => new Uint8Array(32).with(0, n >> 8).with(1, n & 0xff);
  for (let at = 0; at < 8_192; at += 512) {
    liar.gossip.send(
      ANNOUNCE,
      Array.from({ length: 512 }, (_, i) => id(at + i)),
    );
  }
  await stage.clock.advance(50);
  expect(stage.gossip.info().wanted).toBe(4_096);
  const asked = new Set<string>();
  for (let i = 0; i < 4_096 / 64; i++) {
    const request = await stage.play(liar.gossip.expect(FETCH));
    const [requestId, ids] = request.decode(tuple(uint, list(bytes32)));
    for (const each of ids) asked.add(String(each));
    liar.gossip.send(FETCHED, [requestId, []]);
  }
  await stage.clock.advance(1_000);
  expect(asked.size).toBe(4_096);
  expect(stage.gossip.info().wanted).toBe(0);
});

test("an answer with what was not asked for ends the connection", async () => {
  const stage = await setStage();
  const [liar, watcher] = [await stage.join(), await stage.join()];
  liar.gossip.send(ANNOUNCE, [good.id]);
  const request = await stage.play(liar.gossip.expect(FETCH));
  const [requestId] = request.decode(tuple(uint));
  liar.gossip.sendRaw(FETCHED, reply(requestId, [sample()]));
  await stage.play(liar.peer.expectDisconnect(DisconnectReason.subprotocolError));
  await expectNothingForwarded(stage, watcher);
  expect(stage.received).toEqual([]);
});

test("who does not answer is passed over for the next who has the message", async () => {
  const stage = await setStage();
  const [silent, honest] = [await stage.join(), await stage.join()];
  silent.gossip.send(ANNOUNCE, [good.id]);
  await stage.clock.advance(10);
  honest.gossip.send(ANNOUNCE, [good.id]);
  await stage.play(silent.gossip.expect(FETCH));
  const request = await stage.play(honest.gossip.expect(FETCH, { timeoutMs: 60_000 }));
  const [requestId] = request.decode(tuple(uint));
  honest.gossip.sendRaw(FETCHED, reply(requestId, [good]));
  await stage.clock.advance(100);
  expect(stage.received).toEqual([good]);
});

test("a forged answer is dropped with its sender, and the next holder is asked", async () => {
  const stage = await setStage();
  const [liar, honest] = [await stage.join(), await stage.join()];
  liar.gossip.send(ANNOUNCE, [good.id]);
  await stage.clock.advance(10);
  honest.gossip.send(ANNOUNCE, [good.id]);
  const [liarId] = (await stage.play(liar.gossip.expect(FETCH))).decode(tuple(uint));
  liar.gossip.sendRaw(FETCHED, reply(liarId, [{ ...good, signature: other.signature }]));
  const [honestId] = (await stage.play(honest.gossip.expect(FETCH))).decode(tuple(uint));
  honest.gossip.sendRaw(FETCHED, reply(honestId, [good]));
  await stage.clock.advance(100);
  expect(stage.received).toEqual([good]);
  expect(stage.gossip.counters).toMatchObject({ forged: 1, dropped: 1 });
});

test.each<[string, number, Parameters<ScriptedCapability["send"]>[1]]>([
  ["a push that is no message", PUSH, ["x"]],
  ["an announcement of too many ids", ANNOUNCE, Array.from({ length: 513 }, () => good.id)],
  ["an announcement of a short id", ANNOUNCE, [new Uint8Array(31)]],
  ["a fetch of too many", FETCH, [1, Array.from({ length: 65 }, () => good.id)]],
  ["a comparison of overlapping ranges", COMPARE, [1, [EVERYTHING, EVERYTHING]]],
  ["a comparison of an empty range", COMPARE, [1, [[[5, ""], [5, ""], 0, new Uint8Array(16)]]]],
  ["a comparison of a range backwards", COMPARE, [1, [[[5, ""], [4, ""], 0, new Uint8Array(16)]]]],
  ["an answer to no question", FETCHED, [1, []]],
  ["a code beyond the table", 6, []],
])("%s breaks the protocol", async (_name, code, value) => {
  const stage = await setStage();
  const liar = await stage.join();
  liar.gossip.send(code, value);
  const reason = await stage.play(liar.peer.expectDisconnect());
  expect([DisconnectReason.protocolError, DisconnectReason.subprotocolError]).toContain(reason);
  expect(stage.received).toEqual([]);
});

test("a peer that has us compare without end waits for its answers, and others do not", async () => {
  const stage = await setStage({ service: { perSecond: 10, burst: 64 } });
  const [greedy, honest] = [await stage.join(), await stage.join()];
  honest.push(...Array.from({ length: 20 }, (_, i) => sample({ author: i % 3 })));
  await stage.clock.advance(1_000);
  const before = stage.clock.now();
  for (let id = 1; id <= 8; id++) greedy.gossip.send(COMPARE, [id, [EVERYTHING]]);
  honest.gossip.send(COMPARE, [1, [EVERYTHING]]);
  await stage.play(honest.gossip.expect(COMPARED));
  expect(stage.clock.now()).toBe(before);
  for (let id = 1; id <= 8; id++) {
    await takeUntil(stage, greedy, COMPARED, [PUSH, ANNOUNCE, COMPARE]);
  }
  // Eight times 21 messages looked at, of which 64 were free: ten in a second.
  expect(stage.clock.now() - before).toBeGreaterThanOrEqual((8 * 21 - 64) * 100);
});

test("a flood of messages by ever new origins fills no more than the store may hold", async () => {
  const stage = await setStage({ maxMessages: 50, maxBytes: 40_000 });
  const liar = await stage.join();
  for (let i = 0; i < 200; i++) {
    liar.push(sample({ key: generateSecretKey(), payload: new Uint8Array(i) }));
  }
  await stage.clock.advance(1_000);
  const { bytes: held, messages } = stage.gossip.info();
  expect(messages).toBeLessThanOrEqual(50);
  expect(held).toBeLessThanOrEqual(40_000);
  expect(stage.received.length).toBeLessThanOrEqual(200);
  expect(new Set(stage.received.map(({ id }) => String(id))).size).toBe(stage.received.length);
});

test("a peer that stops reading holds nobody up, and little is kept for it", async () => {
  const plenty = { perSecond: 1e6, burst: 1e9 };
  const stage = await setStage({
    origin: { messages: 1_000, windowMs: 10_000 },
    pushes: plenty,
    pushBytes: plenty,
  });
  const [stuck, watcher] = [await stage.join(), await stage.join()];
  stuck.peer.pause();
  const got = new Set<string>();
  for (let i = 0; i < 300; i++) {
    stage.gossip.publish("t", new Uint8Array(16 * 1024));
    // Two peers, so each is pushed to.
    got.add(String(await expectPush(stage, watcher)));
  }
  expect(got.size).toBe(300);
  // What its connection takes before it is full, and 64 more; the rest waits as ids.
  expect(stage.gossip.counters.pushed - 300).toBeLessThan(150);
});

test("a peer that claims to keep nothing of the past gets nothing of it, and others do", async () => {
  const stage = await setStage({ reconcileIntervalMs: 1_000 });
  const odd = await stage.join();
  const claim = tuple(uint, tuple(uint, list(bytes32), list(bytes32)));
  const [requestId] = (await stage.play(odd.gossip.expect(COMPARE))).decode(tuple(uint));
  odd.gossip.sendRaw(COMPARED, claim.encode([requestId, [Number.MAX_SAFE_INTEGER, [], []]]));
  await stage.clock.advance(10);
  const watcher = await stage.join();
  const { id } = stage.gossip.publish("t", Uint8Array.of(1));
  expect(await expectPush(stage, watcher)).toEqual(id);
  expect(stage.gossip.counters).toMatchObject({ pushed: 1, announced: 0 });
});

test.each<[string, (id: number) => Uint8Array]>([
  ["with ranges that overlap", (id) => answer(id, [summary(0, 9), summary(5, 12)])],
  ["with an empty range", (id) => answer(id, [summary(9, 9)])],
  ["that is none", (id) => tuple(uint, uint).encode([id, 7])],
])("an answer to a comparison %s breaks the protocol", async (_name, reply) => {
  const stage = await setStage({ reconcileIntervalMs: 1_000 });
  const liar = await stage.join();
  const [id] = (await stage.play(liar.gossip.expect(COMPARE))).decode(tuple(uint));
  liar.gossip.sendRaw(COMPARED, reply(id));
  await stage.play(liar.peer.expectDisconnect(DisconnectReason.protocolError));
});

test("a comparison whose ranges never end is given up after 256 questions", async () => {
  const stage = await setStage({ reconcileIntervalMs: 1_000_000 });
  const liar = await stage.join();
  const later = START + 10_000_000;
  const parts = Array.from({ length: 1_000 }, (_, i) => summary(later + i, later + i + 1));
  let asked = 0;
  const loop = async (): Promise<void> => {
    for (let timeoutMs = 1_500_000; ; timeoutMs = 12_000) {
      const [id] = (await liar.gossip.expect(COMPARE, { timeoutMs })).decode(tuple(uint));
      asked += 1;
      liar.gossip.sendRaw(COMPARED, answer(id, parts));
    }
  };
  await stage.play(loop().catch(() => undefined));
  expect(stage.gossip.counters.reconciled).toBe(1);
  expect(asked).toBe(256);
});

test("a comparison with a peer that is slow on purpose is given up after 20 seconds", async () => {
  const stage = await setStage({ reconcileIntervalMs: 1_000_000 });
  const liar = await stage.join();
  const timeoutMs = 1_500_000;
  const [first] = (await stage.play(liar.gossip.expect(COMPARE, { timeoutMs }))).decode(
    tuple(uint),
  );
  const before = stage.clock.now();
  const parts = [summary(START, START + 10_000_000)];
  let last = first;
  for (let asked = 1; asked <= 2; asked++) {
    await stage.clock.advance(9_000);
    liar.gossip.sendRaw(COMPARED, answer(last, parts));
    [last] = (await stage.play(liar.gossip.expect(COMPARE))).decode(tuple(uint));
  }
  await stage.clock.advance(before + 20_000 - stage.clock.now());
  liar.gossip.sendRaw(COMPARED, answer(last, parts));
  // Nothing more is asked, and the late answer is no fault.
  await stage.clock.advance(15_000);
  stage.gossip.publish("t", Uint8Array.of(1));
  expect((await stage.play(liar.gossip.expect(() => true))).code).toBe(PUSH);
});

test("messages that a comparison names and a fetch does not bring end the comparison", async () => {
  const stage = await setStage({ reconcileIntervalMs: 30_000 });
  const liar = await stage.join();
  const [id] = (await stage.play(liar.gossip.expect(COMPARE, { timeoutMs: 60_000 }))).decode(
    tuple(uint),
  );
  const time = Math.floor(stage.clock.wallNow());
  const ids = Array.from({ length: 64 }, (_, i) => [time, new Uint8Array(32).fill(i)]);
  liar.gossip.send(COMPARED, [id, [0, [], [[[0, ""], [2 * time, ""], ids]]]]);
  const [fetchId, asked] = (await stage.play(liar.gossip.expect(FETCH))).decode(
    tuple(uint, list(bytes32)),
  );
  expect(asked).toHaveLength(64);
  liar.gossip.sendRaw(FETCHED, reply(fetchId, []));
  await stage.clock.advance(14_000);
  const next = await stage.play(liar.gossip.expect(() => true, { timeoutMs: 60_000 }));
  expect(next.code).toBe(COMPARE);
});

/** A summary of what is held from one time to another, which agrees with nobody's. */
function summary(from: number, to: number): RangeSummary {
  const id = new Uint8Array(0);
  return {
    from: { time: from, id },
    to: { time: to, id },
    count: 3,
    fingerprint: good.id.slice(16),
  };
}

/** An answer to a comparison. */
function answer(requestId: number, parts: readonly RangeSummary[]): Uint8Array {
  const bound = ({ time, id }: Bound): [number, Uint8Array] => [time, id];
  const encoded = parts.map(({ from, to, count, fingerprint }) => [
    bound(from),
    bound(to),
    count,
    fingerprint,
  ]);
  return encodeRlp([requestId, [0, encoded, []]]);
}

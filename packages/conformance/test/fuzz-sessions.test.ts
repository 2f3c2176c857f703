import { encodeRlp } from "@heddle/identity";
import { BaseMessage, DisconnectedError, encodeHello, MemoryNetwork, Server } from "@heddle/p2p";
import type { ServerEvents } from "@heddle/p2p";
import { scriptedPeer, seededRandom } from "@heddle/testing";
import type { ScriptedPeer, SeededRandom } from "@heddle/testing";
import { array, assert, asyncProperty, constantFrom, integer, oneof, record } from "fast-check";
import { expect, onTestFinished, test } from "vitest";

import { mutate } from "../src/fuzz/mutate.ts";
import { talkProtocols } from "../src/soak/talk.ts";

/** Valid sessions, mutated: messages left out, repeated, in another order, and with other content. */

const FIRST = 0x10;

/** Messages of a session as it should be, by wire message id; Hello's own id stands in for the peer's. */
const VALID: readonly (readonly [msgId: number, payload: Uint8Array])[] = [
  [BaseMessage.ping, encodeRlp([])],
  [BaseMessage.pong, encodeRlp([])],
  [FIRST, encodeRlp([1, [7, "hello"]])],
  [FIRST, encodeRlp([2n ** 64n - 1n, [0, new Uint8Array(300)]])],
  [FIRST + 1, encodeRlp([1, [7, "hello"]])],
  [FIRST + 2, encodeRlp("noise")],
  [BaseMessage.disconnect, encodeRlp([8])],
];

interface Step {
  readonly what: "valid" | "payload" | "code" | "hello" | "wire" | "end";
  readonly at: number;
  readonly seed: number;
}

const step = record({
  // Mostly messages that are fine: a session that ends at once shows little.
  what: oneof(
    { weight: 5, arbitrary: constantFrom<Step["what"]>("valid") },
    { weight: 3, arbitrary: constantFrom<Step["what"]>("payload") },
    { weight: 1, arbitrary: constantFrom<Step["what"]>("code", "hello", "wire", "end") },
  ),
  at: integer({ min: 0, max: VALID.length - 1 }),
  seed: integer(),
});

function play(peer: ScriptedPeer, { what, at, seed }: Step): void {
  const random = seededRandom(seed);
  const [msgId, payload] = VALID[at] ?? [0, new Uint8Array(0)];
  if (what === "valid") peer.sendRaw(msgId, payload);
  else if (what === "payload") peer.sendRaw(msgId, mutated(payload, random));
  else if (what === "code")
    peer.sendRaw(random.integer(random.pick([0x14, 0x100, 2 ** 32])), payload);
  else if (what === "hello") peer.sendRaw(BaseMessage.hello, mutated(helloOf(peer), random));
  else if (what === "end") peer.wire.finish();
  else {
    const frame = peer.seal(msgId, payload);
    const material = { kind: "bytes", corpus: [payload], dictionary: [] } as const;
    peer.sendBytes(mutate(frame, material, random));
  }
}

function mutated(payload: Uint8Array, random: SeededRandom): Uint8Array {
  const corpus = VALID.map(([, other]) => other);
  return mutate(payload, { kind: "rlp", corpus, dictionary: [] }, random);
}

function helloOf({ id }: ScriptedPeer): Uint8Array {
  const capabilities = [{ name: "talk", version: 1 }];
  return encodeHello({
    protocolVersion: 5,
    clientId: "m/1",
    capabilities,
    listenPort: 0,
    nodeId: id,
  });
}

/** What may end a connection: anything else is an error that nobody documented. */
const DOCUMENTED = new Set([
  "RemoteProtocolError",
  "StreamEndedError",
  "TimeoutError",
  "Disconnect",
  "HandlerError",
]);

async function target() {
  const network = new MemoryNetwork();
  const create = (host: string): Server =>
    new Server({
      key: seededRandom(host.length).secretKey(),
      clientId: "target/1",
      listen: `${host}:30303`,
      transport: network.transport(host),
      protocols: talkProtocols(),
      limits: { inboundThrottleMs: 1, drainTimeoutMs: 50 },
    });
  const server = create("127.0.0.1");
  await server.start();
  onTestFinished(() => server.stop());
  const drops: ServerEvents["peer:drop"][] = [];
  const failures: ServerEvents["handshake"][] = [];
  server.on("peer:drop", (event) => drops.push(event));
  server.on("handshake", (event) => {
    if (event.failed !== undefined) failures.push(event);
  });
  const escaped: unknown[] = [];
  const note = (error: unknown): void => void escaped.push(error);
  process.on("unhandledRejection", note);
  onTestFinished(() => void process.off("unhandledRejection", note));
  return { server, drops, failures, escaped };
}

/** An honest peer is answered. */
async function expectToServe(server: Server): Promise<void> {
  await using honest = await scriptedPeer(server);
  honest.send(FIRST, [5, [6, "seven"]]);
  const answer = await honest.expect(FIRST + 1);
  expect(answer.payload).toEqual(encodeRlp([5, [6, "seven"]]));
}

test("a session of any messages ends for a documented reason, or lives; and others are served beside it", async () => {
  const { server, drops, escaped } = await target();
  await assert(
    asyncProperty(array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      await using peer = await scriptedPeer(server);
      for (const each of steps) play(peer, each);
      await expectToServe(server);
    }),
    { numRuns: 80 },
  );
  expect(drops.length).toBeGreaterThan(60);
  for (const { error } of drops) {
    expect(error).toBeInstanceOf(DisconnectedError);
    const { cause } = error;
    if (cause !== undefined) expect(DOCUMENTED).toContain((cause as Error).name);
    expect([0, 1, 2, 4, 8, 0x0b, 255]).toContain(error.by === "local" ? error.reason : 0);
  }
  expect(escaped).toEqual([]);
}, 120_000);

test("a Hello of any content is accepted, or refused for a documented reason", async () => {
  const { server, drops, failures, escaped } = await target();
  await assert(
    asyncProperty(integer(), integer({ min: 1, max: 3 }), async (seed, count) => {
      await using peer = await scriptedPeer.handshake(server);
      const random = seededRandom(seed);
      const hello = mutated(helloOf(peer), random);
      peer.sendRaw(BaseMessage.hello, hello);
      for (let i = 1; i < count; i += 1) peer.sendRaw(random.integer(4), encodeRlp([]));
      await expectToServe(server);
    }),
    { numRuns: 80 },
  );
  const ends = failures.map(({ failed }) => failed);
  expect(ends.length).toBeGreaterThan(25);
  for (const end of ends) {
    const cause = end?.error.cause as Error | undefined;
    if (cause !== undefined) expect(DOCUMENTED).toContain(cause.name);
  }
  for (const { error } of drops) {
    if (error.cause !== undefined) expect(DOCUMENTED).toContain((error.cause as Error).name);
  }
  expect(escaped).toEqual([]);
}, 120_000);

import { bytesEqual, nodeIdOf, parseEnode, toHex } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import { MemoryNetwork, memoryStreamPair } from "../src/index.ts";
import type { ByteStream, Server, StreamAddress, Transport } from "../src/index.ts";
import {
  allEvents,
  defer,
  dialRaw,
  idle,
  keyOf,
  networks,
  nextEvent,
  rejection,
  Scripted,
  settle,
  startServer,
  until,
  watchEscapes,
  within,
} from "./harness.ts";

/** A small generator of repeatable numbers in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Every chunk of every stream arrives after a random number of turns, in order within its stream. */
class ShakenNetwork extends MemoryNetwork {
  readonly #random: () => number;

  constructor(random: () => number) {
    super();
    this.#random = random;
  }

  protected override connect(from: StreamAddress, to: StreamAddress): [ByteStream, ByteStream] {
    return memoryStreamPair([from, to], [this.#link(), this.#link()]);
  }

  #link(): { schedule(deliver: () => void): void } {
    let last = Promise.resolve();
    return {
      schedule: (deliver) => {
        const turns = Math.floor(this.#random() * 6);
        last = last.then(() => settle(turns)).then(deliver);
      },
    };
  }
}

async function shakenPair(seed: number): Promise<[Server, Server]> {
  const network = new ShakenNetwork(seeded(seed));
  const make = (host: string) =>
    startServer({
      listen: `${host}:0`,
      transport: network.transport(host),
      protocols: [idle()],
      limits: { drainTimeoutMs: 50 },
    });
  return [await make("127.0.0.1"), await make("127.0.0.2")];
}

describe("two nodes that dial each other at the same moment", () => {
  const rounds = Array.from({ length: 50 }, (_, seed) => seed);

  test.each(rounds)("end up with exactly one connection, interleaving %i", async (seed) => {
    const escaped = watchEscapes();
    const [a, b] = await shakenPair(seed + 1);
    const drops = [a, b].map((server) => allEvents(server, "peer:drop"));
    const random = seeded(seed + 100);
    const dials = async (from: Server, to: Server) => {
      await settle(Math.floor(random() * 12));
      return from.dial(to.enode);
    };
    const [atA, atB] = await within("both dials", Promise.all([dials(a, b), dials(b, a)]));
    await settle(40);
    expect(a.peers).toEqual([atA]);
    expect(b.peers).toEqual([atB]);
    expect(atA.signal.aborted).toBe(false);
    expect(atB.signal.aborted).toBe(false);
    expect(atA.inbound).toBe(!atB.inbound);
    expect(await within("a ping", atA.ping())).toBeGreaterThanOrEqual(0);
    expect(drops).toEqual([[], []]);
    expect(escaped).toEqual([]);
  });

  test("whoever waits for the other's dial goes on by itself when that fails", async () => {
    const network = new MemoryNetwork();
    const make = (key: number, maxPeers: number, dialRatio: number) =>
      startServer({
        key: keyOf(key),
        listen: "127.0.0.1:0",
        transport: network.transport("127.0.0.1"),
        protocols: [idle()],
        maxPeers,
        dialRatio,
      });
    // Takes no inbound connections at all: its own dial is the only one that can succeed.
    const servers = [await make(300, 1, 2), await make(301, 2, 2)];
    const [dialOnly, open] = servers;
    if (dialOnly === undefined || open === undefined) throw new Error("unreachable");
    expect(dialOnly.config.maxInbound).toBe(0);
    const [mine] = await Promise.allSettled([dialOnly.dial(open.enode), open.dial(dialOnly.enode)]);
    expect(mine.status).toBe("fulfilled");
    await until("the peer is there", () => open.peers.length === 1);
    expect(dialOnly.peers).toHaveLength(1);
  });
});

test("a dial waits for the node's own Hello, if it is saying it, unless it is aborted", async () => {
  const protocol = new Scripted();
  const server = await startServer({ ...networks().memory("127.0.0.2"), protocols: [protocol] });
  const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
  await raw.read();
  const node = { id: raw.id, host: "127.0.0.9", tcpPort: 1, udpPort: 1 };
  const controller = new AbortController();
  const aborted = rejection(server.dial(node, { signal: controller.signal }));
  controller.abort();
  expect(await aborted).toMatchObject({ name: "DialError", reason: 0x00, side: "local" });
  const dialed = server.dial(node);
  raw.sendHello();
  expect(await within("the dial", dialed)).toBe((await protocol.next()).peer);
});

test("dialing a connected node resolves with the peer there is", async () => {
  const on = networks().memory;
  const far = await startServer({ ...on("127.0.0.2"), protocols: [idle()] });
  const near = await startServer({ ...on("127.0.0.1"), protocols: [idle()] });
  const [one, other] = await Promise.all([near.dial(far.enode), near.dial(far.enode)]);
  expect(other).toBe(one);
  expect(await near.dial(far.enode)).toBe(one);
  expect(near.counters.dials.succeeded).toBe(1);
  expect(await within("the way back", far.dial(near.enode))).toBe(far.peers[0]);
  expect(far.counters.dials.succeeded).toBe(0);
});

test("a second connection of the same node is refused with 0x05 and leaves the first alone", async () => {
  const protocol = new Scripted();
  const server = await startServer({ ...networks().memory("127.0.0.2"), protocols: [protocol] });
  const first = await (await dialRaw(server, keyOf(900))).initiate(server.id);
  await first.greet();
  const { peer } = await protocol.next();
  const failed = nextEvent(server, "handshake", (event) => event.failed !== undefined);
  const second = await (await dialRaw(server, keyOf(900))).initiate(server.id);
  expect(await second.readDisconnect()).toBe(0x05);
  expect((await within("its failure", failed)).failed).toMatchObject({
    reason: 0x05,
    side: "local",
  });
  expect(server.peers).toEqual([peer]);
  expect(peer.signal.aborted).toBe(false);
});

test("of many connections that one node makes at once a single one survives", async () => {
  const server = await startServer({
    ...networks().memory("127.0.0.2"),
    protocols: [new Scripted()],
  });
  const added = allEvents(server, "peer:add");
  const raws = await Promise.all(
    Array.from({ length: 8 }, async () => (await dialRaw(server, keyOf(900))).initiate(server.id)),
  );
  // All Hellos are accepted in one go: each was admitted while none was a peer yet.
  for (const raw of raws) raw.sendHello();
  await settle();
  expect(server.peers).toHaveLength(1);
  expect(added).toHaveLength(1);
  expect(raws.filter(({ isEnded }) => isEnded)).toHaveLength(7);
});

test("our own identity at the other end is refused with 0x0a", async () => {
  const server = await startServer({
    key: keyOf(42),
    ...networks().memory("127.0.0.2"),
    protocols: [idle()],
  });
  expect(await rejection(server.dial(server.enode))).toMatchObject({
    name: "DialError",
    phase: "dial",
    reason: 0x0a,
    side: "local",
  });
  const raw = await (await dialRaw(server, keyOf(42))).initiate(server.id);
  expect(bytesEqual(raw.id, server.id)).toBe(true);
  expect(await raw.readDisconnect()).toBe(0x0a);
});

/** Two keys, that of the smaller id first. */
function sortedKeys(): [Uint8Array, Uint8Array] {
  const [a, b] = [keyOf(910), keyOf(911)];
  return toHex(nodeIdOf(a)) < toHex(nodeIdOf(b)) ? [a, b] : [b, a];
}

test("a dial that hangs in connecting does not shut the node out, whichever id is the smaller", async () => {
  for (const [key, otherKey] of [
    sortedKeys(),
    sortedKeys().toReversed() as [Uint8Array, Uint8Array],
  ]) {
    const network = new MemoryNetwork();
    const own = network.transport("127.0.0.2");
    const connect = defer<ByteStream>();
    const transport: Transport = { ...own, dial: () => connect.promise };
    const server = await startServer({
      key,
      listen: "127.0.0.2:0",
      transport,
      protocols: [idle()],
    });
    const other = await startServer({
      key: otherKey,
      listen: "127.0.0.1:0",
      transport: network.transport("127.0.0.1"),
      protocols: [idle()],
    });
    const hanging = server.dial(other.enode);
    await settle();
    const there = await within("the other's dial", other.dial(server.enode));
    await until("the peer is there", () => server.peers.length === 1);
    const drops = [server, other].map((at) => allEvents(at, "peer:drop"));
    // It connects after all: what is used already stays.
    const { host, tcpPort: port } = parseEnode(other.enode);
    connect.resolve(await own.dial({ host, port }, { signal: new AbortController().signal }));
    expect(await within("the late dial", hanging)).toBe(server.peers[0]);
    await settle(40);
    expect(other.peers).toEqual([there]);
    expect(drops).toEqual([[], []]);
  }
});

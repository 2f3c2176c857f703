import { DialError, DisconnectReason } from "@heddle/p2p";
import type { MessageReadWriter, Peer, Protocol, Server } from "@heddle/p2p";
import { expect, test } from "vitest";

import { memoryNetwork } from "../src/index.ts";
import type { MemoryNetworkOptions, SimulatedNetwork } from "../src/index.ts";

/** Tells what it reads, and when; its `rw` can be had. */
function chatter(heard: (peer: Peer, text: string) => void): Protocol {
  return {
    name: "chatter",
    version: 1,
    length: 1,
    async run(peer, rw) {
      rw.provide(rw);
      for await (const message of rw) {
        heard(peer, new TextDecoder().decode(message.payload.subarray(1)));
      }
    },
  };
}

const quiet = (): void => undefined;

async function pair(
  options: MemoryNetworkOptions,
  heard: (peer: Peer, text: string) => void = quiet,
): Promise<{ network: SimulatedNetwork; a: Server; b: Server; peer: Peer }> {
  const network = memoryNetwork(options);
  const a = network.server("a", { protocols: [chatter(heard)] });
  const b = network.server("b", { protocols: [chatter(heard)] });
  await network.start();
  const peer = await network.clock.settle(a.dial(b.enode));
  return { network, a, b, peer };
}

const writerOf = (peer: Peer): Promise<MessageReadWriter> =>
  peer.protocol<MessageReadWriter>({ name: "chatter" });

/** Everything that happens in a minute of a small network under stress, with its time. */
async function trace(options: MemoryNetworkOptions): Promise<string[]> {
  await using network = memoryNetwork(options);
  const { clock } = network;
  const events: string[] = [];
  const note = (text: string): void => void events.push(`${clock.now()} ${text}`);
  const servers = Array.from({ length: 8 }, (_, i) => {
    const heard = (peer: Peer, text: string): void =>
      note(`${i} heard ${text} of ${peer.clientId}`);
    const server = network.server(`n${i}`, { protocols: [chatter(heard)] });
    server.on("peer:add", ({ peer }) => note(`${i} added ${peer.clientId}`));
    server.on("peer:drop", ({ peer, error }) =>
      note(`${i} dropped ${peer.enode} ${error.message}`),
    );
    server.on("dial", ({ error }) => note(`${i} dialed: ${error?.message}`));
    return server;
  });
  await network.start();
  for (const server of servers) {
    const others = servers.filter((other) => other !== server);
    for (const other of network.random.shuffle(others).slice(0, 3)) server.maintain(other.enode);
  }
  for (let second = 0; second < 60; second++) {
    await clock.advance(1_000);
    const { peers } = network.random.pick(servers);
    for (const peer of peers) void (await writerOf(peer)).send(0, `at ${second}`).catch(quiet);
    if (second === 10) network.partition(servers.slice(0, 4));
    if (second === 50) network.heal();
    if (second === 55) note(`broke ${network.breakConnections(0.5)}`);
  }
  return events;
}

test.each(["rlpx", "null"] as const)(
  "a run over %s is the same for the same seed, and another for another",
  async (session) => {
    const options = { latencyMs: { min: 5, max: 80 }, bandwidth: 10_000, loss: 0.2, session };
    const [one, two, other] = [
      await trace({ ...options, seed: 7 }),
      await trace({ ...options, seed: 7 }),
      await trace({ ...options, seed: 8 }),
    ];
    expect(one.length).toBeGreaterThan(100);
    expect(two).toEqual(one);
    expect(other).not.toEqual(one);
  },
);

test("bytes take the latency one way, and connecting takes two more", async () => {
  const heard: number[] = [];
  const { network, peer } = await pair({ latencyMs: 100, session: "null" }, () =>
    heard.push(network.clock.now()),
  );
  await using _ = network;
  // Connecting 200, ids 100, Hellos 100.
  expect(network.clock.now()).toBe(400);
  await (await writerOf(peer)).send(0, "hello");
  await network.clock.advance(99);
  expect(heard).toEqual([]);
  await network.clock.advance(1);
  expect(heard).toEqual([500]);
  expect(await network.clock.settle(peer.ping())).toBe(200);
});

test("bytes leave no faster than the bandwidth lets them", async () => {
  const heard: number[] = [];
  const { network, peer } = await pair({ bandwidth: 1_000, session: "null" }, () =>
    heard.push(network.clock.now()),
  );
  await using _ = network;
  await network.clock.advance(5_000);
  const start = network.clock.now();
  const rw = await writerOf(peer);
  await rw.send(0, new Uint8Array(2_000));
  await network.clock.runUntil(() => heard.length === 1);
  // 2,000 bytes, 3 of RLP and 8 of frame header.
  expect((heard[0] ?? 0) - start).toBeCloseTo(2_011, 5);
});

test("a share of dials fails, and maintained connections come about all the same", async () => {
  await using network = memoryNetwork({ loss: 0.5, seed: 3, latencyMs: 10, session: "null" });
  const protocols = [chatter(quiet)];
  const hub = network.server("hub", { protocols });
  const others = Array.from({ length: 20 }, (_, i) => network.server(`n${i}`, { protocols }));
  await network.start();
  const dials = await network.clock.settle(
    Promise.allSettled(others.map((server) => server.dial(hub.enode))),
  );
  const failed = dials.filter(({ status }) => status === "rejected");
  expect(failed.length).toBeGreaterThan(4);
  expect(failed.length).toBeLessThan(16);
  for (const server of others) server.maintain(hub.enode);
  await network.clock.runUntil(() => hub.peers.length === 20);
});

test("a partition holds bytes back until it is healed", async () => {
  const heard: string[] = [];
  const { network, a, peer } = await pair({ latencyMs: 10, session: "null" }, (_peer, text) =>
    heard.push(text),
  );
  await using _ = network;
  const rw = await writerOf(peer);
  await rw.send(0, "on its way");
  await network.clock.advance(5);
  network.partition([a]);
  await rw.send(0, "behind the cut");
  await network.clock.advance(5_000);
  expect(heard).toEqual([]);
  network.heal();
  await network.clock.advance(20);
  expect(heard).toEqual(["on its way", "behind the cut"]);
});

test("a longer partition ends connections by silence, and dials by their deadline", async () => {
  const { network, a, b, peer } = await pair({ latencyMs: 10, session: "null" });
  await using _ = network;
  network.partition([a], [b]);
  await network.clock.advance(46_000);
  expect(peer.signal.reason).toMatchObject({ reason: DisconnectReason.readTimeout });
  expect([a.peers.length, b.peers.length]).toEqual([0, 0]);
  await expect(network.clock.settle(a.dial(b.enode))).rejects.toMatchObject({ phase: "dial" });
  const waiting = a.dial(b.enode);
  network.heal();
  expect(await network.clock.settle(waiting)).toMatchObject({ id: b.id });
});

test("a partition leaves the ways inside its groups alone", async () => {
  await using network = memoryNetwork({ session: "null" });
  const protocols = [chatter(quiet)];
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => network.server(name, { protocols }));
  if (!a || !b || !c || !d) throw new Error("four servers were made");
  await network.start();
  network.partition([a, b]);
  await network.clock.settle(Promise.all([a.dial(b.enode), c.dial(d.enode)]));
  const blocked = a.dial(c.enode);
  await expect(network.clock.settle(blocked)).rejects.toThrow(DialError);
});

test("a server that is killed says nothing, and may be started again", async () => {
  const { network, a, b, peer } = await pair({ latencyMs: 10, session: "null" });
  await using _ = network;
  const { enode } = b;
  network.kill(b);
  expect(a.peers.length).toBe(1);
  await network.clock.advance(10);
  expect(a.peers.length).toBe(0);
  expect(peer.signal.reason).toMatchObject({ by: "remote", reason: DisconnectReason.networkError });
  await expect(network.clock.settle(a.dial(enode))).rejects.toThrow("refused");
  await network.start();
  await network.clock.advance(30_000);
  await network.clock.settle(a.dial(b.enode));
});

test("connections chosen at random can be broken", async () => {
  await using network = memoryNetwork({ session: "null" });
  const protocols = [chatter(quiet)];
  const hub = network.server("hub", { protocols });
  const others = Array.from({ length: 10 }, (_, i) => network.server(`n${i}`, { protocols }));
  await network.start();
  await network.clock.settle(Promise.all(others.map((server) => server.dial(hub.enode))));
  expect(network.connectionCount).toBe(10);
  expect(network.breakConnections(0.3)).toBe(3);
  await network.clock.advance(0);
  expect([hub.peers.length, network.connectionCount]).toEqual([7, 7]);
});

test("a stop leaves no connection and, once all is delivered, no timer behind", async () => {
  const { network } = await pair({ latencyMs: 10, bandwidth: 10_000 });
  await network.stop();
  await network.clock.advance(100);
  expect([network.connectionCount, network.clock.pending]).toEqual([0, 0]);
});

test("a hundred nodes keep in touch for ten minutes", async () => {
  let heard = 0;
  await using network = memoryNetwork({
    seed: 7,
    latencyMs: { min: 10, max: 90 },
    session: "null",
  });
  const { clock } = network;
  const protocols = [chatter(() => (heard += 1))];
  const servers = Array.from({ length: 100 }, (_, i) => network.server(`n${i}`, { protocols }));
  await network.start();
  // A ring with chords: four connections each.
  const dials = servers.flatMap((server, i) =>
    [1, 10].map((step) => server.dial((servers[(i + step) % 100] as Server).enode)),
  );
  await clock.settle(Promise.all(dials));
  for (let minute = 0; minute < 10; minute++) {
    for (const server of servers) {
      for (const peer of server.peers) await (await writerOf(peer)).send(0, "still there?");
    }
    await clock.advance(60_000);
  }
  expect(heard).toBe(10 * 100 * 4);
  expect(network.connectionCount).toBe(200);
});

test("it refuses what no network can be, names that are taken and servers of others", async () => {
  expect(() => memoryNetwork({ loss: 1.1 })).toThrow(RangeError);
  expect(() => memoryNetwork({ bandwidth: 0 })).toThrow(RangeError);
  expect(() => memoryNetwork({ latencyMs: -1 })).toThrow(RangeError);
  expect(() => memoryNetwork({ latencyMs: { min: 2, max: 1 } })).toThrow(RangeError);
  const [network, other] = [memoryNetwork(), memoryNetwork()];
  network.server("a");
  expect(() => network.server("a")).toThrow("already");
  expect(() => other.kill(network.servers[0] as Server)).toThrow(TypeError);
  expect(() => network.breakConnections(2)).toThrow(RangeError);
});

import { DialError } from "@heddle/p2p";
import { expect, test } from "vitest";

import { createPeerExchange, JoinError } from "../src/index.ts";
import type { PexStatus } from "../src/index.ts";
import { nodeAt } from "./hostile.ts";
import { isConnected } from "./graph.ts";
import { PexNetwork } from "./network.ts";

test("joining tells what was tried and through whom it succeeded", async () => {
  await using net = new PexNetwork();
  const genesis = net.node("genesis");
  await net.start(genesis);
  const gone = genesis.server.enode.replace("10.0.0.1", "10.9.9.9");
  const other = net.node("other");
  const { server, pex } = net.node("a", {
    bootstrap: [other.server.enode.replace("127.0.0.1:0", "10.0.1.1:30303"), genesis.server.enode],
  });
  const attempts: string[] = [];
  const statuses: PexStatus[] = [];
  pex.on("attempt", ({ node, error }) => attempts.push(`${node.host} ${error?.name}`));
  pex.on("status", ({ status }) => statuses.push(status));
  await server.start();
  expect(pex.status).toBe("idle");
  const outcome = await net.clock.settle(pex.join());
  expect(outcome.via).toBe("bootstrap");
  expect(outcome.peer?.id).toEqual(genesis.server.id);
  expect(attempts).toContain("10.0.1.1 DialError");
  expect(outcome.attempts.map(({ error }) => error?.name)).toContain("DialError");
  expect(statuses).toEqual(["joining", "joined"]);
  expect(gone).toContain("10.9.9.9");
  await expect(net.clock.settle(pex.join())).resolves.toMatchObject({ via: "peer", attempts: [] });
});

test("where nobody can be reached joining fails with every reason, and goes on in the background", async () => {
  await using net = new PexNetwork();
  const genesis = net.node("genesis");
  await genesis.server.start();
  const { enode } = genesis.server;
  await net.clock.settle(genesis.server.stop());
  const { server, pex } = net.node("a", { bootstrap: [enode] });
  await server.start();
  const failure: unknown = await net.clock.settle(pex.join()).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(JoinError);
  expect(failure).toMatchObject({
    code: "ERR_PEX_JOIN",
    attempts: [{ node: { host: "10.0.0.1" } }],
  });
  expect((failure as JoinError).attempts[0]?.error).toBeInstanceOf(DialError);
  expect(pex.status).toBe("isolated");
  await genesis.server.start();
  await net.clock.runUntil(() => pex.status === "joined");
  expect(pex.peers).toHaveLength(1);
});

test("joining can be given up", async () => {
  await using net = new PexNetwork();
  const genesis = net.node("genesis");
  const { server, pex } = net.node("a", {
    bootstrap: [genesis.server.enode.replace("127.0.0.1:0", "10.0.0.1:30303")],
  });
  await server.start();
  const giveUp = new AbortController();
  const joining = pex.join(giveUp.signal);
  giveUp.abort(new Error("changed my mind"));
  await expect(joining).rejects.toThrow("changed my mind");
  expect(pex.status).toBe("idle");
  await expect(pex.join(AbortSignal.abort(new Error("never mind")))).rejects.toThrow("never mind");
});

test("closing ends a join that is under way", async () => {
  await using net = new PexNetwork();
  const genesis = net.node("genesis");
  const { server, pex } = net.node("a", {
    bootstrap: [genesis.server.enode.replace("127.0.0.1:0", "10.0.0.1:30303")],
  });
  await server.start();
  const joining = pex.join();
  joining.catch(() => undefined);
  await pex.close();
  await expect(joining).rejects.toThrow("closed");
  expect(pex.status).toBe("idle");
  await expect(pex.join()).rejects.toThrow(TypeError);
});

test("a node that has lost everybody comes back by its book, without the bootstrap node", async () => {
  await using net = new PexNetwork();
  const genesis = net.node("genesis");
  await net.start(genesis);
  const bootstrap = [genesis.server.enode];
  const [a, b, c] = ["a", "b", "c"].map((name) => net.node(name, { bootstrap }));
  if (a === undefined || b === undefined || c === undefined) throw new Error("three nodes");
  for (const node of [a, b, c]) await net.start(node);
  await net.clock.runUntil(() => a.pex.known().length === 3);
  net.network.kill(genesis.server);
  net.network.partition([a.server]);
  await net.clock.runUntil(() => a.pex.status === "isolated");
  // Long enough for every address to be tried again and again, by whom it is not the address's fault.
  await net.clock.advance(600_000);
  expect(a.pex.known().length).toBeGreaterThanOrEqual(2);
  net.network.heal();
  await net.clock.runUntil(() => a.pex.status === "joined");
  await net.clock.runUntil(() => isConnected([a.server, b.server, c.server]));
});

test("dead peers are replaced, and the dead are forgotten", async () => {
  await using net = new PexNetwork();
  const genesis = net.node("genesis");
  await net.start(genesis);
  const bootstrap = [genesis.server.enode];
  // Shorter than the defaults, which are half a day and three days.
  const limits = { announceMs: 300_000, maxAgeMs: 1_200_000 };
  for (let i = 0; i < 11; i += 1) {
    await net.start(net.node(`n${i}`, { bootstrap, targetPeers: 3, limits }));
  }
  await net.clock.advance(60_000);
  const [dead, alive] = [net.nodes.slice(0, 6), net.nodes.slice(6)];
  for (const { server } of dead) net.network.kill(server);
  const servers = alive.map(({ server }) => server);
  await net.clock.runUntil(
    () => isConnected(servers) && alive.every(({ pex }) => pex.peers.length >= 3),
  );
  // Nobody needs to dial them: it is by their silence.
  await net.clock.runUntil(() => alive.every(({ pex }) => pex.known().length === 5), {
    limitMs: 2_400_000,
  });
});

test("a bootstrap node that everybody dials keeps places free for newcomers", async () => {
  await using net = new PexNetwork();
  const genesis = net.node("genesis", {}, { maxPeers: 9, dialRatio: 9 });
  await net.start(genesis);
  const bootstrap = [genesis.server.enode];
  const sent: number[] = [];
  genesis.server.on("peer:drop", ({ error }) => sent.push(error.reason));
  for (let i = 0; i < 30; i += 1) {
    const node = net.node(`n${i}`, { bootstrap, targetPeers: 4 });
    await net.start(node);
    await net.clock.advance(2_000);
  }
  await net.clock.advance(10_000);
  expect(net.nodes.every(({ pex }) => pex.status !== "isolated" && pex.peers.length > 0)).toBe(
    true,
  );
  expect(isConnected(net.nodes.map(({ server }) => server))).toBe(true);
  expect(sent).toContain(0x04);
  const inbound = genesis.pex.peers.filter(({ peer }) => peer.inbound);
  expect(inbound.length).toBeLessThanOrEqual(6);
});

test("nodes of two networks do not mix", async () => {
  await using net = new PexNetwork();
  const red = net.node("red", { network: "red" });
  await net.start(red);
  const blue = net.node("blue", { network: "blue", bootstrap: [red.server.enode] });
  await blue.server.start();
  await expect(net.clock.settle(blue.pex.join())).rejects.toBeInstanceOf(JoinError);
  await net.clock.advance(1_000);
  for (const { pex } of [red, blue]) expect(pex.counters.refused.otherNetwork).toBeGreaterThan(0);
  expect([...red.pex.known(), ...blue.pex.known()]).toEqual([]);
});

test("attaching and joining are refused where they cannot work", async () => {
  await using net = new PexNetwork();
  const { pex, server } = net.node("a");
  await expect(pex.join()).rejects.toThrow("not running");
  expect(() => pex.attach(server)).toThrow("attached already");
  const key = net.network.random.secretKey();
  const loose = createPeerExchange({ key });
  await expect(loose.join()).rejects.toThrow("no server is attached");
  expect(() => loose.attach(server)).toThrow("another key");
  expect(() => loose.attach(net.network.server("b", { key }))).toThrow("without the protocols");
  await loose.close();
  expect(() => loose.attach(server)).toThrow("closed");
});

test("a public and a private part of a network join without telling each other what only one can use", async () => {
  await using net = new PexNetwork();
  const hosts = ["52.1.0.1", "52.2.0.1", "10.7.0.1", "10.7.0.2"];
  const nodes = hosts.map((host) => nodeAt(net, host, { targetPeers: 0 }));
  const [first] = nodes;
  if (first === undefined) throw new Error("a first node");
  await first.server.start();
  for (const { server, pex } of nodes.slice(1)) {
    await server.start();
    await net.clock.settle(server.dial(first.server.enode));
    expect(pex.status).toBe("idle");
  }
  await net.clock.advance(60_000);
  const knownTo = nodes.map(({ pex }) =>
    pex
      .known()
      .map(({ ip }) => String(ip))
      .toSorted(),
  );
  expect(knownTo).toEqual([
    ["10.7.0.1", "10.7.0.2", "52.2.0.1"],
    ["52.1.0.1"],
    // The first is a public node to them, and has no word to say on private networks.
    ["52.1.0.1", "52.2.0.1"],
    ["52.1.0.1", "52.2.0.1"],
  ]);
  for (const { pex } of nodes) {
    expect(pex.counters.refused.lan).toBe(0);
    await pex.close();
  }
});

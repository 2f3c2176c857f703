import { expect, test } from "vitest";

import { createPeerExchange, Pex1 } from "../src/index.ts";

import { PexNetwork } from "./network.ts";

test("nodes that join through one bootstrap node soon know everybody", async () => {
  await using net = new PexNetwork();
  const genesis = net.node("genesis");
  await net.start(genesis);
  const bootstrap = [genesis.server.enode];
  for (let i = 0; i < 9; i += 1) await net.start(net.node(`n${i}`, { bootstrap }));
  await net.clock.runUntil(() => net.nodes.every(({ pex }) => pex.known().length === 9), {
    limitMs: 10_000,
  });
});

test("the first node of a network joins it alone", async () => {
  await using net = new PexNetwork();
  const { server, pex } = net.node("genesis");
  await server.start();
  await expect(net.clock.settle(pex.join())).resolves.toMatchObject({ via: "none", attempts: [] });
  expect(pex.status).toBe("isolated");
});

test("our own node among the bootstrap nodes is recognised and not dialed", async () => {
  await using net = new PexNetwork();
  const key = net.network.random.secretKey();
  const pex = createPeerExchange({
    key,
    clock: net.clock,
    bootstrap: [net.network.server("probe", { key }).enode.replace(":0", ":30303")],
  });
  const server = net.network.server("self", { key, protocols: pex.protocols });
  pex.attach(server);
  await server.start();
  await expect(net.clock.settle(pex.join())).resolves.toMatchObject({ via: "none", attempts: [] });
  await pex.close();
});

test("a node is found by its id: itself, a peer, one that was only told of", async () => {
  await using net = new PexNetwork();
  const a = net.node("a");
  await net.start(a);
  const b = net.node("b", { bootstrap: [a.server.enode] });
  await net.start(b);
  const c = net.node("c", { bootstrap: [a.server.enode], targetPeers: 0 });
  await net.start(c);
  await net.clock.runUntil(() => b.pex.find(c.server.id) !== undefined);
  expect(b.pex.find(b.server.id)).toBe(b.pex.record());
  expect(b.pex.find(a.server.id)?.toEnode()).toMatchObject({ host: "10.0.0.1", tcpPort: 30_303 });
  expect(b.pex.find(c.server.id)?.toEnode()).toMatchObject({ host: "10.0.2.1", tcpPort: 30_303 });
  expect(b.pex.find(new Uint8Array(64))).toBeUndefined();
});

test("a listener that throws is reported, and neither others nor connections suffer", async () => {
  await using net = new PexNetwork();
  const reported: string[] = [];
  const ignore = (): void => undefined;
  const logger = {
    debug: ignore,
    info: ignore,
    warn: ignore,
    error: (message: string) => reported.push(message),
  };
  const a = net.node("a", { logger });
  await net.start(a);
  const heard: string[] = [];
  a.pex.on("introduced", () => {
    throw new Error("mine");
  });
  const off = a.pex.on("introduced", ({ record }) => heard.push(record.ip ?? ""));
  await net.start(net.node("b", { bootstrap: [a.server.enode] }));
  await net.clock.advance(1_000);
  off();
  await net.start(net.node("c", { bootstrap: [a.server.enode] }));
  await net.clock.advance(1_000);
  expect(heard).toEqual(["10.0.1.1"]);
  expect(reported).toEqual(["an event listener threw", "an event listener threw"]);
  expect(a.pex.peers).toHaveLength(2);
});

test("a peer is asked for as many as one likes, of the kind one likes", async () => {
  await using net = new PexNetwork();
  const a = net.node("a");
  await net.start(a);
  const bootstrap = [a.server.enode];
  // Nobody else speaks it, so it never runs.
  const chat = { name: "chat", version: 2, length: 1, run: () => Promise.resolve() };
  for (let at = 0; at < 6; at += 1) await net.start(net.node(`n${at}`, { bootstrap }));
  const talker = net.network.random.secretKey();
  const pex = createPeerExchange({ key: talker, clock: net.clock, bootstrap });
  const server = net.network.server("talker", {
    key: talker,
    protocols: [...pex.protocols, chat],
  });
  pex.attach(server);
  await server.start();
  await net.clock.settle(pex.join());
  const asker = net.node("asker", {
    bootstrap,
    targetPeers: 0,
    limits: { refreshMinMs: 600_000, refreshMaxMs: 600_000 },
  });
  await asker.server.start();
  const peer = await net.clock.settle(asker.server.dial(a.server.enode));
  const context = await net.clock.settle(peer.protocol(Pex1));
  await net.clock.advance(1_000);
  expect((await net.clock.settle(asker.pex.ask(peer, { count: 2 }))).length).toBeLessThanOrEqual(2);
  for (const [capability, count] of [
    ["chat", 1],
    ["chat/2", 1],
    ["chat/1", 0],
    ["pex", 7],
  ] as const) {
    const answer = await net.clock.settle(context.call.getPeers({ count: 64, capability }));
    expect(answer).toHaveLength(count);
  }
  expect(await net.clock.settle(context.call.getPeers({ count: 3 }))).toHaveLength(3);
  expect(await net.clock.settle(context.call.getPeers({ count: 0 }))).toEqual([]);
  const stranger = Object.create(peer, { id: { value: new Uint8Array(64) } }) as typeof peer;
  await expect(asker.pex.ask(stranger)).rejects.toThrow(TypeError);
  await pex.close();
});

test("after closing, a node answers and hands on nothing by itself any more", async () => {
  await using net = new PexNetwork();
  const a = net.node("a");
  await net.start(a);
  const bootstrap = [a.server.enode];
  await net.start(net.node("b", { bootstrap }));
  await a.pex.close();
  await a.pex.close();
  const { announced, asked } = a.pex.counters;
  await net.start(net.node("c", { bootstrap }));
  await net.clock.advance(60_000);
  expect([a.pex.counters.announced, a.pex.counters.asked]).toEqual([announced, asked]);
  expect(a.pex.status).toBe("idle");
});

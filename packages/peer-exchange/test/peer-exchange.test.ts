import { expect, test } from "vitest";

import { createPeerExchange } from "../src/index.ts";

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

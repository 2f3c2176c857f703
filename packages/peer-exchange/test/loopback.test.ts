import { generateSecretKey } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import { afterEach, expect, test, vi } from "vitest";

import { createPeerExchange } from "../src/index.ts";
import type { PexOptions } from "../src/index.ts";
import { isConnected } from "./graph.ts";
import { joinPatiently, startNode, stopNode } from "./simulation/loopback.ts";
import type { LoopbackNode } from "./simulation/loopback.ts";

const running = new Set<LoopbackNode>();
const patience = { timeout: 30_000, interval: 50 };

async function start(options: Partial<PexOptions> = {}, listen?: string): Promise<LoopbackNode> {
  const node = await startNode(options, listen);
  running.add(node);
  return node;
}

async function stop(node: LoopbackNode): Promise<void> {
  running.delete(node);
  await stopNode(node);
}

afterEach(async () => {
  await Promise.all([...running].map(stop));
});

test("of twenty servers on loopback each soon knows all others, and they outlive their bootstrap node", async () => {
  const bootstrap = await start();
  const options = { bootstrap: [bootstrap.server.enode] };
  const others = await Promise.all(Array.from({ length: 19 }, () => start(options)));
  await Promise.all(others.map(joinPatiently));
  const all = [bootstrap, ...others];
  await vi.waitFor(
    () => expect(all.map(({ pex }) => pex.known().length)).toEqual(all.map(() => 19)),
    patience,
  );

  await stop(bootstrap);
  const servers = others.map(({ server }) => server);
  await vi.waitFor(() => expect(isConnected(servers)).toBe(true), patience);

  const member = others[Math.floor(Math.random() * others.length)];
  const newcomer = await start({ bootstrap: [member?.server.enode ?? ""] });
  await joinPatiently(newcomer);
  await vi.waitFor(() => {
    const key = newcomer.pex.record().toString();
    for (const { pex } of others) expect(pex.known().map(String)).toContain(key);
    expect(newcomer.pex.known().length).toBeGreaterThanOrEqual(19);
  }, patience);
}, 90_000);

test("a node that listens on every interface is known by the address its connections have", async () => {
  const bootstrap = await start();
  const { pex, server } = await start({ bootstrap: [bootstrap.server.enode] }, "0.0.0.0:0");
  expect(pex.record().toEnode()).toBeUndefined();
  await joinPatiently({ pex, server });
  await vi.waitFor(() => expect(pex.status).toBe("joined"), patience);
  expect(pex.record().toEnode()).toMatchObject({
    host: "127.0.0.1",
    tcpPort: server.address?.port,
  });
  await vi.waitFor(
    () => expect(bootstrap.pex.known().map(String)).toEqual([pex.record().toString()]),
    patience,
  );
});

test("a node that does not listen knows others and is in nobody's book", async () => {
  const bootstrap = await start();
  const key = generateSecretKey();
  const pex = createPeerExchange({ key, bootstrap: [bootstrap.server.enode] });
  await using server = new Server({ key, clientId: "test/1", protocols: pex.protocols });
  pex.attach(server);
  await server.start();
  await joinPatiently({ pex, server });
  await vi.waitFor(() => expect(pex.known()).toHaveLength(1), patience);
  await vi.waitFor(() => expect(bootstrap.pex.peers).toHaveLength(1), patience);
  expect(bootstrap.pex.known()).toEqual([]);
  expect(bootstrap.pex.find(server.id)?.toEnode()).toBeUndefined();
  expect(bootstrap.pex.counters.refused.noAddress).toBe(0);
  await pex.close();
});

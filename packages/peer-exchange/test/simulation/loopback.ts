import { setTimeout as delay } from "node:timers/promises";

import { generateSecretKey } from "@heddle/identity";
import { Server } from "@heddle/p2p";

import { createPeerExchange, JoinError } from "../../src/index.ts";
import type { PeerExchange, PexOptions } from "../../src/index.ts";

/** One node with a real socket. */
export interface LoopbackNode {
  readonly server: Server;
  readonly pex: PeerExchange;
}

/** Starts a node on loopback, on a port of the system's choice. */
export async function startNode(
  options: Partial<PexOptions> = {},
  listen = "127.0.0.1:0",
): Promise<LoopbackNode> {
  const key = generateSecretKey();
  const pex = createPeerExchange({ key, ...options });
  const server = new Server({
    key,
    clientId: "test/1",
    listen,
    protocols: pex.protocols,
    candidates: [pex.candidates],
    // All share a few cores, with whatever else a machine has to do.
    limits: { handshakeTimeoutMs: 60_000 },
  });
  pex.attach(server);
  await server.start();
  return { server, pex };
}

export async function stopNode({ server, pex }: LoopbackNode): Promise<void> {
  await server.stop();
  await pex.close();
}

/** Joins; on a machine that is too busy for the first attempt it succeeds in the background. */
export async function joinPatiently({ pex }: LoopbackNode): Promise<void> {
  try {
    await pex.join();
  } catch (error) {
    if (!(error instanceof JoinError)) throw error;
  }
}

/** Starts nodes all at once, with the first as their bootstrap node, and waits until all know all. */
export async function measureLoopback({
  nodes: count,
}: {
  readonly nodes: number;
}): Promise<{ readonly completeMs: number }> {
  const first = await startNode();
  const options = { bootstrap: [first.server.enode] };
  const startedAt = performance.now();
  const others = await Promise.all(Array.from({ length: count - 1 }, () => startNode(options)));
  await Promise.all(others.map(joinPatiently));
  const nodes = [first, ...others];
  while (!nodes.every(({ pex }) => pex.known().length === count - 1)) await delay(20);
  const completeMs = performance.now() - startedAt;
  await Promise.all(nodes.map(stopNode));
  return { completeMs };
}

import { memoryNetwork } from "@heddle/testing";
import type { MemoryNetworkOptions, SimulatedNetwork } from "@heddle/testing";
import type { Server } from "@heddle/p2p";

import { createGossip } from "../src/index.ts";
import type { Gossip, GossipLimits, GossipMessage, GossipOptions } from "../src/index.ts";

/** One node of a simulated network. */
export interface SimulatedNode {
  readonly server: Server;
  readonly gossip: Gossip;
  /** Everything that was delivered to it on topic `t`, as it came. */
  readonly received: GossipMessage[];
}

/** A network in memory whose nodes gossip. */
export interface GossipNetwork extends AsyncDisposable {
  readonly network: SimulatedNetwork;
  readonly nodes: readonly SimulatedNode[];
}

/** What a test may set on all nodes. */
export interface GossipNetworkOptions {
  readonly network?: MemoryNetworkOptions;
  readonly gossip?: Omit<Partial<GossipOptions>, "key" | "clock" | "random">;
  /** Limits of single nodes, by their places. */
  readonly limits?: readonly Partial<GossipLimits>[];
}

/** Starts `count` nodes; nobody is connected. */
export async function gossipNetwork(
  count: number,
  options: GossipNetworkOptions = {},
): Promise<GossipNetwork> {
  const network = memoryNetwork({ latencyMs: 50, session: "null", ...options.network });
  const nodes = Array.from({ length: count }, (_, index): SimulatedNode => {
    const key = network.random.secretKey();
    const gossip = createGossip({
      ...options.gossip,
      key,
      clock: network.clock,
      random: network.random.fork().next,
      limits: { ...options.gossip?.limits, ...options.limits?.[index] },
    });
    const received: GossipMessage[] = [];
    gossip.subscribe("t", {}, (message) => received.push(message));
    const server = network.server(`n${index}`, {
      key,
      protocols: gossip.protocols,
      maxPeers: 1_000,
      dialRatio: 1,
    });
    return { server, gossip, received };
  });
  await network.start();
  const stop = async (): Promise<void> => {
    for (const { gossip } of nodes) gossip.close();
    await network.stop();
  };
  return { network, nodes, [Symbol.asyncDispose]: stop };
}

/** Has one node dial the other. */
export async function connect(
  { network }: GossipNetwork,
  from: SimulatedNode,
  to: SimulatedNode,
): Promise<void> {
  await network.clock.settle(from.server.dial(to.server.enode));
}

/** How a network is connected. */
export interface ConnectOptions {
  /** An even number: how many neighbours each node has. */
  readonly degree: number;
  /** Whether connections that are lost are dialed again; false by default. */
  readonly isMaintained?: boolean;
}

/** Connects all nodes at random, by rings in random order, which makes a connected and regular graph. */
export async function connectRandomly(
  { network, nodes }: Pick<GossipNetwork, "network"> & { nodes: readonly { server: Server }[] },
  { degree, isMaintained = false }: ConnectOptions,
): Promise<void> {
  const edges = new Set<string>();
  const dials: Promise<unknown>[] = [];
  for (let ring = 0; ring < degree / 2; ring++) {
    const order = network.random.shuffle(nodes.map((_, index) => index));
    for (const [at, i] of order.entries()) {
      const j = order[(at + 1) % order.length] as number;
      const edge = `${Math.min(i, j)} ${Math.max(i, j)}`;
      const [from, to] = [nodes[i], nodes[j]];
      if (i === j || edges.has(edge) || from === undefined || to === undefined) continue;
      edges.add(edge);
      dials.push(from.server.dial(to.server.enode));
    }
    // A few at a time: what a server may have pending is bounded.
    await network.clock.settle(Promise.all(dials.splice(0)));
  }
  if (!isMaintained) return;
  for (const edge of edges) {
    const [i, j] = edge.split(" ").map(Number) as [number, number];
    nodes[i]?.server.maintain(nodes[j]?.server.enode ?? "");
  }
}

/** A payload that says a word. */
export function say(word: string): Uint8Array {
  return new TextEncoder().encode(word);
}

/** The words that were received, as they came. */
export function words({ received }: SimulatedNode): string[] {
  return received.map(({ payload }) => new TextDecoder().decode(payload));
}

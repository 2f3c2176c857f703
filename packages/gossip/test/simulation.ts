import type { Protocol, Server } from "@heddle/p2p";
import { defineProtocol, implement, notify } from "@heddle/protocol";
import type { Context, NotifyMessage, ProtocolDefinition } from "@heddle/protocol";
import { memoryNetwork } from "@heddle/testing";
import type { SimulatedNetwork } from "@heddle/testing";

import { createGossip } from "../src/index.ts";
import type { GossipMessage, SignedContent } from "../src/index.ts";
import { keyOf, messageId, signedContent, signMessage } from "../src/message.ts";
import { connectRandomly } from "./network.ts";

/** One way, between any two nodes: a delay divided by it counts hops. */
const HOP_MS = 100;

const TOPIC = "news";

/** What is broadcast in which network. */
export interface SpreadOptions {
  readonly nodes: number;
  readonly messages: number;
  /** `flood`: every node sends what is new to it to all its neighbours but the one it came from. */
  readonly way: "gossip" | "flood";
  /** 8 by default. */
  readonly degree?: number;
  /** 256 bytes by default. */
  readonly payloadBytes?: number;
  /** Between two messages, in the whole network; 100 by default. */
  readonly intervalMs?: number;
  readonly seed?: number;
}

/** What came of it. */
export interface Spread {
  /** Pairs of a message and a node it had to reach. */
  readonly expected: number;
  /** Deliveries, and those of them that were not the first. */
  readonly delivered: number;
  readonly repeated: number;
  /** From publication to delivery. */
  readonly hops: { readonly median: number; readonly p99: number; readonly worst: number };
  /** Sent by each node for each broadcast, in the mean; comparisons in that time included. */
  readonly messagesPerNode: number;
  readonly bytesPerNode: number;
}

interface Speaker {
  readonly server: Server;
  publish(payload: Uint8Array): string;
}

type Deliver = (key: string) => void;

/** Broadcasts in a random network in virtual time, and counts. */
export async function measureSpread(options: SpreadOptions): Promise<Spread> {
  const { nodes, messages, way, degree = 8, payloadBytes = 256, intervalMs = 100 } = options;
  await using network = memoryNetwork({
    seed: options.seed ?? 1,
    latencyMs: HOP_MS,
    session: "null",
  });
  const { clock, random } = network;
  const published = new Map<string, number>();
  const delays: number[] = [];
  let repeated = 0;
  const join = way === "gossip" ? joinGossip : joinFlood;
  const speakers = Array.from({ length: nodes }, (_, index): Speaker => {
    const seen = new Set<string>();
    return join(network, `n${index}`, (key) => {
      if (seen.has(key)) repeated += 1;
      seen.add(key);
      delays.push(clock.now() - (published.get(key) ?? Number.NaN));
    });
  });
  await network.start();
  await connectRandomly({ network, nodes: speakers }, { degree });
  await clock.advance(1_000);
  const before = countSent(network);
  for (let i = 0; i < messages; i++) {
    published.set(random.pick(speakers).publish(random.bytes(payloadBytes)), clock.now());
    await clock.advance(intervalMs);
  }
  await clock.advance(5_000);
  const after = countSent(network);
  return {
    expected: messages * (nodes - 1),
    delivered: delays.length,
    repeated,
    hops: summarize(delays.map((delay) => delay / HOP_MS)),
    messagesPerNode: (after.messages - before.messages) / messages / nodes,
    bytesPerNode: (after.bytes - before.bytes) / messages / nodes,
  };
}

function joinGossip(network: SimulatedNetwork, name: string, deliver: Deliver): Speaker {
  const key = network.random.secretKey();
  const random = network.random.fork().next;
  const gossip = createGossip({ key, clock: network.clock, random });
  gossip.subscribe(TOPIC, {}, ({ id }) => deliver(keyOf(id)));
  const server = addServer(network, name, key, gossip.protocols);
  return { server, publish: (payload) => keyOf(gossip.publish(TOPIC, payload).id) };
}

type FloodTable = { readonly push: NotifyMessage<SignedContent> };

const Flood1: ProtocolDefinition<"flood", 1, FloodTable, undefined> = defineProtocol({
  name: "flood",
  version: 1,
  messages: { push: notify(0, signedContent) },
});

function joinFlood(network: SimulatedNetwork, name: string, deliver: Deliver): Speaker {
  const key = network.random.secretKey();
  const contexts = new Set<Context<typeof Flood1>>();
  const seen = new Set<string>();
  let sequence = 0;
  const spread = (content: SignedContent, id: string, from?: Context<typeof Flood1>): void => {
    seen.add(id);
    for (const context of contexts) if (context !== from) void context.send.push(content);
  };
  const protocols = implement([Flood1], {
    on: {
      push(context, content) {
        const id = keyOf(messageId(content));
        if (seen.has(id)) return;
        spread(content, id, context);
        deliver(id);
      },
    },
    async run(context) {
      contexts.add(context);
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      contexts.delete(context);
    },
  });
  const server = addServer(network, name, key, protocols);
  const publish = (payload: Uint8Array): string => {
    const time = network.clock.wallNow();
    const content = { origin: server.id, topic: TOPIC, epoch: time, time, payload };
    const message: GossipMessage = signMessage({ ...content, sequence: ++sequence }, key);
    spread(message, keyOf(message.id));
    return keyOf(message.id);
  };
  return { server, publish };
}

function addServer(
  network: SimulatedNetwork,
  name: string,
  key: Uint8Array,
  protocols: readonly Protocol[],
): Server {
  return network.server(name, { key, protocols, maxPeers: 1_000, dialRatio: 1 });
}

function countSent(network: SimulatedNetwork): { messages: number; bytes: number } {
  const sent = { messages: 0, bytes: 0 };
  for (const { counters } of network.servers) {
    for (const { out } of Object.values(counters.protocols)) {
      for (const { bytes, messages } of Object.values(out)) {
        sent.messages += messages;
        sent.bytes += bytes;
      }
    }
  }
  return sent;
}

function summarize(values: readonly number[]): Spread["hops"] {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  return { median: at(0.5), p99: at(0.99), worst: at(1) };
}

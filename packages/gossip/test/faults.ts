import type { Server } from "@heddle/p2p";
import { memoryNetwork } from "@heddle/testing";
import type { SimulatedNetwork } from "@heddle/testing";

import { createGossip } from "../src/index.ts";
import type { Gossip } from "../src/index.ts";
import { keyOf } from "../src/message.ts";
import { connectRandomly } from "./network.ts";

const TOPIC = "news";

/** How large a trial is. */
export interface TrialOptions {
  readonly nodes: number;
  /** How many messages are published while things go wrong. */
  readonly messages: number;
  readonly seed?: number;
}

/** What came of it. */
export interface Outcome {
  /** Pairs of a message and a node it had to reach. */
  readonly expected: number;
  /** How many of them were reached while things were wrong, and in the end. */
  readonly before: number;
  readonly after: number;
  /** Deliveries that were not the first. */
  readonly repeated: number;
  /** Virtual seconds from the end of the trouble until everybody had everything. */
  readonly healedInS: number;
}

interface Node {
  readonly server: Server;
  readonly gossip: Gossip;
  readonly seen: Set<string>;
}

/** Nodes, and what they have and should have. */
class Trial {
  readonly network: SimulatedNetwork;
  readonly nodes: readonly Node[];
  #repeated = 0;
  #published = 0;

  constructor({ nodes, seed = 1 }: TrialOptions) {
    const latencyMs = { min: 10, max: 190 };
    this.network = memoryNetwork({ seed, latencyMs, session: "null" });
    this.nodes = Array.from({ length: nodes }, (_, index) => this.#join(`n${index}`));
  }

  get expected(): number {
    return this.#published * (this.nodes.length - 1);
  }

  get delivered(): number {
    return this.nodes.reduce((sum, { seen }) => sum + seen.size, 0);
  }

  async connect(isMaintained: boolean): Promise<void> {
    await this.network.start();
    await connectRandomly(this, { degree: 8, isMaintained });
    await this.network.clock.advance(1_000);
  }

  /** Has nodes chosen at random publish, evenly over a time. */
  async publish(
    count: number,
    { overMs, by }: { overMs: number; by?: readonly Node[] },
  ): Promise<void> {
    for (let i = 0; i < count; i++) {
      const node = this.network.random.pick(by ?? this.nodes);
      node.gossip.publish(TOPIC, this.network.random.bytes(64));
      this.#published += 1;
      await this.network.clock.advance(overMs / count);
    }
  }

  /** Lets time pass until everybody has everything, or ten minutes. */
  async settle(before: number): Promise<Outcome> {
    const { clock } = this.network;
    const start = clock.now();
    while (this.delivered < this.expected && clock.now() < start + 600_000)
      await clock.advance(500);
    return {
      expected: this.expected,
      before,
      after: this.delivered,
      repeated: this.#repeated,
      healedInS: (clock.now() - start) / 1000,
    };
  }

  async stop(): Promise<void> {
    for (const { gossip } of this.nodes) gossip.close();
    await this.network.stop();
  }

  #join(name: string): Node {
    const { clock, random } = this.network;
    const key = random.secretKey();
    const gossip = createGossip({ key, clock, random: random.fork().next });
    const seen = new Set<string>();
    gossip.subscribe(TOPIC, {}, ({ id }) => {
      if (seen.has(keyOf(id))) this.#repeated += 1;
      seen.add(keyOf(id));
    });
    const { protocols } = gossip;
    const server = this.network.server(name, { key, protocols, maxPeers: 1_000, dialRatio: 1 });
    return { server, gossip, seen };
  }
}

async function inTrial(
  options: TrialOptions,
  play: (trial: Trial) => Promise<Outcome>,
): Promise<Outcome> {
  const trial = new Trial(options);
  try {
    return await play(trial);
  } finally {
    await trial.stop();
  }
}

/** A fifth of all connections is lost at once amid the broadcasts, and stays lost. */
export function loseConnections(options: TrialOptions): Promise<Outcome> {
  return inTrial(options, async (trial) => {
    await trial.connect(false);
    await trial.publish(options.messages / 2, { overMs: 10_000 });
    trial.network.breakConnections(0.2);
    await trial.publish(options.messages / 2, { overMs: 10_000 });
    return trial.settle(trial.delivered);
  });
}

/** The network is cut in two halves for a minute, in which both publish. */
export function partition(options: TrialOptions): Promise<Outcome> {
  return inTrial(options, async (trial) => {
    await trial.connect(true);
    const half = trial.nodes.slice(0, trial.nodes.length / 2);
    trial.network.partition(half.map(({ server }) => server));
    await trial.publish(options.messages, { overMs: 60_000 });
    const before = trial.delivered;
    trial.network.heal();
    return trial.settle(before);
  });
}

/** A fifth of all nodes is offline for a minute, in which the others publish. */
export function goOffline(options: TrialOptions): Promise<Outcome> {
  return inTrial(options, async (trial) => {
    await trial.connect(true);
    const count = Math.max(1, Math.round(trial.nodes.length / 5));
    const [gone, others] = [trial.nodes.slice(0, count), trial.nodes.slice(count)];
    for (const { server } of gone) trial.network.kill(server);
    await trial.publish(options.messages, { overMs: 60_000, by: others });
    const before = trial.delivered;
    await Promise.all(gone.map(({ server }) => server.start()));
    // Whom it kept connected to is forgotten with a stop: it joins anew, by two of the others.
    for (const { server } of gone) {
      for (const other of trial.network.random.shuffle(others).slice(0, 2)) {
        server.maintain(other.server.enode);
      }
    }
    return trial.settle(before);
  });
}

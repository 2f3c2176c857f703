import { memoryNetwork } from "@heddle/testing";
import type {
  MemoryNetworkOptions,
  SimulatedNetwork,
  SimulatedServerOptions,
} from "@heddle/testing";
import type { Server } from "@heddle/p2p";

import { createPeerExchange, RecordCache } from "../src/index.ts";
import type { PeerExchange, PexOptions } from "../src/index.ts";

/** One simulated node. */
export interface PexNode {
  readonly name: string;
  readonly server: Server;
  readonly pex: PeerExchange;
}

/** Simulated nodes that find each other, in virtual time. */
export class PexNetwork implements AsyncDisposable {
  readonly network: SimulatedNetwork;
  readonly nodes: PexNode[] = [];
  readonly #cache = new RecordCache(20_000);
  readonly #keys = new Map<string, Uint8Array>();
  readonly #others: Server[] = [];

  constructor(options: MemoryNetworkOptions = {}) {
    this.network = memoryNetwork({ session: "null", latencyMs: { min: 10, max: 80 }, ...options });
  }

  get clock(): SimulatedNetwork["clock"] {
    return this.network.clock;
  }

  /** Makes a node; the same name, with a number behind it, has the same key again. */
  node(
    name: string,
    options: Partial<PexOptions> = {},
    serverOptions: SimulatedServerOptions = {},
  ): PexNode {
    const key = this.#keys.get(name) ?? this.network.random.secretKey();
    this.#keys.set(name, key);
    const pex = createPeerExchange({
      key,
      clock: this.clock,
      random: this.network.random.fork().next,
      cache: this.#cache,
      ...options,
    });
    const server = this.network.server(`${name}-${this.nodes.length}`, {
      key,
      protocols: pex.protocols,
      candidates: [pex.candidates],
      ...serverOptions,
    });
    pex.attach(server);
    const node = { name, server, pex };
    this.nodes.push(node);
    return node;
  }

  /** Starts a node and joins it. */
  async start({ server, pex }: PexNode): Promise<void> {
    await server.start();
    await this.clock.settle(pex.join());
  }

  /** Stops a server of the test's own with the network. */
  alsoStop(server: Server): void {
    this.#others.push(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clock.settle(Promise.all(this.#others.map((server) => server.stop())));
    await this.network.stop();
    await Promise.all(this.nodes.map(({ pex }) => pex.close()));
  }
}

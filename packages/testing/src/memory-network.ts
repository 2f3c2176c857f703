import { createRlpxUpgrade, MemoryNetwork, memoryStreamPair, Server, sleep } from "@heddle/p2p";
import type {
  ByteStream,
  ServerOptions,
  SessionUpgrade,
  StreamAddress,
  Transport,
} from "@heddle/p2p";

import { SimulatedLink } from "./link.ts";
import { nullSession } from "./null-session.ts";
import { seededRandom } from "./random.ts";
import type { SeededRandom } from "./random.ts";
import { VirtualClock } from "./virtual-clock.ts";

const PORT = 30_303;

/** What a simulated network is like. */
export interface MemoryNetworkOptions {
  /** A new one, if not given. */
  readonly clock?: VirtualClock;
  /** An integer, 1 by default: the same seed and the same calls give the same run. */
  readonly seed?: number;
  /** One way, in milliseconds: the same for all, or drawn once for each two hosts. 0 by default. */
  readonly latencyMs?: number | { readonly min: number; readonly max: number };
  /** Of each direction of each connection, in bytes per second; without limit by default. */
  readonly bandwidth?: number;
  /** The share of dials that fail, from 0 (the default) to 1. */
  readonly loss?: number;
  /** `"rlpx"`, the default, or `"null"`: no cryptography, for networks of hundreds of nodes. */
  readonly session?: "rlpx" | "null";
}

/** What a test may set on a simulated server; the rest is the network's. */
export type SimulatedServerOptions = Partial<
  Omit<ServerOptions, "clock" | "random" | "session" | "transport">
>;

/**
 * Makes a network in memory, in virtual time, that is the same in every run.
 *
 * @throws RangeError for a seed, latency, bandwidth or loss that is none
 * @example
 * await using network = memoryNetwork({ seed: 7, latencyMs: { min: 10, max: 90 }, session: "null" });
 * const [a, b] = [network.server("a", { protocols }), network.server("b", { protocols })];
 * await network.start();
 * await network.clock.settle(a.dial(b.enode));
 * await network.clock.advance(600_000);
 */
export function memoryNetwork(options: MemoryNetworkOptions = {}): SimulatedNetwork {
  return new SimulatedNetwork(options);
}

interface Node {
  readonly server: Server;
  readonly host: string;
}

interface Connection {
  readonly hosts: readonly [string, string];
  readonly ends: readonly [ByteStream, ByteStream];
}

/** Servers on a network whose time, delays and failures a test decides; see {@link memoryNetwork}. */
export class SimulatedNetwork extends MemoryNetwork implements AsyncDisposable {
  readonly clock: VirtualClock;
  /** For the test's own choices, so that they belong to the seed, too. */
  readonly random: SeededRandom;
  readonly #options: Required<Omit<MemoryNetworkOptions, "clock" | "seed">>;
  readonly #session: SessionUpgrade;
  readonly #keys: SeededRandom;
  readonly #chances: SeededRandom;
  readonly #nodes = new Map<string, Node>();
  readonly #connections = new Set<Connection>();
  readonly #latencies = new Map<string, number>();
  readonly #held = new Set<SimulatedLink>();
  #cuts: (readonly [ReadonlySet<string>, ReadonlySet<string>])[] = [];
  #onHeal: (() => void)[] = [];

  constructor(options: MemoryNetworkOptions) {
    super();
    const { clock = new VirtualClock(), seed = 1, ...rest } = options;
    this.#options = { latencyMs: 0, bandwidth: Infinity, loss: 0, session: "rlpx", ...rest };
    checkOptions(this.#options);
    this.clock = clock;
    this.random = seededRandom(seed);
    this.#keys = this.random.fork();
    this.#chances = this.random.fork();
    const entropy = this.random.fork();
    const randomBytes = (length: number): Uint8Array => entropy.bytes(length);
    this.#session =
      this.#options.session === "null" ? nullSession : createRlpxUpgrade({ randomBytes });
  }

  /** All servers, in the order they were made. */
  get servers(): readonly Server[] {
    return Array.from(this.#nodes.values(), ({ server }) => server);
  }

  /** How many connections there are, those that are still shaking hands included. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Makes a server on a host of its own, `10.x.y.1`, listening on port 30303; it is not started.
   *
   * @throws TypeError when the name is taken, or as `Server` does
   */
  server(name: string, options: SimulatedServerOptions = {}): Server {
    if (this.#nodes.has(name)) throw new TypeError(`there is a server named ${name} already`);
    const index = this.#nodes.size;
    // One host per /24: rules that count by subnet see strangers.
    const host = `10.${index >> 8}.${index & 0xff}.1`;
    const server = new Server({
      key: this.#keys.secretKey(),
      clientId: `${name}/1`,
      listen: `${host}:${PORT}`,
      ...options,
      transport: this.transport(host),
      clock: this.clock,
      random: this.#chances.fork().next,
      session: this.#session,
    });
    this.#nodes.set(name, { server, host });
    return server;
  }

  /** Starts all servers that are not running. */
  async start(): Promise<void> {
    const stopped = this.servers.filter(({ isRunning }) => !isRunning);
    await Promise.all(stopped.map((server) => server.start()));
  }

  /** Stops all servers, letting the time pass that takes. */
  async stop(): Promise<void> {
    this.heal();
    await this.clock.settle(Promise.all(this.servers.map((server) => server.stop())));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * Cuts every way between two groups, until {@link heal}: bytes are held back and dials wait, as when
   * packets are lost. Connections end by the servers' own deadlines.
   *
   * @param others - everybody who is not in `group`, if not given
   */
  partition(group: readonly Server[], others?: readonly Server[]): void {
    const one = new Set(group.map((server) => this.#hostOf(server)));
    const rest = others ?? this.servers.filter((server) => !group.includes(server));
    this.#cuts.push([one, new Set(rest.map((server) => this.#hostOf(server)))]);
  }

  /** Mends every cut: what was held back arrives now. */
  heal(): void {
    this.#cuts = [];
    for (const link of this.#held) link.release();
    this.#held.clear();
    for (const resume of this.#onHeal.splice(0)) resume();
  }

  /**
   * Ends a server as SIGKILL ends a process: its streams are reset and nobody is told why. It may be
   * started again.
   */
  kill(server: Server): void {
    const host = this.#hostOf(server);
    for (const { hosts, ends } of this.#connections) {
      if (hosts[0] === host) ends[0].destroy();
      else if (hosts[1] === host) ends[1].destroy();
    }
    void server.stop();
  }

  /**
   * Resets connections chosen at random.
   *
   * @param share - of all connections, from 0 to 1
   * @returns how many
   */
  breakConnections(share: number): number {
    checkShare("share", share);
    const chosen = this.#chances
      .shuffle([...this.#connections])
      .slice(0, Math.round(share * this.#connections.size));
    for (const { ends } of chosen) ends[0].destroy();
    return chosen.length;
  }

  override transport(host: string): Transport {
    const transport = super.transport(host);
    return {
      ...transport,
      dial: async (address, options) => {
        await this.#reach(host, address.host, options.signal);
        return transport.dial(address, options);
      },
    };
  }

  protected override connect(from: StreamAddress, to: StreamAddress): [ByteStream, ByteStream] {
    const links = [this.#link(from.host, to.host), this.#link(to.host, from.host)] as const;
    const forget = (): void => void this.#connections.delete(connection);
    const [near, far] = memoryStreamPair([from, to], links);
    const ends: [ByteStream, ByteStream] = [watchClose(near, forget), watchClose(far, forget)];
    const connection: Connection = { hosts: [from.host, to.host], ends };
    this.#connections.add(connection);
    return ends;
  }

  /** Takes the time that connecting takes, and fails where it is to fail. */
  async #reach(from: string, to: string, signal: AbortSignal): Promise<void> {
    const isLost = this.#chances.next() < this.#options.loss;
    const roundTripMs = 2 * this.#latency(from, to);
    if (roundTripMs > 0) await sleep(this.clock, roundTripMs, signal);
    while (this.#isCut(from, to)) await this.#healed(signal);
    if (isLost) throw new Error(`the connection from ${from} to ${to} was lost`);
  }

  #healed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#onHeal.push(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
    });
  }

  #link(from: string, to: string): SimulatedLink {
    const speed = { latencyMs: this.#latency(from, to), bandwidth: this.#options.bandwidth };
    return new SimulatedLink(this.clock, speed, {
      isCut: () => this.#isCut(from, to),
      onHeld: (link) => this.#held.add(link),
    });
  }

  #latency(from: string, to: string): number {
    const { latencyMs } = this.#options;
    if (typeof latencyMs === "number") return latencyMs;
    const key = from < to ? `${from} ${to}` : `${to} ${from}`;
    let drawn = this.#latencies.get(key);
    if (drawn === undefined) {
      drawn = this.#chances.between(latencyMs.min, latencyMs.max);
      this.#latencies.set(key, drawn);
    }
    return drawn;
  }

  #isCut(from: string, to: string): boolean {
    return this.#cuts.some(
      ([one, other]) => (one.has(from) && other.has(to)) || (one.has(to) && other.has(from)),
    );
  }

  #hostOf(server: Server): string {
    for (const node of this.#nodes.values()) if (node.server === server) return node.host;
    throw new TypeError("the server is not on this network");
  }
}

/** The same stream; calls `onClose` when its owner is told of the end, or by `destroy`. */
function watchClose(stream: ByteStream, onClose: () => void): ByteStream {
  return {
    remoteAddress: stream.remoteAddress,
    localAddress: stream.localAddress,
    open: (handlers) =>
      stream.open({
        data: (chunk) => handlers.data(chunk),
        drain: () => handlers.drain(),
        end: () => handlers.end(),
        close(error) {
          onClose();
          handlers.close(error);
        },
      }),
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    write: (chunk) => stream.write(chunk),
    end: () => stream.end(),
    destroy() {
      onClose();
      stream.destroy();
    },
  };
}

function checkOptions({
  latencyMs,
  bandwidth,
  loss,
}: Required<Omit<MemoryNetworkOptions, "clock" | "seed">>): void {
  const { min, max } =
    typeof latencyMs === "number" ? { min: latencyMs, max: latencyMs } : latencyMs;
  if (!(min >= 0 && max >= min && max < Infinity)) {
    throw new RangeError(`latencyMs: expected 0 <= min <= max, got ${min} and ${max}`);
  }
  if (!(bandwidth > 0)) {
    throw new RangeError(`bandwidth: expected a positive number, got ${bandwidth}`);
  }
  checkShare("loss", loss);
}

function checkShare(name: string, share: number): void {
  if (!(share >= 0 && share <= 1)) {
    throw new RangeError(`${name}: expected a number from 0 to 1, got ${share}`);
  }
}

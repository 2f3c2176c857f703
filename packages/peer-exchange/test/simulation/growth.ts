import { toHex } from "@heddle/identity";
import type { Server } from "@heddle/p2p";

import { reachable } from "../graph.ts";
import { PexNetwork } from "../network.ts";
import type { PexNode } from "../network.ts";

/** How a simulated network grows. */
export interface GrowthOptions {
  readonly nodes: number;
  /** One node joins after another, so many milliseconds apart. */
  readonly joinEveryMs: number;
  /** How long the network is left alone after the last has joined. */
  readonly settleMs: number;
  /** The share of the nodes that is killed at once at the end. */
  readonly killed: number;
  readonly seed: number;
}

/** When nodes reached something, in milliseconds of virtual time since each was started. */
export interface Reached {
  readonly median: number;
  readonly percentile95: number;
  /** How many never did. */
  readonly missing: number;
}

/** What was measured. */
export interface GrowthResult {
  readonly nodes: number;
  /** A node knows 95 % of those that were there when it came. */
  readonly knows: Reached;
  /** 95 % of those that were there when it came know a node. */
  readonly isKnown: Reached;
  /** A node has as many dialed peers as it wants, or as there are nodes. */
  readonly degree: Reached;
  /** Sent while the network grew and settled, for each node: `pex` messages by name, and payload bytes. */
  readonly messages: Readonly<Record<string, number>>;
  readonly bytes: number;
  /** Messages of the node that sent most. */
  readonly busiest: number;
  /** Refusals of all nodes, by reason; those that did not come up are left out. */
  readonly refused: Readonly<Record<string, number>>;
  /** Connections of a node. */
  readonly meanDegree: number;
  /** Of the survivors, the share in one piece: at once, and a minute later. */
  readonly connectedAtOnce: number;
  readonly connectedLater: number;
}

const TARGET_PEERS = 8;
const SHARE = 0.95;
const NAMES = ["introduce", "getPeers", "peers", "announce"];

/** Pings would be most of the work, and have no part in what is measured. */
const QUIET = { pingIntervalMs: 3_600_000, idleTimeoutMs: 7_200_000 };

/** Lets nodes join one by one through the first of them, then kills a share of them at once. */
export async function simulateGrowth(options: GrowthOptions): Promise<GrowthResult> {
  const net = new PexNetwork({ seed: options.seed });
  const watch = new Watch(net);
  const genesis = addNode(net, []);
  await net.start(genesis);
  watch.add(genesis);
  for (let index = 1; index < options.nodes; index += 1) {
    const node = addNode(net, [genesis.server.enode]);
    watch.add(node);
    await node.server.start();
    // While everybody waits for time to pass, it finds somebody; if not, it is among the missing.
    node.pex.join().catch(() => undefined);
    await net.clock.advance(options.joinEveryMs);
  }
  await net.clock.advance(options.settleMs);
  const sent = countSent(net.nodes);
  const degrees = net.nodes.map(({ server }) => server.peers.length);
  return {
    nodes: options.nodes,
    ...watch.results(),
    ...sent,
    refused: sumRefusals(net.nodes),
    meanDegree: degrees.reduce((sum, degree) => sum + degree, 0) / degrees.length,
    ...(await killSome(net, options.killed)),
  };
}

function addNode(net: PexNetwork, bootstrap: readonly string[]): PexNode {
  const name = `n${net.nodes.length}`;
  return net.node(name, { bootstrap, targetPeers: TARGET_PEERS }, { limits: QUIET });
}

interface Track {
  readonly startedAt: number;
  /** How many came before it: those it is to know, and to be known by. */
  readonly before: number;
  known: number;
  knownBy: number;
  knowsAt: number | undefined;
  isKnownAt: number | undefined;
  degreeAt: number | undefined;
}

/** Notes when each node knows, is known, and has its peers. */
class Watch {
  readonly #net: PexNetwork;
  readonly #tracks: Track[] = [];
  readonly #indices = new Map<string, number>();

  constructor(net: PexNetwork) {
    this.#net = net;
  }

  /** To be called as each node starts. */
  add({ server, pex }: PexNode): void {
    const index = this.#tracks.length;
    const startedAt = this.#net.clock.now();
    const track: Track = {
      startedAt,
      before: index,
      known: 0,
      knownBy: 0,
      knowsAt: undefined,
      isKnownAt: undefined,
      degreeAt: undefined,
    };
    this.#tracks.push(track);
    this.#indices.set(toHex(server.id), index);
    pex.on("learned", ({ record, isNew }) => {
      const other = this.#indices.get(toHex(record.id));
      if (isNew && other !== undefined) this.#learned(index, other);
    });
    pex.on("introduced", () => {
      const dialed = pex.peers.filter(({ peer }) => !peer.inbound).length;
      const wanted = Math.min(TARGET_PEERS, track.before);
      if (dialed >= wanted) track.degreeAt ??= this.#net.clock.now();
    });
  }

  results(): Pick<GrowthResult, "knows" | "isKnown" | "degree"> {
    // The first has nobody before it.
    const tracks = this.#tracks.slice(1);
    return {
      knows: summarize(tracks, ({ knowsAt }) => knowsAt),
      isKnown: summarize(tracks, ({ isKnownAt }) => isKnownAt),
      degree: summarize(tracks, ({ degreeAt }) => degreeAt),
    };
  }

  #learned(knower: number, other: number): void {
    const [mine, theirs] = [this.#tracks[knower], this.#tracks[other]];
    if (mine === undefined || theirs === undefined) return;
    const now = this.#net.clock.now();
    if (other < knower) {
      mine.known += 1;
      if (mine.known >= SHARE * mine.before) mine.knowsAt ??= now;
    } else {
      theirs.knownBy += 1;
      if (theirs.knownBy >= SHARE * theirs.before) theirs.isKnownAt ??= now;
    }
  }
}

function summarize(tracks: readonly Track[], at: (track: Track) => number | undefined): Reached {
  const times = tracks.flatMap((track) => {
    const reachedAt = at(track);
    return reachedAt === undefined ? [] : [reachedAt - track.startedAt];
  });
  times.sort((a, b) => a - b);
  const quantile = (share: number): number => times[Math.floor(share * (times.length - 1))] ?? NaN;
  return {
    median: quantile(0.5),
    percentile95: quantile(0.95),
    missing: tracks.length - times.length,
  };
}

function countSent(
  nodes: readonly PexNode[],
): Pick<GrowthResult, "messages" | "bytes" | "busiest"> {
  const messages = NAMES.map(() => 0);
  let [bytes, busiest] = [0, 0];
  for (const { server } of nodes) {
    let own = 0;
    for (const [code, sent] of Object.entries(server.counters.protocols["pex/1"]?.out ?? {})) {
      messages[Number(code)] = (messages[Number(code)] ?? 0) + sent.messages;
      bytes += sent.bytes;
      own += sent.messages;
    }
    busiest = Math.max(busiest, own);
  }
  return {
    messages: Object.fromEntries(
      NAMES.map((name, code) => [name, (messages[code] ?? 0) / nodes.length]),
    ),
    bytes: bytes / nodes.length,
    busiest,
  };
}

function sumRefusals(nodes: readonly PexNode[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { pex } of nodes) {
    for (const [reason, count] of Object.entries(pex.counters.refused)) {
      if (count > 0) sums[reason] = (sums[reason] ?? 0) + count;
    }
  }
  return sums;
}

/** Kills a share of the nodes, the first one among them, as if a data centre went dark. */
async function killSome(
  net: PexNetwork,
  share: number,
): Promise<Pick<GrowthResult, "connectedAtOnce" | "connectedLater">> {
  const [first, ...others] = net.nodes.map(({ server }) => server);
  if (first === undefined) return { connectedAtOnce: 1, connectedLater: 1 };
  const count = Math.round(share * net.nodes.length);
  const shuffled = net.network.random.shuffle(others);
  const killed = [first, ...shuffled.slice(0, count - 1)];
  const survivors = shuffled.slice(count - 1);
  for (const server of killed) net.network.kill(server);
  const connectedAtOnce = largestPiece(survivors) / survivors.length;
  await net.clock.advance(60_000);
  return { connectedAtOnce, connectedLater: largestPiece(survivors) / survivors.length };
}

function largestPiece(servers: readonly Server[]): number {
  // More than half in one piece is found from one of a few starts, or there is no such piece.
  const starts = servers.slice(0, 20);
  return Math.max(
    ...starts.map((start) => reachable([start, ...servers.filter((server) => server !== start)])),
  );
}

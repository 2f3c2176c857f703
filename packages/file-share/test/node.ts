import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Enr, generateSecretKey, nodeIdOf, parseEnode, toHex } from "@heddle/identity";
import { MemoryNetwork, Server } from "@heddle/p2p";
import type { Peer, Protocol } from "@heddle/p2p";
import { seededRandom } from "@heddle/testing";
import { afterEach } from "vitest";

import { createFileShare } from "../src/index.ts";
import type { FileShare, FileShareOptions } from "../src/index.ts";

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Runs a cleanup after the test, the last one first. */
export function onEnd(cleanup: () => Promise<unknown>): void {
  cleanups.push(cleanup);
}

/** An empty folder that goes away after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "file-share-test-"));
  onEnd(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Bytes that look random and are the same in every run. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed * 2_654_435_761;
  for (let i = 0; i < length; i++) {
    // Numerical Recipes' linear congruential generator: its upper byte is good enough to tell chunks apart.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** A node of a test: a server in memory, and its file share. */
export interface Node {
  readonly share: FileShare;
  readonly server: Server;
  readonly record: Enr;
  readonly id: string;
}

/** Nodes that reach each other in memory. */
export class Nodes {
  readonly #network = new MemoryNetwork();
  readonly #random = seededRandom(1);
  #count = 0;

  /** A node that shares files. */
  async add(
    options: Partial<FileShareOptions> = {},
    protocols: readonly Protocol[] = [],
  ): Promise<Node> {
    const host = `10.0.${++this.#count}.1`;
    const key = generateSecretKey();
    const record = Enr.create(key, { ip: host, tcp: 30_303 });
    const dial = (holder: Enr): Promise<Peer> => server.dial(holder);
    const share = createFileShare({ key, record: () => record, dial, ...options });
    const server = this.#server(key, host, [...share.protocols, ...protocols]);
    onEnd(async () => {
      await share.close();
      await server.stop();
    });
    await server.start();
    return { share, server, record, id: toHex(nodeIdOf(key)) };
  }

  /** A node with other protocols: a hostile one, say. */
  async addOther(protocols: readonly Protocol[]): Promise<Omit<Node, "share">> {
    const host = `10.0.${++this.#count}.1`;
    const key = generateSecretKey();
    const server = this.#server(key, host, protocols);
    onEnd(() => server.stop());
    await server.start();
    const record = Enr.create(key, { ip: host, tcp: 30_303 });
    return { server, record, id: toHex(nodeIdOf(key)) };
  }

  #server(key: Uint8Array, host: string, protocols: readonly Protocol[]): Server {
    return new Server({
      key,
      clientId: "test/1",
      listen: `${host}:30303`,
      maxPeers: 100,
      dialRatio: 1,
      protocols,
      transport: this.#network.transport(host),
      random: this.#random.fork().next,
    });
  }
}

/** Connects two nodes; resolves when both know. */
export async function connect(a: Pick<Node, "server">, b: Pick<Node, "server">): Promise<Peer> {
  const known = new Promise<void>((resolve) => {
    const off = b.server.on("peer:add", ({ peer }) => {
      if (toHex(peer.id) !== toHex(a.server.id)) return;
      off();
      resolve();
    });
  });
  const peer = await a.server.dial(parseEnode(b.server.enode));
  await known;
  return peer;
}

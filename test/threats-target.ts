import { MemoryNetwork } from "@heddle/p2p";
import type { Server, ServerOptions } from "@heddle/p2p";

import { ManualClock } from "../packages/p2p/test/harness.ts";
import { keyOf, RawPeer, startServer } from "./helpers.ts";

/** A server under attack, on a network in memory and with time that stands still until it is told to pass. */
export interface Target {
  readonly server: Server;
  readonly clock: ManualClock;
  /** Connects from an address of the stranger's own, and says nothing yet. */
  readonly connect: (host: string, key?: Uint8Array) => Promise<RawPeer>;
  /** Connects, shakes hands and exchanges Hellos. */
  readonly enter: (host: string, key?: Uint8Array, options?: EnterOptions) => Promise<RawPeer>;
}

/** What a stranger says it speaks. */
export interface EnterOptions {
  readonly capabilities?: readonly { name: string; version: number }[];
}

let lastKey = 10_000;

/** Starts a {@link Target}; it is stopped after the test. */
export async function startTarget(options: Partial<ServerOptions> = {}): Promise<Target> {
  const network = new MemoryNetwork();
  const clock = new ManualClock();
  const server = await startServer({
    listen: "10.0.0.1:30303",
    transport: network.transport("10.0.0.1"),
    clock,
    ...options,
  });
  const connect = async (host: string, key = keyOf((lastKey += 1))): Promise<RawPeer> => {
    const { signal } = new AbortController();
    const address = { host: "10.0.0.1", port: 30_303 };
    return new RawPeer(await network.transport(host).dial(address, { signal }), key);
  };
  const enter: Target["enter"] = async (host, key, { capabilities } = {}) => {
    const raw = await (await connect(host, key)).initiate(server.id);
    return raw.greet(capabilities);
  };
  return { server, clock, connect, enter };
}

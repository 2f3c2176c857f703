import { generateSecretKey } from "@heddle/identity";
import { MemoryNetwork, Server } from "@heddle/p2p";
import type { Peer, Protocol, ServerOptions } from "@heddle/p2p";

import { VirtualClock } from "./virtual-clock.ts";

/** Two servers in one process, connected. */
export interface ConnectedPair extends AsyncDisposable {
  /** The side that dialed. */
  readonly a: Server;
  /** The side that listens. */
  readonly b: Server;
  /** The other side, as `a` sees it. */
  readonly peerOnA: Peer;
  /** The other side, as `b` sees it. */
  readonly peerOnB: Peer;
}

/** What can be set on both servers; the clock, for one, so that deadlines pass when a test says so. */
export type PairOptions = Partial<
  Pick<ServerOptions, "clock" | "flowControl" | "limits" | "logger" | "random" | "session">
>;

/**
 * Connects two servers over an in-memory stream, with the real handshake, frames and limits.
 *
 * Disposing it stops both, and lets the virtual time pass that takes, where the clock is a
 * {@link VirtualClock}.
 *
 * @param protocolsA - what the dialing side speaks
 * @param protocolsB - what the listening side speaks; the same by default
 * @throws `DialError` when they cannot come together, having no protocol in common for example
 * @example
 * await using pair = await connectedPair([fooBar]);
 * await pair.peerOnA.ping();
 */
export async function connectedPair(
  protocolsA: readonly Protocol[],
  protocolsB: readonly Protocol[] = protocolsA,
  options: PairOptions = {},
): Promise<ConnectedPair> {
  const network = new MemoryNetwork();
  const create = (host: string, protocols: readonly Protocol[], listen: string | false): Server =>
    new Server({
      ...options,
      key: generateSecretKey(),
      clientId: "pair/1",
      listen,
      protocols,
      transport: network.transport(host),
    });
  const a = create("127.0.0.2", protocolsA, false);
  const b = create("127.0.0.3", protocolsB, "127.0.0.3:30303");
  const stop = async (): Promise<void> => {
    const stopped = Promise.all([a.stop(), b.stop()]);
    // Virtual time would stand still while they wait for what is to end.
    await (options.clock instanceof VirtualClock ? options.clock.settle(stopped) : stopped);
  };
  try {
    const joined = new Promise<Peer>((resolve) => {
      b.on("peer:add", ({ peer }) => resolve(peer));
    });
    await Promise.all([a.start(), b.start()]);
    const peerOnA = await a.dial(b.enode);
    return { a, b, peerOnA, peerOnB: await joined, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

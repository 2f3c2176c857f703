import { createFileShare } from "@heddle/file-share";
import type { FileShare, FileShareEvents } from "@heddle/file-share";
import { Enr, generateSecretKey, parseIp4, parseIp6 } from "@heddle/identity";
import { loadOrCreateKeyFile } from "@heddle/identity/key-file";
import { Server } from "@heddle/p2p";

import { ExitCode, Failure } from "./exit-code.ts";

/** How a node of this program is made. */
export interface NodeOptions {
  /** `HOST:PORT`, or false for one that only asks. */
  readonly listen: string | false;
  /** The address that others are told, where it is not the one listened on. */
  readonly address?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Enode URLs of nodes to connect to. */
  readonly join: readonly string[];
  readonly events?: FileShareEvents;
}

/** A running node; disposing it stops everything. */
export interface Node extends AsyncDisposable {
  readonly server: Server;
  readonly share: FileShare;
}

/**
 * Starts a node: a server, and a file share on it.
 *
 * @throws DialError when one of the nodes to join cannot be reached, what the server throws
 */
export async function startNode(options: NodeOptions): Promise<Node> {
  const { listen, address, keyFile, join, events = {} } = options;
  const key = keyFile === undefined ? generateSecretKey() : await loadOrCreateKeyFile(keyFile);
  const record = (): Enr => createRecord(key, server, address);
  const share = createFileShare({
    key,
    record,
    dial: (holder, dialOptions) => server.dial(holder, dialOptions),
    events,
  });
  const server = new Server({
    key,
    clientId: "heddle-files/0.1.0",
    listen,
    dialRatio: 2,
    protocols: share.protocols,
  });
  const stop = async (): Promise<void> => {
    await share.close();
    await server.stop();
  };
  try {
    await server.start();
    for (const enode of join) await server.dial(enode);
  } catch (error) {
    await stop();
    throw error;
  }
  return { server, share, [Symbol.asyncDispose]: stop };
}

/** Says where the node listens; a node that does not listen says nothing but who it is. */
function createRecord(key: Uint8Array, { address: bound }: Server, told: string | undefined): Enr {
  if (bound === undefined) return Enr.create(key);
  const isAny = bound.host === "::" || bound.host === "0.0.0.0";
  const host = told ?? (isAny ? "127.0.0.1" : bound.host);
  if (parseIp4(host) !== undefined) return Enr.create(key, { ip: host, tcp: bound.port });
  if (parseIp6(host) !== undefined) return Enr.create(key, { ip6: host, tcp: bound.port });
  throw new Failure(ExitCode.wrongCall, "--address: expected an IP address");
}

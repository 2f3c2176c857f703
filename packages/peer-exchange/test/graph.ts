import { toHex } from "@heddle/identity";
import type { Server } from "@heddle/p2p";

/** How many of the servers one of them reaches over live connections, itself included. */
export function reachable(servers: readonly Pick<Server, "id" | "peers">[]): number {
  const [first] = servers;
  if (first === undefined) return 0;
  const byId = new Map(servers.map((server) => [toHex(server.id), server]));
  const reached = new Set([toHex(first.id)]);
  // Grows while it is walked, which a set allows.
  for (const key of reached) {
    for (const { id } of byId.get(key)?.peers ?? [])
      if (byId.has(toHex(id))) reached.add(toHex(id));
  }
  return reached.size;
}

/** Whether the servers are one network. */
export function isConnected(servers: readonly Pick<Server, "id" | "peers">[]): boolean {
  return reachable(servers) === servers.length;
}

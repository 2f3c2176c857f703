import type { BenchPeer } from "./peer.ts";

/** Every stack that runs in Node, loaded only in the processes that run it. */
export const nodePeers: Readonly<Record<string, () => Promise<BenchPeer>>> = {
  heddle: async () => (await import("./heddle.ts")).heddle,
  "heddle-typed": async () => (await import("./heddle-typed.ts")).heddleTyped,
  "heddle-portable": async () => (await import("./heddle.ts")).heddle,
  ethereumjs: async () => (await import("./ethereumjs.ts")).ethereumJs,
  libp2p: async () => (await import("./libp2p.ts")).libp2p,
  protomux: async () => (await import("./protomux.ts")).protomux,
  tcp: async () => (await import("./sockets.ts")).tcp,
  tls: async () => (await import("./sockets.ts")).tls,
  "null-session": async () => (await import("./null-session.ts")).nullSession,
};

/** Every stack, in the order of the table. */
export const peerNames: readonly string[] = [
  "heddle",
  "heddle-typed",
  "heddle-portable",
  "geth",
  "ethereumjs",
  "libp2p",
  "protomux",
  "tcp",
  "tls",
  "null-session",
];

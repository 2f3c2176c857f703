import { Enr, encodeRlp } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { DisconnectedError, MessageReadWriter, Peer, Protocol } from "@heddle/p2p";
import {
  bytes,
  defineProtocol,
  implement,
  item,
  list,
  notify,
  optional,
  request,
  struct,
  text,
  uint,
} from "@heddle/protocol";
import type { ContextOf } from "@heddle/protocol";
import { nullSession } from "@heddle/testing";

import { createPeerExchange } from "../src/index.ts";
import type { PeerExchange, PexOptions } from "../src/index.ts";
import type { PexNetwork } from "./network.ts";

/** `pex/1` as it stands on the wire, without the bounds: it can send what nobody should. */
const LoosePex = defineProtocol({
  name: "pex",
  version: 1,
  handshake: "introduce",
  messages: {
    introduce: notify(0, struct({ network: text, record: bytes, seen: bytes })),
    getPeers: request(1, 2, struct({ count: uint, capability: optional(text) }), item),
    announce: notify(3, list(bytes)),
  },
});

/** A node that says what a test wants it to say. */
export interface Hostile {
  readonly server: Server;
  /** Its own record, without an address: it is in nobody's book. */
  readonly record: Enr;
  /** Connects to the victim; resolves when introductions are over. */
  connect(victim: Server): Promise<ContextOf<typeof LoosePex, unknown>>;
  /** Why the connection ended. */
  ended(): Promise<DisconnectedError>;
}

/** What a hostile node does differently. */
export interface HostileOptions {
  readonly network?: string;
  /** What it introduces itself with. */
  readonly introduce?: (own: Enr) => Uint8Array;
  /** Its answer to a question, in RLP. */
  readonly answer?: (count: number) => Uint8Array;
}

/** A node that plays by the rules, on a host of the test's choice. */
export function nodeAt(
  net: PexNetwork,
  host: string,
  options: Partial<PexOptions> = {},
): { readonly server: Server; readonly pex: PeerExchange } {
  const key = net.network.random.secretKey();
  const pex = createPeerExchange({
    key,
    clock: net.clock,
    random: net.network.random.next,
    ...options,
  });
  const server = serverAt(net, host, key, {
    protocols: pex.protocols,
    candidates: [pex.candidates],
  });
  pex.attach(server);
  return { server, pex };
}

/** Makes a hostile node; started, and stopped with the network. */
export async function hostileAt(
  net: PexNetwork,
  host: string,
  { network = "heddle", introduce = (own) => own.encode(), answer }: HostileOptions = {},
): Promise<Hostile> {
  const key = net.network.random.secretKey();
  const record = Enr.create(key, { seq: 1n });
  const protocols = implement([LoosePex], {
    handshake: {
      local: () => ({ network, record: introduce(record), seen: new Uint8Array(0) }),
    },
    on: { getPeers: (_context, { count }) => answer?.(count) ?? encodeRlp([]) },
  });
  const server = serverAt(net, host, key, { protocols });
  const ended = new Promise<DisconnectedError>((resolve) => {
    server.on("peer:drop", ({ error }) => resolve(error));
  });
  await server.start();
  return {
    server,
    record,
    connect: async (victim) => {
      const peer: Peer = await net.clock.settle(server.dial(victim.enode));
      return net.clock.settle(peer.protocol(LoosePex));
    },
    ended: () => net.clock.settle(ended),
  };
}

/** A node that sends what it likes under the name of `pex/1`, a good introduction or not; started. */
export async function rawAt(
  net: PexNetwork,
  host: string,
  speak: (rw: MessageReadWriter, introduction: Uint8Array) => Promise<void>,
): Promise<Server> {
  const key = net.network.random.secretKey();
  const introduction = encodeRlp(["heddle", Enr.create(key).encode(), new Uint8Array(0)]);
  const protocol: Protocol = {
    name: "pex",
    version: 1,
    length: 4,
    run: (_peer, rw) => speak(rw, introduction),
  };
  const server = serverAt(net, host, key, { protocols: [protocol] });
  await server.start();
  return server;
}

function serverAt(
  net: PexNetwork,
  host: string,
  key: Uint8Array,
  options: Pick<ConstructorParameters<typeof Server>[0], "protocols" | "candidates">,
): Server {
  const server = new Server({
    key,
    clientId: "test/1",
    listen: `${host}:30303`,
    transport: net.network.transport(host),
    session: nullSession,
    clock: net.clock,
    random: net.network.random.next,
    ...options,
  });
  net.alsoStop(server);
  return server;
}

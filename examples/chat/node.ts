import { createChat } from "@heddle/chat";
import type { Chat } from "@heddle/chat";
import { createGossip } from "@heddle/gossip";
import { generateSecretKey } from "@heddle/identity";
import { loadOrCreateKeyFile } from "@heddle/identity/key-file";
import { Server } from "@heddle/p2p";
import { createPeerExchange } from "@heddle/peer-exchange";
import type { PeerExchange } from "@heddle/peer-exchange";

import type { ProgramOptions } from "./options.ts";

/** One node of the chat network: who is there, what everybody is told, what is said. */
export interface ChatNode {
  readonly chat: Chat;
  readonly exchange: PeerExchange;
  readonly server: Server;
  /** Takes leave of the rooms, then of the peers. */
  stop(): Promise<void>;
}

/**
 * Puts a node together and starts it.
 *
 * @throws `KeyFileError`, or the system's error when the address cannot be listened on
 */
export async function startNode(options: ProgramOptions): Promise<ChatNode> {
  const { heartbeatMs, join, keyFile, listen, nick } = options;
  const key = keyFile === undefined ? generateSecretKey() : await loadOrCreateKeyFile(keyFile);
  const exchange = createPeerExchange({ key, network: "heddle-chat", bootstrap: join });
  const gossip = createGossip({ key });
  const chat = createChat({
    gossip,
    key,
    nick,
    find: (id) => exchange.find(id),
    dial: (node, { signal }) => server.dial(node, { signal }),
    limits: { heartbeatMs },
  });
  const server: Server = new Server({
    key,
    clientId: "heddle-chat/0.1.0",
    listen,
    protocols: [...exchange.protocols, ...gossip.protocols, ...chat.protocols],
    candidates: [exchange.candidates],
  });
  const stop = async (): Promise<void> => {
    chat.close();
    await exchange.close();
    await server.stop();
    gossip.close();
  };
  exchange.attach(server);
  try {
    await server.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return { chat, exchange, server, stop };
}

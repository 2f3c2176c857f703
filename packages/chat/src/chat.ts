import type { Protocol } from "@heddle/p2p";

import { createConfig } from "./config.ts";
import type { ChatOptions } from "./config.ts";
import type { ChatEvents } from "./events.ts";
import type { MessageHandler } from "./handlers.ts";
import type { ChatMessage } from "./history.ts";
import { ChatNode } from "./node.ts";
import type { Receipt } from "./protocol.ts";
import type { RoomCounters } from "./rooms.ts";

/** Somebody in a room. */
export interface ChatMember {
  /** 64 bytes. */
  readonly id: Uint8Array;
  /** As shown at the moment: safe to print. */
  readonly name: string;
  readonly isSelf: boolean;
  /** Whether direct messages need no new connection. */
  readonly isConnected: boolean;
}

/** What happened so far; plain numbers that can be read at any time. */
export interface ChatCounters extends RoomCounters {
  /** Direct messages of others. */
  direct: number;
  /** Messages of a type that nobody handles. */
  ignored: number;
  /** Comings, goings and new names that were not reported, for there were too many. */
  unreported: number;
}

/** A node's part in the chat: see {@link createChat}. */
export interface Chat extends Disposable {
  /** For the `protocols` of a `Server`, together with gossip's. */
  readonly protocols: readonly Protocol[];
  /** 64 bytes: our node id. */
  readonly id: Uint8Array;
  /** What we are called. */
  readonly nick: string;
  /** The rooms we are in. */
  readonly rooms: readonly string[];
  /** What happened so far; the object stays the same and is counted up. */
  readonly counters: Readonly<ChatCounters>;
  /** Takes another nick and tells the rooms. @throws TypeError, RangeError as `checkNick` does */
  rename(nick: string): void;
  /**
   * Enters a room; whatever gossip holds of it comes as if it were said now. Returns its name in the one form.
   *
   * @throws TypeError, RangeError for a name that is none
   * @throws {@link ChatError} `ERR_CHAT_BUSY` for a room too many, `ERR_CHAT_RATE`, `ERR_CHAT_CLOSED`
   */
  join(room: string): string;
  /** Takes leave of a room; says whether we were there. */
  leave(room: string): boolean;
  /**
   * Says something to everybody in a room.
   *
   * @param text - 1 to 4,096 bytes of UTF-8
   * @throws TypeError, RangeError for a room we are not in, or a text that is none
   * @throws {@link ChatError} `ERR_CHAT_RATE`, `ERR_CHAT_CLOSED`
   */
  say(room: string, text: string): ChatMessage;
  /**
   * Says something to one node; resolves when it has been shown there.
   *
   * A node that is not connected is dialed. While the outcome is not known, the message is sent again on a
   * new connection, once; it is shown once.
   *
   * @param to - the node's id, 64 bytes, or its name: see {@link Chat.resolve}
   * @throws {@link ChatError} that says why not: see the README's table
   */
  tell(to: Uint8Array | string, text: string, options?: SendOptions): Promise<ChatMessage>;
  /** Sends a message of a type of one's own to a room, as {@link Chat.say} does. */
  post(room: string, type: string, body: Uint8Array): void;
  /**
   * Sends a message of a type of one's own to one node, as {@link Chat.tell} does.
   *
   * @returns the receipt: `ignored` if nobody there handles the type
   */
  send(
    to: Uint8Array | string,
    type: string,
    body: Uint8Array,
    options?: SendOptions,
  ): Promise<Receipt>;
  /**
   * Handles messages of a type of one's own; the returned function ends that. Messages of types that nobody
   * handles are ignored, and logged at debug.
   *
   * @param type - 1 to 32 characters of printable ASCII
   * @throws TypeError, RangeError for a type that is none, chat's own, or handled already
   */
  handle(type: string, handler: MessageHandler): () => void;
  /** Adds a listener for an event; the returned function removes it. */
  on<Name extends keyof ChatEvents>(
    name: Name,
    listener: (event: ChatEvents[Name]) => void,
  ): () => void;
  /** Who is in a room, we first. @throws TypeError, RangeError for a name that is none */
  members(room: string): readonly ChatMember[];
  /** How a node is shown: `ann`, `ann#3f2a` where several claim the nick, `#3f2a91b0` without one. */
  nameOf(id: Uint8Array): string;
  /**
   * Finds a node by its name as shown, its nick, or its id in hexadecimal.
   *
   * @throws {@link ChatError} `ERR_CHAT_UNKNOWN_NICK`, `ERR_CHAT_AMBIGUOUS_NICK`
   */
  resolve(name: string): Uint8Array;
  /** What was said since we came, everywhere or in one room; the newest thousand by default. */
  history(room?: string): readonly ChatMessage[];
  /** Leaves every room and gives up what waits; the connections live on. */
  close(): void;
}

/** What one direct message may have. */
export interface SendOptions {
  /** Gives it up when it aborts: the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Makes a node's part in the chat: rooms over gossip, direct messages with receipts.
 *
 * One chat belongs to one gossip and one server, and shares their key.
 *
 * @throws TypeError, RangeError that name the option
 * @example
 * const gossip = createGossip({ key });
 * const chat = createChat({ gossip, key, nick: "ann" });
 * const protocols = [...gossip.protocols, ...chat.protocols];
 * await using server = new Server({ key, clientId: "demo/1.0", protocols });
 * chat.join("lobby");
 * chat.on("message", ({ name, text }) => console.log(`${name}: ${escapeMessage(text)}`));
 */
export function createChat(options: ChatOptions): Chat {
  return new ChatNode(createConfig(options));
}

import {
  bytes,
  defineProtocol,
  fixedBytes,
  mapped,
  notify,
  request,
  struct,
  text,
  uint,
} from "@heddle/protocol";
import type { NotifyMessage, ProtocolDefinition, RequestMessage, Schema } from "@heddle/protocol";

import { MAX_NICK_BYTES } from "./nick.ts";

/** Most bytes of a message type's name. */
export const MAX_TYPE_BYTES = 32;

/** Most bytes of a message's body. */
export const MAX_BODY_BYTES: number = 16 * 1024;

/** Most bytes of what one says at once, in UTF-8. */
export const MAX_TEXT_BYTES = 4_096;

/** Most seconds that may lie between two signs of life, by a member's own word. */
export const MAX_INTERVAL_SECONDS = 3_600;

/** The message types that chat itself handles. */
export const ChatType = { say: "SAY", join: "JOIN", here: "HERE", leave: "LEAVE" } as const;

/** A message of chat, in a room or to one node. */
export interface Envelope {
  /** What kind of message: {@link ChatType}, or one that somebody added. 1 to 32 bytes. */
  readonly type: string;
  /** What its author is called; text of a stranger, 1 to 64 bytes. */
  readonly nick: string;
  /** What the type makes of it: RLP for the types of chat itself. At most 16 KiB. */
  readonly body: Uint8Array;
}

/** A message to one node. */
export interface DirectMessage extends Envelope {
  /** 16 random bytes, the same when it is sent again: so that it is shown once. */
  readonly id: Uint8Array;
}

/** What the sender of a direct message learns: who got it has shown it, knows no such type, or refuses. */
export type ReceiptStatus = "delivered" | "ignored" | "refused";

/** The answer to a direct message. */
export interface Receipt {
  readonly status: ReceiptStatus;
}

/** What both sides say first. */
export interface Introduction {
  /** Text of a stranger, 1 to 64 bytes. */
  readonly nick: string;
}

const envelopeFields = {
  type: text({ min: 1, max: MAX_TYPE_BYTES }),
  nick: text({ min: 1, max: MAX_NICK_BYTES }),
  body: bytes({ max: MAX_BODY_BYTES, copy: true }),
};

/** The payload of a room's gossip messages. */
export const envelope: Schema<Envelope> = struct(envelopeFields);

/** The body of `SAY`. */
export const sayBody: Schema<string> = text({ min: 1, max: MAX_TEXT_BYTES });

/** What a member says of itself. */
export interface Presence {
  /** The member will be heard again within so many seconds. */
  readonly seconds: number;
}

/** The body of `JOIN` and `HERE`; `LEAVE` has an empty one. */
export const presenceBody: Schema<Presence> = struct({
  seconds: uint({ max: MAX_INTERVAL_SECONDS }),
});

const STATUSES: readonly ReceiptStatus[] = ["delivered", "ignored", "refused"];

const status: Schema<ReceiptStatus> = mapped(uint, {
  // What later versions may say is no delivery.
  decode: (code) => STATUSES[code] ?? "refused",
  encode: (name) => STATUSES.indexOf(name),
});

/** The messages of `chat/1`. */
export type ChatTable = {
  /** This is what I am called. */
  readonly introduce: NotifyMessage<Introduction>;
  /** A message for you alone; the reply is its receipt. */
  readonly tell: RequestMessage<DirectMessage, Receipt>;
};

/** The wire table of `chat/1`: three codes. What is said in rooms travels by gossip. */
export const Chat1: ProtocolDefinition<"chat", 1, ChatTable, "introduce"> = defineProtocol({
  name: "chat",
  version: 1,
  handshake: "introduce",
  messages: {
    introduce: notify(0, struct({ nick: text({ min: 1, max: MAX_NICK_BYTES }) })),
    tell: request(1, 2, struct({ id: fixedBytes(16), ...envelopeFields }), struct({ status }), {
      timeoutMs: 10_000,
      maxReplyBytes: 64,
    }),
  },
});

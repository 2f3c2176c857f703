export { createChat } from "./chat.ts";
export type { Chat, ChatCounters, ChatMember, SendOptions } from "./chat.ts";
export { DEFAULT_LIMITS } from "./config.ts";
export type { ChatLimits, ChatOptions } from "./config.ts";
export { ChatError } from "./errors.ts";
export type { ChatErrorCode } from "./errors.ts";
export { escapeMessage } from "./escape.ts";
export type { EscapeOptions } from "./escape.ts";
export type { ChatEvents, PresenceChange } from "./events.ts";
export type { MessageHandler, TypedMessage } from "./handlers.ts";
export type { ChatMessage } from "./history.ts";
export { checkNick, MAX_NICK_BYTES, MAX_NICK_LENGTH } from "./nick.ts";
export { Chat1, ChatType, MAX_BODY_BYTES, MAX_TEXT_BYTES, MAX_TYPE_BYTES } from "./protocol.ts";
export type {
  ChatTable,
  DirectMessage,
  Envelope,
  Introduction,
  Receipt,
  ReceiptStatus,
} from "./protocol.ts";
export type { Quota, Rate } from "./rate.ts";
export { checkRoom, MAX_ROOM_BYTES } from "./room.ts";
export type { RoomCounters } from "./rooms.ts";

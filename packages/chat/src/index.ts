export { ChatError } from "./errors.ts";
export type { ChatErrorCode } from "./errors.ts";
export { escapeMessage } from "./escape.ts";
export type { EscapeOptions } from "./escape.ts";
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
export { checkRoom, MAX_ROOM_BYTES } from "./room.ts";

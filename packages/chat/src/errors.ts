/** What the `code` of a {@link ChatError} may be. */
export type ChatErrorCode =
  | "ERR_CHAT_AMBIGUOUS_NICK"
  | "ERR_CHAT_BUSY"
  | "ERR_CHAT_CLOSED"
  | "ERR_CHAT_NO_ADDRESS"
  | "ERR_CHAT_NO_RECEIPT"
  | "ERR_CHAT_NO_RECORD"
  | "ERR_CHAT_NOT_SPOKEN"
  | "ERR_CHAT_RATE"
  | "ERR_CHAT_REFUSED"
  | "ERR_CHAT_UNKNOWN_NICK"
  | "ERR_CHAT_UNREACHABLE";

/**
 * Something this node asked of chat could not be done; the connections live on.
 *
 * Its message is a sentence for people, and holds no text of strangers but escaped nicknames.
 */
export class ChatError extends Error {
  override readonly name: string = "ChatError";
  readonly code: ChatErrorCode;

  constructor(code: ChatErrorCode, problem: string, options?: ErrorOptions) {
    super(problem, options);
    this.code = code;
  }
}

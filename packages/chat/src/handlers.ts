import { escapeText, RlpError } from "@heddle/identity";
import type { Logger } from "@heddle/p2p";

import { ChatType, MAX_TYPE_BYTES } from "./protocol.ts";
import type { ReceiptStatus } from "./protocol.ts";

/** A message of some type, as its handler gets it. */
export interface TypedMessage {
  readonly type: string;
  /** 64 bytes: who sent it; nobody else can have. */
  readonly from: Uint8Array;
  /** The sender as shown at the moment: safe to print. */
  readonly name: string;
  /** The room it was sent to; undefined if it was sent to us alone. */
  readonly room: string | undefined;
  /** Unix milliseconds: when it was sent to a room by its sender's clock, or came to us alone by ours. */
  readonly time: number;
  /** What the sender put in, at most 16 KiB; not to be written to. */
  readonly body: Uint8Array;
}

/**
 * Handles messages of one type. A direct message counts as delivered when it returns, or what it returns
 * resolves; when it throws, the sender learns that the message is refused.
 */
export type MessageHandler = (message: TypedMessage) => unknown;

const TYPE = /^[!-~]+$/;

/** What chat handles itself, and nobody else may. */
const RESERVED: ReadonlySet<string> = new Set(Object.values(ChatType));

/** Handlers by message type. */
export class Handlers {
  readonly #logger: Logger;
  readonly #handlers = new Map<string, MessageHandler>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @throws TypeError, RangeError for a type that is none, reserved, or handled already */
  add(type: string, handler: MessageHandler): () => void {
    checkType(type);
    if (typeof handler !== "function") throw new TypeError("handler: expected a function");
    if (this.#handlers.has(type)) throw new TypeError(`type: ${type} is handled already`);
    this.#handlers.set(type, handler);
    return () => {
      if (this.#handlers.get(type) === handler) this.#handlers.delete(type);
    };
  }

  /** Gives a message to the handler of its type, if there is one; never rejects. */
  async dispatch(message: TypedMessage): Promise<ReceiptStatus> {
    const { from, type } = message;
    const fields = { type: escapeText(type), from };
    const handler = this.#handlers.get(type);
    if (handler === undefined) {
      this.#logger.debug("a chat message of a type that nobody handles was ignored", fields);
      return "ignored";
    }
    try {
      await handler(message);
      return "delivered";
    } catch (error) {
      // What does not decode is the sender's fault, anything else is ours.
      const level = error instanceof RlpError ? "debug" : "error";
      this.#logger[level]("the handler of a chat message failed", { ...fields, error });
      return "refused";
    }
  }
}

/** @throws TypeError, RangeError for what cannot be the type of a message of somebody's own */
export function checkType(type: unknown): asserts type is string {
  if (typeof type !== "string") throw new TypeError("type: expected a string");
  if (!TYPE.test(type) || type.length > MAX_TYPE_BYTES) {
    throw new RangeError(`type: expected 1 to ${MAX_TYPE_BYTES} characters of printable ASCII`);
  }
  if (RESERVED.has(type)) throw new TypeError(`type: ${type} is one of chat's own`);
}

import { checkSchema } from "./schema/argument.ts";
import type { Schema } from "./schema/schema.ts";

/** How long a request waits for its reply unless it says otherwise, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 10_000;

/** A message that nobody answers. */
export interface NotifyMessage<T> {
  readonly kind: "notify";
  readonly code: number;
  readonly schema: Schema<T>;
}

/** A message that is answered by one other message. */
export interface RequestMessage<Q, A> {
  readonly kind: "request";
  readonly code: number;
  readonly replyCode: number;
  readonly schema: Schema<Q>;
  readonly reply: Schema<A>;
  readonly timeoutMs: number;
  /** A longer reply is refused before it is decoded, in bytes. */
  readonly maxReplyBytes: number;
  /** Whether a request id stands in front; undefined leaves it to the protocol. */
  readonly ids: boolean | undefined;
}

/** Bounds of a request, and its wire form. */
export interface RequestOptions {
  /** How long to wait for the reply, in milliseconds; 10,000 by default. */
  readonly timeoutMs?: number;
  /** A longer reply is refused before it is decoded, in bytes; no bound of its own by default. */
  readonly maxReplyBytes?: number;
  /**
   * With ids, the default, request and reply are `[id, body]` on the wire, as in eth/66. Without, they
   * are the body alone, and replies are taken to come in the order of the requests.
   *
   * @see EIP-2481
   */
  readonly ids?: boolean;
}

/** The messages of a protocol by their names. */
export type Messages = Readonly<
  Record<string, NotifyMessage<unknown> | RequestMessage<unknown, unknown>>
>;

/**
 * Declares a message that nobody answers.
 *
 * @param code - its place in the protocol's message codes, from 0
 * @throws TypeError for what is no schema
 */
export function notify<T>(code: number, schema: Schema<T>): NotifyMessage<T> {
  checkSchema(`notify(${code})`, schema);
  return Object.freeze({ kind: "notify", code, schema });
}

/**
 * Declares a message and the one that answers it.
 *
 * @throws TypeError for what is no schema, RangeError for a time or size that is not positive
 */
export function request<Q, A>(
  code: number,
  replyCode: number,
  schema: Schema<Q>,
  reply: Schema<A>,
  options: RequestOptions = {},
): RequestMessage<Q, A> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, maxReplyBytes = Infinity, ids } = options;
  checkSchema(`request(${code}, ${replyCode})`, schema);
  checkSchema(`request(${code}, ${replyCode}): its reply`, reply);
  checkTimeout(timeoutMs);
  checkReplyBytes(maxReplyBytes);
  return Object.freeze({
    kind: "request",
    code,
    replyCode,
    schema,
    reply,
    timeoutMs,
    maxReplyBytes,
    ids,
  });
}

/** @throws RangeError for what is no time to wait: every request has a deadline */
export function checkTimeout(timeoutMs: number): void {
  if (!(timeoutMs > 0 && timeoutMs < Infinity)) {
    throw new RangeError(`timeoutMs: expected a positive number, got ${timeoutMs}`);
  }
}

/** @throws RangeError for what is no size */
export function checkReplyBytes(maxReplyBytes: number): void {
  if (!(maxReplyBytes > 0)) {
    throw new RangeError(`maxReplyBytes: expected a positive number, got ${maxReplyBytes}`);
  }
}

/** What a request's reply is called in metrics, traces and errors. */
export function replyName(name: string): string {
  return `${name}.reply`;
}

import { escapeText } from "@heddle/identity";
import type { DisconnectedError, Side } from "@heddle/p2p";

/** A request that got no usable reply; one of {@link RequestTimeout}, {@link PeerGone}, {@link BadReply}. */
export class RequestError extends Error {
  override readonly name: string = "RequestError";
  /** `ERR_PROTOCOL_REQUEST_TIMEOUT`, `ERR_PROTOCOL_PEER_GONE` or `ERR_PROTOCOL_BAD_REPLY`. */
  readonly code: string;
  /** What was asked, as in `foo/2 blob(0x04)`. */
  readonly request: string;

  constructor(code: string, request: string, problem: string, cause?: unknown) {
    super(`${request}: ${problem}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.request = request;
  }
}

/** No reply came in time; one that comes later is counted and dropped. */
export class RequestTimeout extends RequestError {
  override readonly name: string = "RequestTimeout";
  readonly timeoutMs: number;

  constructor(request: string, timeoutMs: number) {
    super("ERR_PROTOCOL_REQUEST_TIMEOUT", request, `no reply within ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
  }
}

/** The connection ended before the reply came; `cause` is the `DisconnectedError`. */
export class PeerGone extends RequestError {
  override readonly name: string = "PeerGone";
  /** The disconnect reason, where it is known. */
  readonly reason: number | undefined;
  /** Who ended the connection, where it is known. */
  readonly by: Side | undefined;

  constructor(request: string, cause: DisconnectedError | undefined) {
    super("ERR_PROTOCOL_PEER_GONE", request, cause?.message ?? "the connection is over", cause);
    this.reason = cause?.reason;
    this.by = cause?.by;
  }
}

/** The reply could not be read, was too long, or came as another message; the connection ends with 0x02. */
export class BadReply extends RequestError {
  override readonly name: string = "BadReply";

  constructor(request: string, problem: string, cause?: unknown) {
    super("ERR_PROTOCOL_BAD_REPLY", request, problem, cause);
  }
}

/** A handler threw something that is no disconnect reason: the connection ends with 0x10. */
export class HandlerError extends Error {
  override readonly name: string = "HandlerError";
  readonly code: string = "ERR_PROTOCOL_HANDLER";
  /** The message that was being handled, as in `foo/2 blob(0x04)`. */
  readonly handling: string;

  constructor(handling: string, cause: unknown) {
    // What a handler says may quote the peer.
    const problem = cause instanceof Error ? escapeText(cause.message, 200) : typeof cause;
    super(`${handling}: handler failed: ${problem}`, { cause });
    this.handling = handling;
  }
}

/** Whether an error only says, however indirectly, that the connection is over. */
export function isEnd(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  let cause = error;
  for (let depth = 0; cause instanceof Error && depth < 8; depth++) {
    if (cause === signal.reason) return true;
    ({ cause } = cause);
  }
  return false;
}

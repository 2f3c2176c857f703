import { escapeText, RlpError } from "@heddle/identity";
import { RemoteProtocolError as RlpxRemoteError } from "@heddle/rlpx";

import { Disconnect, DisconnectReason, explainReason } from "./disconnect.ts";

/** How far a connection had come: TCP (or other) connect, encryption handshake, Hello exchange, subprotocols. */
export type Phase = "dial" | "handshake" | "hello" | "session";

/** Who caused an outcome: us, or the other node. */
export type Side = "local" | "remote";

/**
 * The peer broke the protocol; its connection ends with {@link RemoteProtocolError.reason}.
 *
 * `code` is one of the `ERR_P2P_*` strings in the package README.
 */
export class RemoteProtocolError extends Error {
  override readonly name: string = "RemoteProtocolError";
  readonly code: string;
  readonly reason: number;

  constructor(code: string, message: string, options: { reason?: number; cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.reason = options.reason ?? DisconnectReason.protocolError;
  }
}

/** Our own code asked for something the protocol forbids; only that call fails, the connection lives. */
export class LocalProtocolError extends Error {
  override readonly name: string = "LocalProtocolError";
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A deadline passed: `what` names it, `ms` says how long it was. */
export class TimeoutError extends Error {
  override readonly name: string = "TimeoutError";
  readonly code: string = "ERR_P2P_TIMEOUT";
  readonly what: string;
  readonly ms: number;
  /** The reason that ends the connection because of it. */
  readonly reason: number;

  constructor(what: string, ms: number, reason: number = DisconnectReason.readTimeout) {
    super(`${what} deadline of ${ms} ms passed`);
    this.what = what;
    this.ms = ms;
    this.reason = reason;
  }
}

/**
 * The connection is over: every pending and later read, write and request gets this same error.
 *
 * `by` says who ended it, `phase` how far it had come, `cause` (when there is one) what led to it.
 */
export class DisconnectedError extends Error {
  override readonly name: string = "DisconnectedError";
  readonly code: string = "ERR_P2P_DISCONNECTED";
  readonly reason: number;
  readonly by: Side;
  readonly phase: Phase;

  constructor(reason: number, by: Side, phase: Phase, cause?: unknown) {
    const why = cause instanceof Error ? escapeText(cause.message, 200) : "";
    super(
      `disconnected by ${by} side in phase ${phase}: ${explainReason(reason, why)}`,
      cause === undefined ? undefined : { cause },
    );
    this.reason = reason;
    this.by = by;
    this.phase = phase;
  }
}

/**
 * Makes a {@link DisconnectedError} that carries no stack.
 *
 * The end of a connection is no fault of the code that notices it, and looking for where that stands is the
 * dearest step of ending one. What led to it is `cause`, with its own.
 */
export function disconnected(
  ...args: ConstructorParameters<typeof DisconnectedError>
): DisconnectedError {
  const { stackTraceLimit } = Error;
  // Not assigned: where intrinsics are frozen that would throw.
  Reflect.set(Error, "stackTraceLimit", 0);
  try {
    return new DisconnectedError(...args);
  } finally {
    Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
  }
}

/** A dial did not lead to a peer; says how far it got, why it ended and who ended it. */
export class DialError extends Error {
  override readonly name: string = "DialError";
  readonly code: string = "ERR_P2P_DIAL";
  readonly phase: Phase;
  readonly reason: number;
  readonly side: Side;

  constructor(message: string, phase: Phase, reason: number, side: Side, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.phase = phase;
    this.reason = reason;
    this.side = side;
  }
}

/**
 * The disconnect reason that an error stands for: the one place where errors become wire reasons.
 *
 * @see design: a decode error sends 0x02, `throw new Disconnect(reason)` that reason, anything else 0x10
 */
export function disconnectReasonFor(error: unknown): number {
  if (error instanceof Disconnect) return error.reason;
  if (error instanceof DisconnectedError) return error.reason;
  if (error instanceof RemoteProtocolError) return error.reason;
  if (error instanceof TimeoutError) return error.reason;
  if (error instanceof RlpxRemoteError || error instanceof RlpError) {
    return DisconnectReason.protocolError;
  }
  return DisconnectReason.subprotocolError;
}

import { RlpError } from "@heddle/identity";
import {
  Disconnect,
  DisconnectedError,
  LocalProtocolError,
  RemoteProtocolError,
  TimeoutError,
} from "@heddle/p2p";
import { HandlerError, RequestError } from "@heddle/protocol";
import { RemoteProtocolError as SessionRemoteError } from "@heddle/rlpx";

/** What a protocol must not do, whatever its peer does. */
export const FaultKind = {
  /** A promise was rejected, or a timer threw, and nobody took the error. */
  escaped: "escaped",
  /** `run` or a handler threw what is neither a disconnect nor a breach of protocol. */
  undocumented: "undocumented",
  /** The node no longer answers, or `run` did not end with its connection. */
  hang: "hang",
  /** Messages of the peer stay unread for a minute, though it waits for nothing. */
  unread: "unread",
  /** One message was answered with more bytes than are allowed. */
  amplification: "amplification",
  /** One message took more memory than is allowed. */
  memory: "memory",
  /** One message kept the event loop busy for longer than is allowed. */
  blocked: "blocked",
  /** Timers, reads or sends were left behind at the end. */
  leak: "leak",
  /** Another protocol or peer was disturbed, or a code was neither answered nor refused as it must be. */
  conduct: "conduct",
} as const;

/** One of {@link FaultKind}. */
export type FaultKind = (typeof FaultKind)[keyof typeof FaultKind];

/** Something a protocol did that it must not. */
export interface Fault {
  readonly kind: FaultKind;
  /** What happened, in words. */
  readonly detail: string;
  /** The error that came out, where it was one. */
  readonly error?: unknown;
}

/** Errors of ours that only say that a peer asks for too much. */
const OVERLOADED = new Set(["ERR_PROTOCOL_TOO_MANY_PENDING", "ERR_P2P_SEND_QUEUE_FULL"]);

/** Whether a `run` may throw this because of what its peer did. */
export function isDocumented(error: unknown): boolean {
  if (error instanceof HandlerError) return false;
  if (error instanceof LocalProtocolError) return OVERLOADED.has(error.code);
  return (
    error instanceof Disconnect ||
    error instanceof DisconnectedError ||
    error instanceof RemoteProtocolError ||
    error instanceof SessionRemoteError ||
    error instanceof TimeoutError ||
    error instanceof RequestError ||
    error instanceof RlpError
  );
}

/** An error's class and message, in one line. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  const shown = error instanceof HandlerError && cause instanceof Error ? cause : error;
  return `${shown.name}: ${shown.message}`.slice(0, 300);
}

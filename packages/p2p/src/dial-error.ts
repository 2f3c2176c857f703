import type { Enode } from "@heddle/identity";

import { StreamEndedError } from "./connection.ts";
import { Disconnect, DisconnectReason, explainReason } from "./disconnect.ts";
import { DialError } from "./errors.ts";
import { EstablishError } from "./establish.ts";

/** What a handshake gets for an answer that was sealed for another key: none. */
const REFUSED = "; a node whose key is not the one in the enode URL ends it like this";

/** How a dial failed, from what went wrong in it. */
export function dialError(node: Enode, error: unknown): DialError {
  if (error instanceof DialError) return error;
  const where = `${node.host}:${node.tcpPort}`;
  if (error instanceof EstablishError) {
    const why = explainReason(error.reason, error.message);
    const isRefused = error.phase === "handshake" && error.cause instanceof StreamEndedError;
    return new DialError(
      `dialing ${where} failed in phase ${error.phase}, ${error.side} side, ${why}${isRefused ? REFUSED : ""}`,
      error.phase,
      error.reason,
      error.side,
      abortCause(error.cause) ?? error.cause ?? error,
    );
  }
  const message = error instanceof Error ? error.message : String(error);
  return new DialError(
    `dialing ${where} failed in phase dial: ${message}`,
    "dial",
    error instanceof Disconnect ? error.reason : DisconnectReason.networkError,
    "local",
    abortCause(error) ?? error,
  );
}

/** Of a dial that its last caller gave up: the reason that the caller's signal had. */
function abortCause(error: unknown): unknown {
  return error instanceof Disconnect ? error.cause : undefined;
}

import { RlpError } from "@heddle/identity";
import {
  Disconnect,
  DisconnectedError,
  DisconnectReason,
  disconnectReasonFor,
  RemoteProtocolError,
} from "@heddle/p2p";

import { HandlerError, isEnd } from "./errors.ts";
import type { Plan } from "./plan.ts";
import { errorWithin } from "./schema/errors.ts";

/** The peer's fault, as the error that ends its connection with 0x02; other errors stay as they are. */
export function badPayload(error: unknown, label: string, name: string): unknown {
  const fault = errorWithin(error, name);
  if (!(fault instanceof RlpError)) return fault;
  return new RemoteProtocolError("ERR_P2P_BAD_PAYLOAD", `${label}: ${fault.message}`, {
    cause: fault,
  });
}

/** Names the message for what its handler threw, unless that itself says how this connection should end. */
export function handlerFault(error: unknown, label: string, signal: AbortSignal): unknown {
  if (error instanceof Disconnect || isEnd(error, signal)) return error;
  // How another connection ended is no reason for this one's end.
  const isPlain =
    error instanceof DisconnectedError ||
    disconnectReasonFor(error) === DisconnectReason.subprotocolError;
  return isPlain ? new HandlerError(label, error) : error;
}

/** A code that no message has, or the handshake's once that is over. */
export function unexpectedCode({ label, messageNames }: Plan, code: number): RemoteProtocolError {
  const name = messageNames[code];
  const hex = `0x${code.toString(16).padStart(2, "0")}`;
  return name === undefined
    ? new RemoteProtocolError("ERR_PROTOCOL_UNKNOWN_CODE", `${label} ${hex}: no such message`)
    : new RemoteProtocolError(
        "ERR_PROTOCOL_HANDSHAKE",
        `${label} ${name}(${hex}): a second handshake`,
      );
}

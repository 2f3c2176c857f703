import { decodeRlp, encodeRlp, RlpError } from "@heddle/identity";

import { RemoteProtocolError } from "./errors.ts";

/**
 * Heddle's extension: per-protocol flow control between two nodes that both know it.
 *
 * RLPx has none: when one protocol stops reading, the only brake is TCP, which stops all of them. Two
 * nodes that share the capability `flow/1` (length 1) tell each other, per protocol, how many bytes
 * they still take. A message counts with its payload length plus {@link MESSAGE_OVERHEAD}. Each
 * protocol starts with {@link INITIAL_WINDOW}; a message may be sent while the window is above zero.
 * Message 0 is a list of `[offset, bytes]`: the protocol whose codes start at `offset` may send that
 * many bytes more. Towards any other node nothing changes.
 */
export const FLOW_CAPABILITY: {
  readonly name: string;
  readonly version: number;
  readonly length: number;
} = {
  name: "flow",
  version: 1,
  length: 1,
};

/**
 * What a protocol may send before the first grant, in bytes: little more than a millisecond of what can be
 * sealed and opened, because all of it may stand in front of another protocol's message. Windows grow for
 * large messages, and where the round trip is what limits the speed.
 */
export const INITIAL_WINDOW: number = 192 * 1024;

/** More bytes for the protocol whose message ids start at `offset`. */
export interface Grant {
  readonly offset: number;
  readonly bytes: number;
}

/** A window never needs more than this: it stops a peer from counting ours past what numbers hold. */
const MAX_GRANT = 2 ** 40;
const MAX_GRANTS = 256;

/** Encodes a grant message. */
export function encodeGrants(grants: readonly Grant[]): Uint8Array {
  return encodeRlp(grants.map(({ offset, bytes }) => [offset, bytes]));
}

/** @throws {@link RemoteProtocolError} `ERR_P2P_BAD_GRANT` */
export function decodeGrants(payload: Uint8Array): Grant[] {
  try {
    const value = decodeRlp(payload, { maxItems: 1 + MAX_GRANTS * 3 });
    if (value instanceof Uint8Array) throw badGrant("expected a list");
    return value.map((entry) => {
      if (entry instanceof Uint8Array || entry.length < 2) throw badGrant("expected pairs");
      return { offset: readUint(entry[0]), bytes: readUint(entry[1]) };
    });
  } catch (error) {
    if (error instanceof RlpError) throw badGrant(error.message, error);
    throw error;
  }
}

function readUint(value: unknown): number {
  if (!(value instanceof Uint8Array) || value.length > 6) throw badGrant("expected a number");
  const number = value.reduce((sum, byte) => sum * 256 + byte, 0);
  if (number > MAX_GRANT) throw badGrant(`${number} exceeds ${MAX_GRANT}`);
  return number;
}

function badGrant(message: string, cause?: unknown): RemoteProtocolError {
  return new RemoteProtocolError("ERR_P2P_BAD_GRANT", `flow/1 grant: ${message}`, { cause });
}

import { encodeRlp } from "@heddle/identity";

/** Why a connection ends, as it stands in a Disconnect message (devp2p rlpx.md §"Disconnect (0x01)"). */
export const DisconnectReason = {
  requested: 0x00,
  networkError: 0x01,
  protocolError: 0x02,
  uselessPeer: 0x03,
  tooManyPeers: 0x04,
  alreadyConnected: 0x05,
  incompatibleVersion: 0x06,
  nullNodeIdentity: 0x07,
  clientQuitting: 0x08,
  unexpectedIdentity: 0x09,
  sameIdentity: 0x0a,
  readTimeout: 0x0b,
  subprotocolError: 0x10,
} as const;

/** A reason the specification names. */
export type DisconnectReason = (typeof DisconnectReason)[keyof typeof DisconnectReason];

/** What a Disconnect that cannot be read counts as; go-ethereum uses the same number. */
export const UNREADABLE_REASON = 0xff;

const NAMES: Readonly<Record<number, string>> = {
  [DisconnectReason.requested]: "disconnect requested",
  [DisconnectReason.networkError]: "network error",
  [DisconnectReason.protocolError]: "breach of protocol",
  [DisconnectReason.uselessPeer]: "useless peer",
  [DisconnectReason.tooManyPeers]: "too many peers",
  [DisconnectReason.alreadyConnected]: "already connected",
  [DisconnectReason.incompatibleVersion]: "incompatible p2p version",
  [DisconnectReason.nullNodeIdentity]: "invalid node identity",
  [DisconnectReason.clientQuitting]: "client quitting",
  [DisconnectReason.unexpectedIdentity]: "unexpected identity",
  [DisconnectReason.sameIdentity]: "connected to self",
  [DisconnectReason.readTimeout]: "read timeout",
  [DisconnectReason.subprotocolError]: "subprotocol error",
  [UNREADABLE_REASON]: "unreadable reason",
};

/**
 * Thrown by a protocol's `run` or handlers, it ends the connection with its reason.
 *
 * @param reason - 0 to 255
 */
export class Disconnect extends Error {
  override readonly name: string = "Disconnect";
  readonly code: string = "ERR_P2P_DISCONNECT";
  readonly reason: number;

  /** @throws RangeError when the reason is no integer in range */
  constructor(reason: number, message?: string, options?: ErrorOptions) {
    checkReason(reason);
    super(message ?? describeReason(reason), options);
    this.reason = reason;
  }
}

/** @throws RangeError when the reason is no integer from 0 to 255 */
export function checkReason(reason: number): void {
  if (Number.isInteger(reason) && reason >= 0 && reason <= 0xff) return;
  throw new RangeError(`reason: expected an integer from 0 to 255, got ${reason}`);
}

/** Ends the connection because the peer has nothing for us (0x03). */
export class UselessPeer extends Disconnect {
  override readonly name: string = "UselessPeer";

  constructor(message?: string) {
    super(DisconnectReason.uselessPeer, message);
  }
}

/** The reason in words and number: `too many peers (0x04)`. */
export function describeReason(reason: number): string {
  return `${NAMES[reason] ?? "unknown reason"} (0x${reason.toString(16).padStart(2, "0")})`;
}

/** The reason with what else there is to say about it, which is nothing where that only repeats it. */
export function explainReason(reason: number, why: string): string {
  const words = describeReason(reason);
  return why === "" || why.endsWith(words) ? words : `${words}: ${why}`;
}

/**
 * Encodes a Disconnect payload: a list with the reason, the one form every implementation accepts.
 *
 * @param reason - 0 to 255
 */
export function encodeDisconnect(reason: number): Uint8Array {
  return encodeRlp([reason]);
}

/**
 * Decodes a Disconnect payload to a reason from 0 to 255, whatever came.
 *
 * Interop: the reason has been sent as a list, as a bare byte (go-ethereum 1.10.17 to December 2024)
 * and as a byte string that holds the list (bor). Anything else counts as {@link UNREADABLE_REASON}.
 */
export function decodeDisconnect(payload: Uint8Array): number {
  const wrapped = payload[0] ?? 0;
  // A list with a reason is 2 bytes at least: 0x81 starts a bare reason over 0x7f.
  const isWrappedList = wrapped > 0x81 && wrapped <= 0xb7 && (payload[1] ?? 0) > 0xc0;
  const bytes =
    isWrappedList && wrapped - 0x80 === payload.length - 1 ? payload.subarray(1) : payload;
  const first = bytes[0];
  if (first === undefined) return UNREADABLE_REASON;
  if (first <= 0xc0)
    return bytes.length === itemLength(first) ? readReason(bytes) : UNREADABLE_REASON;
  // A list whose length fits its prefix; elements behind the reason are ignored (EIP-8).
  if (first > 0xf7 || first - 0xc0 !== bytes.length - 1) return UNREADABLE_REASON;
  return readReason(bytes.subarray(1));
}

function itemLength(first: number): number {
  return first === 0x81 ? 2 : 1;
}

/** The byte that the first item is, canonical or not; 0x80, the empty string, is zero. */
function readReason(bytes: Uint8Array): number {
  const [first, second] = bytes;
  if (first === undefined || first > 0x81) return UNREADABLE_REASON;
  if (first < 0x80) return first;
  return first === 0x80 ? 0 : (second ?? UNREADABLE_REASON);
}

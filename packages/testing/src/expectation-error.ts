import { toHex } from "@heddle/identity";
import { BaseMessage, decodeDisconnect, describeReason } from "@heddle/p2p";
import type { SharedCapability, WireMessage } from "@heddle/p2p";

/** How many bytes of a payload an error shows. */
const SHOWN_BYTES = 32;

/**
 * How an expectation failed: another message came, nothing came in time, the connection ended, or what
 * came was not of the session (a wrong MAC, a frame too large).
 */
export type ExpectationErrorCode =
  | "ERR_TESTING_UNEXPECTED"
  | "ERR_TESTING_TIMEOUT"
  | "ERR_TESTING_ENDED"
  | "ERR_TESTING_BROKEN";

/** What the other side did is not what the script says; the message names both. */
export class ExpectationError extends Error {
  override readonly name: string = "ExpectationError";
  readonly code: ExpectationErrorCode;
  /** What the script says should have come. */
  readonly expected: string;
  /** The message that came instead, if it was one. */
  readonly received: WireMessage | undefined;

  constructor(
    code: ExpectationErrorCode,
    expected: string,
    got: string,
    options: { received?: WireMessage; cause?: unknown } = {},
  ) {
    super(
      `expected ${expected}, got ${got}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.expected = expected;
    this.received = options.received;
  }
}

/** Names a message id: `Ping(0x02)`, `foo/1 blob(0x04) as 0x15`, `foo/1 code 0x04 as 0x15`, `0x40`. */
export function describeMsgId(msgId: number, shared: readonly SharedCapability[]): string {
  const hex = hexByte(msgId);
  const base = BASE_NAMES[msgId];
  if (base !== undefined) return `${base}(${hex})`;
  const owner = shared.find(({ offset, length }) => msgId >= offset && msgId < offset + length);
  if (owner === undefined) return hex;
  const { messageNames } = owner.protocol as { messageNames?: Readonly<Record<number, string>> };
  const code = msgId - owner.offset;
  const name = messageNames?.[code];
  const shown = name === undefined ? `code ${hexByte(code)}` : `${name}(${hexByte(code)})`;
  return `${owner.name}/${owner.version} ${shown} as ${hex}`;
}

/** Names a message and shows the beginning of its payload, or the reason it carries. */
export function describeMessage(
  { msgId, payload }: WireMessage,
  shared: readonly SharedCapability[],
): string {
  const name = describeMsgId(msgId, shared);
  if (msgId === BaseMessage.disconnect) {
    return `${name} ${describeReason(decodeDisconnect(payload))}`;
  }
  return `${name} with ${describePayload(payload)}`;
}

/** The length and beginning of a payload: `3 bytes c28080`. */
export function describePayload(payload: Uint8Array): string {
  const shown = toHex(payload.subarray(0, SHOWN_BYTES));
  const unit = payload.length === 1 ? "byte" : "bytes";
  if (payload.length === 0) return "0 bytes";
  return `${payload.length} ${unit} ${shown}${payload.length > SHOWN_BYTES ? "…" : ""}`;
}

const BASE_NAMES: Readonly<Record<number, string>> = {
  [BaseMessage.hello]: "Hello",
  [BaseMessage.disconnect]: "Disconnect",
  [BaseMessage.ping]: "Ping",
  [BaseMessage.pong]: "Pong",
};

function hexByte(value: number): string {
  return `0x${value.toString(16).padStart(2, "0")}`;
}

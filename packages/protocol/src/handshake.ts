import { RemoteProtocolError, TimeoutError } from "@heddle/p2p";
import type { Message, MessageReadWriter, Peer } from "@heddle/p2p";

import { HandlerError } from "./errors.ts";
import { badPayload } from "./faults.ts";
import type { NotifyKind, Plan } from "./plan.ts";

/** How long the other side's handshake may take, in milliseconds. */
const DEFAULT_HANDSHAKE_TIMEOUT_MS = 5_000;

/** A `Handshake` as the runtime sees it. */
export interface AnyHandshake {
  local(context: unknown): unknown;
  verify?(remote: unknown, context: unknown): unknown;
  readonly timeoutMs?: number;
}

/**
 * Sends our handshake, then reads and verifies theirs.
 *
 * @returns theirs; undefined where none is declared
 */
export async function shakeHands(
  plan: Plan,
  handshake: AnyHandshake | undefined,
  peer: Peer,
  rw: MessageReadWriter,
  state: unknown,
): Promise<unknown> {
  const kind = plan.handshake;
  if (kind === undefined || handshake === undefined) return undefined;
  const { name, version } = plan.definition;
  const context = { name, version, peer, signal: peer.signal, state };
  await rw.sendEncoded(kind.code, encodeHandshake(kind, await handshake.local(context)));
  const message = await readFirst(kind, rw, handshake.timeoutMs ?? DEFAULT_HANDSHAKE_TIMEOUT_MS);
  const remote = decodeHandshake(kind, message);
  await handshake.verify?.(remote, context);
  return remote;
}

function encodeHandshake(kind: NotifyKind, value: unknown): Uint8Array {
  try {
    return kind.schema.encode(value);
  } catch (error) {
    throw new HandlerError(kind.label, error);
  }
}

async function readFirst(
  kind: NotifyKind,
  rw: MessageReadWriter,
  timeoutMs: number,
): Promise<Message> {
  let message: Message;
  try {
    message = await rw.read({ timeoutMs });
  } catch (error) {
    if (error instanceof TimeoutError) throw new TimeoutError(`${kind.label} handshake`, timeoutMs);
    throw error;
  }
  if (message.code === kind.code) return message;
  throw new RemoteProtocolError(
    "ERR_PROTOCOL_HANDSHAKE",
    `${kind.label}: code ${message.code} came before it`,
  );
}

function decodeHandshake(kind: NotifyKind, message: Message): unknown {
  try {
    return kind.schema.decode(message.payload);
  } catch (error) {
    throw badPayload(error, kind.label, kind.name);
  }
}

import { concatBytes } from "@heddle/identity";

import { keccak256 } from "./engine.ts";
import type { FrameSecrets } from "./frame.ts";

/** Which side of the handshake this is: the one that sent auth, or the one that sent ack. */
export type Role = "initiator" | "recipient";

/** What both sides know once the handshake is done. */
export interface HandshakeResult {
  /** 32 bytes: x coordinate of the product of the two ephemeral keys. */
  readonly ephemeralSharedSecret: Uint8Array;
  /** 32 bytes. */
  readonly initiatorNonce: Uint8Array;
  /** 32 bytes. */
  readonly recipientNonce: Uint8Array;
  /** The auth packet exactly as sent, size prefix included. */
  readonly auth: Uint8Array;
  /** The ack packet exactly as sent, size prefix included. */
  readonly ack: Uint8Array;
}

/** The secrets of the two directions of a session: what we send with, what we receive with. */
export interface SessionSecrets {
  readonly egress: FrameSecrets;
  readonly ingress: FrameSecrets;
}

/**
 * Derives the secrets of a session from a finished handshake.
 *
 * Both directions share one AES key (and a zero IV): a weakness of RLPx itself, see the README.
 *
 * @param role - our side; the other side's secrets are the same with the directions swapped
 * @see devp2p rlpx.md §Initial Handshake, §MAC
 */
export function deriveSecrets(role: Role, result: HandshakeResult): SessionSecrets {
  const { ephemeralSharedSecret, initiatorNonce, recipientNonce, auth, ack } = result;
  const nonceHash = keccak256(concatBytes(recipientNonce, initiatorNonce));
  const sharedSecret = keccak256(concatBytes(ephemeralSharedSecret, nonceHash));
  const aesSecret = keccak256(concatBytes(ephemeralSharedSecret, sharedSecret));
  const macSecret = keccak256(concatBytes(ephemeralSharedSecret, aesSecret));
  const fromInitiator: FrameSecrets = {
    aesSecret,
    macSecret,
    macSeed: concatBytes(xor(macSecret, recipientNonce), auth),
  };
  const fromRecipient: FrameSecrets = {
    aesSecret,
    macSecret,
    macSeed: concatBytes(xor(macSecret, initiatorNonce), ack),
  };
  return role === "initiator"
    ? { egress: fromInitiator, ingress: fromRecipient }
    : { egress: fromRecipient, ingress: fromInitiator };
}

/** XORs two byte strings of the same length into a new one. */
export function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  const result = new Uint8Array(a.length);
  for (let i = 0; i < a.length; i++) result[i] = (a[i] ?? 0) ^ (b[i] ?? 0);
  return result;
}

import { createHash } from "node:crypto";

import { bytesEqual, concatBytes, curve, CurveError, encodeRlp } from "@heddle/identity";
import { bytes, fixedBytes, struct, text, uint } from "@heddle/protocol";
import type { Schema } from "@heddle/protocol";

/** Most bytes of a topic's name in UTF-8. */
export const MAX_TOPIC_BYTES = 64;

/** Most bytes of a payload. */
export const MAX_PAYLOAD_BYTES: number = 64 * 1024;

/**
 * What a message counts for in memory besides its payload, in bytes: its fields, keys and places, and what
 * is kept of an origin that has one message alone, as measured.
 */
export const MESSAGE_COST = 2_000;

/** What its author signed. */
export interface GossipContent {
  /** 64 bytes: the public key of the node that published it. */
  readonly origin: Uint8Array;
  /** 1 to 64 bytes of UTF-8. Text of a stranger: escape it before showing it. */
  readonly topic: string;
  /** When its origin was started, in Unix milliseconds: sequences begin anew with every start. */
  readonly epoch: number;
  /** Counts the messages of one origin, epoch and topic, from 1. */
  readonly sequence: number;
  /** When it was published, in Unix milliseconds by its origin's clock. */
  readonly time: number;
  /** At most 64 KiB; shared with everybody who got the message, so not to be written to. */
  readonly payload: Uint8Array;
}

/** A message as it travels: what its author said, and the proof of it. */
export interface SignedContent extends GossipContent {
  /** 65 bytes r, s and recovery id, made over the id. */
  readonly signature: Uint8Array;
}

/** A message that was published by its origin and has not been altered since. */
export interface GossipMessage extends SignedContent {
  /** 32 bytes: the SHA-256 of what its origin signed. */
  readonly id: Uint8Array;
}

/** A message on the wire; the id is not sent, because everybody computes it. */
export const signedContent: Schema<SignedContent> = struct({
  origin: fixedBytes(64),
  topic: text({ min: 1, max: MAX_TOPIC_BYTES }),
  epoch: uint,
  sequence: uint,
  time: uint,
  payload: bytes({ max: MAX_PAYLOAD_BYTES, copy: true }),
  signature: bytes({ min: 65, max: 65, copy: true }),
});

/** Keeps these signatures apart from any other that the same key makes. */
const DOMAIN = new TextEncoder().encode("heddle gossip/1 message\n");

/** SHA-256. */
export function hash(input: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(input).digest());
}

/** The 32-byte id of a message: it covers everything but the signature, so that re-signing makes no other. */
export function messageId(content: GossipContent): Uint8Array {
  const { origin, topic, epoch, sequence, time, payload } = content;
  return hash(concatBytes(DOMAIN, encodeRlp([origin, topic, epoch, sequence, time, payload])));
}

/** Signs what the owner of `secretKey` says; `content.origin` must be its public key. */
export function signMessage(content: GossipContent, secretKey: Uint8Array): GossipMessage {
  const id = messageId(content);
  return Object.freeze({ ...content, id, signature: curve.sign(id, secretKey) });
}

/** Whether the signature is its origin's, for the id {@link messageId} gave. Costs 50 µs to 2 ms. */
export function isAuthentic({ origin, signature }: SignedContent, id: Uint8Array): boolean {
  try {
    return bytesEqual(curve.recover(id, signature), origin);
  } catch (error) {
    if (error instanceof CurveError) return false;
    throw error;
  }
}

/** Bytes as a key of maps and sets: one character for each. */
export function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString("latin1");
}

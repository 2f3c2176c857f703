import { utils } from "@noble/secp256k1";
import { toHex } from "./bytes.ts";
import { curve } from "./curve.ts";
import { isScalar } from "./scalar.ts";

/** A node's identity on the wire: its public key, 64 bytes (x and y, without the SEC 1 prefix). */
export type NodeId = Uint8Array;

/** Makes a new 32-byte secret key from the platform's secure random numbers (`crypto.getRandomValues`). */
export function generateSecretKey(): Uint8Array {
  return utils.randomSecretKey();
}

/** Tells whether a value is a secret key: 32 bytes, from 1 to the curve order - 1. */
export function isSecretKey(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length === 32 && isScalar(value);
}

/**
 * Derives the 64-byte node id of a 32-byte secret key.
 *
 * @throws {@link CurveError} `ERR_CURVE_BAD_KEY`
 */
export function nodeIdOf(secretKey: Uint8Array): NodeId {
  return curve.publicKey(secretKey);
}

/**
 * Shortens a node id for logs: its first 4 and last 2 bytes in hexadecimal, as `01020304…3f40`.
 *
 * Two nodes can be made to look alike in this form; compare ids with {@link bytesEqual}.
 */
export function formatNodeId(id: NodeId): string {
  return `${toHex(id.subarray(0, 4))}…${toHex(id.subarray(-2))}`;
}

import { applyAesCtr, hmacSha256, sha256 } from "#crypto";
import { bytesEqual, fromHex, type Curve } from "@heddle/identity";

import { LocalProtocolError, RemoteProtocolError } from "./errors.ts";

/** How many bytes of secure randomness to return; the result belongs to the caller. */
export type RandomBytes = (length: number) => Uint8Array;

/** What ECIES adds to a plaintext, in bytes: 65 of ephemeral key, 16 of IV, 32 of MAC. */
export const ECIES_OVERHEAD: number = 65 + 16 + 32;

/**
 * Seals a plaintext for the owner of a public key.
 *
 * @param publicKey - 64 bytes
 * @param sharedInfo - bytes that are authenticated along, and not sent
 * @param randomBytes - asked for an ephemeral secret key (32 bytes) first, then for the IV (16)
 * @returns `ephemeral key || iv || ciphertext || mac`, {@link ECIES_OVERHEAD} longer than the plaintext
 * @throws CurveError `ERR_CURVE_BAD_POINT` when `publicKey` is no point
 * @throws {@link LocalProtocolError} `ERR_RLPX_NO_ENTROPY`
 * @see devp2p rlpx.md §ECIES Encryption
 */
export function sealEcies(
  curve: Curve,
  publicKey: Uint8Array,
  plaintext: Uint8Array,
  { sharedInfo, randomBytes }: { sharedInfo: Uint8Array; randomBytes: RandomBytes },
): Uint8Array {
  const ephemeralKey = makeSecretKey(curve, randomBytes);
  const iv = randomBytes(16);
  const keys = deriveKeys(curve.sharedSecret(ephemeralKey.secretKey, publicKey));
  const sealed = new Uint8Array(ECIES_OVERHEAD + plaintext.length);
  const macAt = sealed.length - 32;
  sealed[0] = 0x04;
  sealed.set(ephemeralKey.publicKey, 1);
  sealed.set(iv, 65);
  sealed.set(applyAesCtr(keys.encryptionKey, iv, plaintext), 81);
  sealed.set(hmacSha256(keys.macKey, sealed.subarray(65, macAt), sharedInfo), macAt);
  return sealed;
}

/**
 * Opens what {@link sealEcies} made.
 *
 * Every refusal looks the same from outside: same code, same message, and, from the length check on, the same
 * work. A node that answered a point off the curve otherwise than a wrong MAC would leak its static key bit
 * by bit.
 *
 * @returns the plaintext, owned by the caller
 * @throws {@link RemoteProtocolError} `ERR_RLPX_BAD_HANDSHAKE`; `cause` says why, for local eyes
 * @see devp2p rlpx.md §ECIES Encryption
 */
export function openEcies(
  curve: Curve,
  secretKey: Uint8Array,
  sealed: Uint8Array,
  sharedInfo: Uint8Array,
): Uint8Array {
  if (sealed.length < ECIES_OVERHEAD) {
    throw badHandshake(new Error(`${sealed.length} bytes, ecies needs ${ECIES_OVERHEAD}`));
  }
  const point = sealed.subarray(1, 65);
  const macAt = sealed.length - 32;
  const isPoint = sealed[0] === 0x04 && curve.isPoint(point);
  const keys = deriveKeys(curve.sharedSecret(secretKey, isPoint ? point : STAND_IN_POINT));
  const mac = hmacSha256(keys.macKey, sealed.subarray(65, macAt), sharedInfo);
  const isAuthentic = bytesEqual(mac, sealed.subarray(macAt));
  if (!isPoint) throw badHandshake(new Error("ephemeral key is not a point of secp256k1"));
  if (!isAuthentic) throw badHandshake(new Error("mac does not match"));
  return applyAesCtr(keys.encryptionKey, sealed.subarray(65, 81), sealed.subarray(81, macAt));
}

/**
 * Stretches a shared secret to `length` bytes, with SHA-256 and neither party info nor a salt.
 *
 * @see NIST SP 800-56A §5.8.1
 */
export function concatKdf(sharedSecret: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(Math.ceil(length / 32) * 32);
  for (let at = 0, counter = 1; at < length; at += 32, counter++) {
    const block = new Uint8Array(4 + sharedSecret.length);
    new DataView(block.buffer).setUint32(0, counter);
    block.set(sharedSecret, 4);
    out.set(sha256(block), at);
  }
  return out.subarray(0, length);
}

/** A secret key and the 64-byte public key that belongs to it. */
export interface KeyPair {
  readonly secretKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/**
 * Draws a secret key.
 *
 * @throws {@link LocalProtocolError} `ERR_RLPX_NO_ENTROPY` when the source keeps giving bytes that are none
 */
export function makeSecretKey(curve: Curve, randomBytes: RandomBytes): KeyPair {
  let cause: unknown;
  // Not even one in 2^127 draws is zero or above the curve order: two in a row are a broken source.
  for (let draw = 0; draw < 2; draw++) {
    const secretKey = randomBytes(32);
    try {
      return { secretKey, publicKey: curve.publicKey(secretKey) };
    } catch (error) {
      cause = error;
    }
  }
  throw new LocalProtocolError("ERR_RLPX_NO_ENTROPY", "randomBytes gives no secret key", { cause });
}

/** The one error for all failed handshakes, so that none can be told from another. */
export function badHandshake(cause: unknown): RemoteProtocolError {
  return new RemoteProtocolError("ERR_RLPX_BAD_HANDSHAKE", "handshake packet refused", { cause });
}

/**
 * Takes the place of a point that is none, so that refusing it takes as long as refusing a wrong MAC: twice
 * the generator, since implementations multiply the generator itself faster than other points.
 */
export const STAND_IN_POINT: Uint8Array = fromHex(
  "c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5" +
    "1ae168fea63dc339a3c58419466ceaeef7f632653266d0e1236431a950cfe52a",
);

function deriveKeys(sharedSecret: Uint8Array): { encryptionKey: Uint8Array; macKey: Uint8Array } {
  const stretched = concatKdf(sharedSecret, 32);
  return { encryptionKey: stretched.subarray(0, 16), macKey: sha256(stretched.subarray(16)) };
}

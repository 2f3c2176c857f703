import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { etc, getPublicKey, hashes, Point, sign, utils, verify } from "@noble/secp256k1";
import type { CurveBackend } from "./backend.ts";
import { concatBytes } from "./bytes.ts";
import { multiply } from "./multiply.ts";

const { n: N, p: P } = Point.CURVE();

/** secp256k1 by `@noble/secp256k1`: pure JavaScript, runs everywhere, the reference for every other backend. */
export const portableBackend: CurveBackend = {
  name: "noble",
  isPoint: (publicKey) => utils.isValidPublicKey(publicKey, false),
  publicKey: (secretKey) => getPublicKey(secretKey, false),
  sharedSecret: (secretKey, publicKey) =>
    toBytes(multiply(Point.fromBytes(publicKey), etc.secretKeyToScalar(secretKey))).slice(1, 33),
  sign(digest, secretKey) {
    // The library keeps the hash for synchronous signing in a slot that all its users share. It is filled on
    // first use, so that importing this module changes nothing, and never replaced if somebody else did.
    hashes.hmacSha256 ??= (key, message) => hmac(sha256, key, message);
    const signature = sign(digest, secretKey, { prehash: false, format: "recovered" });
    return concatBytes(signature.subarray(1), signature.subarray(0, 1));
  },
  recover,
  verify: (digest, signature, publicKey) =>
    verify(signature, digest, publicKey, { prehash: false }),
  compress: (publicKey) => Point.fromBytes(publicKey).toBytes(true),
  decompress: (publicKey) => Point.fromBytes(publicKey).toBytes(false),
};

/**
 * Recovers the public key: nothing of this is secret.
 *
 * @see SEC 1 §4.1.6
 */
function recover(digest: Uint8Array, signature: Uint8Array): Uint8Array {
  const [r, s, recovery] = [toScalar(signature, 0), toScalar(signature, 32), signature[64] ?? 0];
  const x = recovery > 1 ? r + N : r;
  if (x >= P) throw new RangeError("r + n is no coordinate");
  const prefix = Uint8Array.of(2 + (recovery & 1));
  const point = Point.fromBytes(concatBytes(prefix, etc.numberToBytesBE(x)));
  const inverse = etc.invert(r, N);
  const ofBase = etc.mod(-etc.bytesToNumberBE(digest) * inverse, N);
  const ofPoint = etc.mod(s * inverse, N);
  return toBytes(Point.BASE.multiplyUnsafe(ofBase).add(multiply(point, ofPoint)));
}

/** @throws RangeError when the 32 bytes from `at` on are no scalar */
function toScalar(signature: Uint8Array, at: number): bigint {
  return etc.secretKeyToScalar(signature.subarray(at, at + 32));
}

/** Uncompressed, 65 bytes. What arithmetic gone wrong would make of a point is not on the curve, and throws. */
function toBytes(point: Point): Uint8Array {
  // Its coordinates are worked out once: that takes as long as ten additions.
  return Point.fromAffine(point.toAffine()).toBytes(false);
}

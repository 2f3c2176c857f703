import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import {
  getPublicKey,
  getSharedSecret,
  hashes,
  Point,
  recoverPublicKey,
  sign,
  utils,
  verify,
} from "@noble/secp256k1";
import type { CurveBackend } from "./backend.ts";
import { concatBytes } from "./bytes.ts";

/** secp256k1 by `@noble/secp256k1`: pure JavaScript, runs everywhere, the reference for every other backend. */
export const portableBackend: CurveBackend = {
  name: "noble",
  isPoint: (publicKey) => utils.isValidPublicKey(publicKey, false),
  publicKey: (secretKey) => getPublicKey(secretKey, false),
  sharedSecret: (secretKey, publicKey) =>
    // Uncompressed output: compressing would need nothing more, but the x coordinate is all that is kept.
    getSharedSecret(secretKey, publicKey, false).slice(1, 33),
  sign(digest, secretKey) {
    // The library keeps the hash for synchronous signing in a slot that all its users share. It is filled on
    // first use, so that importing this module changes nothing, and never replaced if somebody else did.
    hashes.hmacSha256 ??= (key, message) => hmac(sha256, key, message);
    const signature = sign(digest, secretKey, { prehash: false, format: "recovered" });
    return concatBytes(signature.subarray(1), signature.subarray(0, 1));
  },
  recover: (digest, signature) =>
    recoverPublicKey(concatBytes(signature.subarray(64), signature.subarray(0, 64)), digest, {
      prehash: false,
      isCompressed: false,
    }),
  verify: (digest, signature, publicKey) =>
    verify(signature, digest, publicKey, { prehash: false }),
  compress: (publicKey) => Point.fromBytes(publicKey).toBytes(true),
  decompress: (publicKey) => Point.fromBytes(publicKey).toBytes(false),
};

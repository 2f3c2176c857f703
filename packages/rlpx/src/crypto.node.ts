import { createCipheriv, createHmac, hash } from "node:crypto";

import type { AesCtr } from "./aes.ts";

/**
 * Starts an AES-256-CTR keystream with `node:crypto`.
 *
 * @param key - 32 bytes, the aesSecret
 * @see devp2p rlpx.md §Framing (the initial counter block is zero)
 */
export function createAesCtr(key: Uint8Array): AesCtr {
  const cipher = createCipheriv("aes-256-ctr", key, new Uint8Array(16));
  return {
    update: (data) => plain(cipher.update(data)),
  };
}

/**
 * Encrypts or decrypts one message with AES-128-CTR.
 *
 * @param key - 16 bytes
 * @param iv - 16 bytes, the first counter block
 * @returns a new buffer, the caller's
 * @see devp2p rlpx.md §ECIES Encryption
 */
export function applyAesCtr(key: Uint8Array, iv: Uint8Array, message: Uint8Array): Uint8Array {
  return plain(createCipheriv("aes-128-ctr", key, iv).update(message));
}

/** SHA-256 of bytes: 32 bytes, the caller's. */
export function sha256(message: Uint8Array): Uint8Array {
  return plain(hash("sha256", message, "buffer"));
}

/**
 * HMAC-SHA-256 of parts as if they were joined: 32 bytes, the caller's.
 *
 * @see RFC 2104
 */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(part);
  return plain(mac.digest());
}

/** A Buffer's slice() is a view where a Uint8Array's is a copy: only plain arrays leave here. */
function plain(out: Buffer): Uint8Array {
  return new Uint8Array(out.buffer, out.byteOffset, out.length);
}

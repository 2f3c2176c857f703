import { ctr } from "@noble/ciphers/aes.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";

import type { AesCtr } from "./aes.ts";

/**
 * Starts an AES-256-CTR keystream with `@noble/ciphers`, where `node:crypto` does not exist.
 *
 * @param key - 32 bytes, the aesSecret; copied
 * @see devp2p rlpx.md §Framing (the initial counter block is zero)
 */
export function createAesCtr(key: Uint8Array): AesCtr {
  return new PortableAesCtr(key);
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
  return ctr(key, iv).encrypt(message);
}

/** SHA-256 of bytes: 32 bytes, the caller's. */
export function sha256(message: Uint8Array): Uint8Array {
  return nobleSha256(message);
}

/**
 * HMAC-SHA-256 of parts as if they were joined: 32 bytes, the caller's.
 *
 * @see RFC 2104
 */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = hmac.create(nobleSha256, key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** noble's CTR starts over with every call, so the counter block is carried on here. */
class PortableAesCtr implements AesCtr {
  readonly #key: Uint8Array;
  readonly #counter = new Uint8Array(16);

  constructor(key: Uint8Array) {
    this.#key = key.slice();
  }

  update(data: Uint8Array): Uint8Array {
    const out = ctr(this.#key, this.#counter).encrypt(data);
    this.#advance(data.length / 16);
    return out;
  }

  /** Adds to the big-endian counter; its low 48 bits last for 4 PiB, and the carry keeps it exact after. */
  #advance(blocks: number): void {
    let carry = blocks;
    for (let i = 15; i >= 0 && carry > 0; i--) {
      const sum = (this.#counter[i] ?? 0) + carry;
      this.#counter[i] = sum % 256;
      carry = Math.floor(sum / 256);
    }
  }
}

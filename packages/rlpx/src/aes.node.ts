import { createCipheriv } from "node:crypto";

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
    update(data) {
      const out = cipher.update(data);
      // A Buffer's slice() is a view where a Uint8Array's is a copy: only plain arrays leave here.
      return new Uint8Array(out.buffer, out.byteOffset, out.length);
    },
  };
}

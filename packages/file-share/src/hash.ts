import { fromHex, toHex } from "@heddle/identity";

import { HASH_BYTES } from "./tree.ts";

/** Writes a content hash as people see it: 64 lower-case hex digits. */
export function formatHash(hash: Uint8Array): string {
  return toHex(hash);
}

/**
 * Reads a content hash as people write it.
 *
 * @returns 32 bytes
 * @throws TypeError for what is not 64 hex digits
 */
export function parseHash(text: string): Uint8Array {
  if (text.length !== 2 * HASH_BYTES) {
    throw new TypeError(`a content hash has ${2 * HASH_BYTES} hex digits, got ${text.length}`);
  }
  return fromHex(text);
}

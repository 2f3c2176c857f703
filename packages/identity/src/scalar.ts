import { fromHex } from "./bytes.ts";

/** The order of the curve, big-endian. */
const ORDER = fromHex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

/**
 * Tells whether 32 bytes, read big-endian, are from 1 to the curve order - 1, in time that does not depend on them.
 *
 * @see SEC 2 §2.4.1
 */
export function isScalar(bytes: Uint8Array): boolean {
  let borrow = 0;
  let bits = 0;
  for (let i = 31; i >= 0; i--) {
    const byte = bytes[i] ?? 0;
    bits |= byte;
    // Below zero the sign fills the upper bits.
    borrow = ((byte - (ORDER[i] ?? 0) - borrow) >> 8) & 1;
  }
  return (borrow & Number(bits !== 0)) === 1;
}

/**
 * One direction's AES-256-CTR keystream: continuous from the first byte of the connection to the last.
 *
 * RLPx encrypts whole AES blocks only (headers are one block, frame-data is zero-padded to blocks),
 * so every call takes a multiple of 16 bytes and no implementation has to keep a half-used block.
 */
export interface AesCtr {
  /**
   * XORs the next `data.length` bytes of keystream onto `data`.
   *
   * @param data - a multiple of 16 bytes; only read
   * @returns a new buffer of the same length, the caller's
   */
  update(data: Uint8Array): Uint8Array;
}

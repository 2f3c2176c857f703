import { borrowBuffer, LEAST_LENT_BYTES, returnBuffer } from "./buffer-pool.ts";

const NOTHING = new Uint8Array(0);

/**
 * Bytes that have arrived and are not consumed, and which of them an engine's window holds.
 *
 * Appending costs time in proportion to the bytes appended, whatever waits already. Between feeds the
 * buffer goes back to a pool and only the unconsumed rest is kept, so an idle connection holds next to nothing.
 */
export class ReadBuffer {
  #bytes: Uint8Array = NOTHING;
  #start = 0;
  #end = 0;
  /** `[windowStart, windowEnd)` of the bytes lie at the front of the window. */
  #windowStart = 0;
  #windowEnd = 0;

  /** Bytes that wait. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Appends a chunk of any length; copied. */
  append(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#bytes.length) this.#makeRoom(chunk.length);
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /**
   * Sees to it that the next `length` bytes lie in `window`, and returns where.
   *
   * @param length - at most what waits, and at most the window's length
   */
  load(length: number, window: Uint8Array): number {
    if (this.#start + length > this.#windowEnd) {
      this.#windowStart = this.#start;
      this.#windowEnd = Math.min(this.#end, this.#start + window.length);
      window.set(this.#bytes.subarray(this.#windowStart, this.#windowEnd));
    }
    return this.#start - this.#windowStart;
  }

  /** Drops the next `length` bytes. */
  consume(length: number): void {
    this.#start += length;
  }

  /** Tells that the window has been used for something else. */
  forgetWindow(): void {
    this.#windowEnd = 0;
  }

  /** Gives memory back when there is little left to keep. */
  settle(): void {
    if (this.#bytes.length === 0 || this.length * 16 > this.#bytes.length) return;
    this.#replace(this.length === 0 ? NOTHING : this.#bytes.slice(this.#start, this.#end));
  }

  /** Drops everything. */
  clear(): void {
    this.#start = this.#end;
    this.settle();
  }

  #makeRoom(length: number): void {
    const needed = this.length + length;
    if (needed * 2 <= this.#bytes.length) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
      this.forgetWindow();
      return;
    }
    // Twice what is needed, so that a buffer is copied as many bytes after it was filled as it holds.
    const isFirst = this.#bytes.length < LEAST_LENT_BYTES && needed <= LEAST_LENT_BYTES;
    const room = borrowBuffer(isFirst ? needed : needed * 2);
    room.set(this.#bytes.subarray(this.#start, this.#end));
    this.#replace(room);
  }

  /** Goes on with `bytes`, at whose front the waiting bytes lie. */
  #replace(bytes: Uint8Array): void {
    returnBuffer(this.#bytes);
    this.#end -= this.#start;
    this.#start = 0;
    this.#bytes = bytes;
    this.forgetWindow();
  }
}

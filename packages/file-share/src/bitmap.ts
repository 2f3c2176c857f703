/** A set of the numbers below `length`, at one bit each. */
export class Bitmap {
  /** Bit 7 of byte 0 stands for number 0. */
  readonly bytes: Uint8Array;
  readonly length: number;
  #count = 0;

  constructor(length: number) {
    this.length = length;
    this.bytes = new Uint8Array(Math.ceil(length / 8));
  }

  /** How many numbers are in the set. */
  get count(): number {
    return this.#count;
  }

  has(index: number): boolean {
    return ((this.bytes[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0;
  }

  add(index: number): void {
    if (this.has(index) || index >= this.length) return;
    this.bytes[index >> 3] = (this.bytes[index >> 3] ?? 0) | (0x80 >> (index & 7));
    this.#count += 1;
  }

  delete(index: number): void {
    if (!this.has(index)) return;
    this.bytes[index >> 3] = (this.bytes[index >> 3] ?? 0) & ~(0x80 >> (index & 7));
    this.#count -= 1;
  }

  /** The first number from `from` on that is not in the set; `length` when there is none. */
  nextMissing(from: number): number {
    let index = from;
    while (index < this.length) {
      // Whole bytes at a time: a file that is nearly complete has long runs of them.
      if ((index & 7) === 0 && this.bytes[index >> 3] === 0xff) index += 8;
      else if (this.has(index)) index += 1;
      else return index;
    }
    return this.length;
  }
}

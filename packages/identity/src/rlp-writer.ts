const INITIAL_BYTES = 4 * 1024;
const KEPT_BYTES = 64 * 1024;
/** Up to here a text is first tried as ASCII, byte by byte. */
const SHORT_TEXT = 64;

const utf8 = new TextEncoder();

/**
 * Writes RLP from back to front: when a header's turn comes, the length it states is known.
 *
 * Write the last item first, then close the list with {@link RlpWriter.list}.
 *
 * @see Ethereum Yellow Paper, appendix B
 */
export class RlpWriter {
  #buffer: Uint8Array = new Uint8Array(INITIAL_BYTES);
  /** Where what is written starts. */
  #at: number = INITIAL_BYTES;

  /** Bytes written so far. */
  get size(): number {
    return this.#buffer.length - this.#at;
  }

  /** @param value - a safe integer >= 0, which the caller has checked */
  uint(value: number): void {
    if (value < 0x80) {
      this.#reserve(1);
      this.#buffer[--this.#at] = value === 0 ? 0x80 : value;
      return;
    }
    this.#reserve(9);
    const end = this.#at;
    let rest = value;
    while (rest > 0x7fffffff) {
      this.#buffer[--this.#at] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    for (; rest > 0; rest >>>= 8) this.#buffer[--this.#at] = rest & 0xff;
    this.#buffer[--this.#at] = 0x80 + (end - this.#at - 1);
  }

  /** @param value - an integer >= 0, which the caller has checked */
  bigint(value: bigint): void {
    if (value <= 0xffffffffn) {
      this.uint(Number(value));
      return;
    }
    const hex = value.toString(16);
    const length = Math.ceil(hex.length / 2);
    this.#reserve(length);
    for (let end = hex.length; end > 0; end -= 2) {
      this.#buffer[--this.#at] = Number.parseInt(hex.slice(Math.max(0, end - 2), end), 16);
    }
    this.#header(0x80, length);
  }

  /** @param content - copied */
  bytes(content: Uint8Array): void {
    const { length } = content;
    this.#reserve(length);
    this.#at -= length;
    this.#buffer.set(content, this.#at);
    if (length !== 1 || (content[0] as number) >= 0x80) this.#header(0x80, length);
  }

  /**
   * Writes a byte string of UTF-8; half of a surrogate pair, which that cannot express, becomes U+FFFD.
   *
   * @returns its length in bytes: that of `value` for ASCII, and for nothing else
   */
  text(value: string): number {
    if (value.length <= SHORT_TEXT && this.#ascii(value)) return value.length;
    const content = utf8.encode(value);
    this.bytes(content);
    return content.length;
  }

  /** Puts RLP that is encoded already. */
  encoded(item: Uint8Array): void {
    this.#reserve(item.length);
    this.#at -= item.length;
    this.#buffer.set(item, this.#at);
  }

  /** Makes a list of everything written since {@link RlpWriter.size} was `size`. */
  list(size: number): void {
    this.#header(0xc0, this.size - size);
  }

  /** Everything written, as bytes that the caller owns; the writer is empty again. */
  take(): Uint8Array {
    const { size } = this;
    const buffer = this.#buffer;
    // A buffer that was made for one large message leaves with it: copying it would only cost.
    if (buffer.length > KEPT_BYTES && size > buffer.length * 0.875) {
      this.#buffer = new Uint8Array(INITIAL_BYTES);
      this.#at = INITIAL_BYTES;
      return buffer.subarray(buffer.length - size);
    }
    const taken = buffer.slice(this.#at);
    this.clear();
    return taken;
  }

  /** Forgets everything written, and memory that was only needed for one large message. */
  clear(): void {
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = new Uint8Array(INITIAL_BYTES);
    this.#at = this.#buffer.length;
  }

  #ascii(value: string): boolean {
    const { length } = value;
    this.#reserve(length);
    let at = this.#at;
    for (let i = length - 1; i >= 0; i--) {
      const unit = value.charCodeAt(i);
      if (unit >= 0x80) return false;
      this.#buffer[--at] = unit;
    }
    this.#at = at;
    if (length !== 1) this.#header(0x80, length);
    return true;
  }

  #header(base: 0x80 | 0xc0, length: number): void {
    this.#reserve(9);
    if (length < 56) {
      this.#buffer[--this.#at] = base + length;
      return;
    }
    const end = this.#at;
    for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) {
      this.#buffer[--this.#at] = rest % 256;
    }
    this.#buffer[--this.#at] = base + 55 + (end - this.#at - 1);
  }

  #reserve(count: number): void {
    if (count <= this.#at) return;
    const { size } = this;
    // Doubling keeps many small writes linear; a large one gets little more than it asks for.
    const grown = new Uint8Array(Math.max(2 * this.#buffer.length, size + count + 1024));
    grown.set(this.#buffer.subarray(this.#at), grown.length - size);
    this.#buffer = grown;
    this.#at = grown.length - size;
  }
}

let spare: RlpWriter | undefined;

/** Encodes one value; the writer is shared between calls, but not by a call inside a call. */
export function encodeWith(write: (writer: RlpWriter) => void): Uint8Array {
  const writer = spare ?? new RlpWriter();
  spare = undefined;
  try {
    write(writer);
    return writer.take();
  } finally {
    writer.clear();
    spare = writer;
  }
}

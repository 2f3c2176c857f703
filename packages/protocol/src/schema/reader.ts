import { RLP_MAX_ITEMS } from "@heddle/identity";

import { SchemaError } from "./errors.ts";

/** Most RLP items in one message, whatever its schema says. */
export const MAX_ITEMS: number = RLP_MAX_ITEMS;

/**
 * Reads canonical RLP from front to back, once, without copying.
 *
 * For schemas only: each call takes the next item of the list that is open. After it has thrown, it is
 * of no more use.
 *
 * @see Ethereum Yellow Paper, appendix B
 */
export class RlpReader {
  readonly bytes: Uint8Array;
  /** Where the next item, or after {@link RlpReader.byteString} its content, starts. */
  at: number;
  /** Where the open list ends. */
  end: number;
  #itemsLeft: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.at = 0;
    this.end = bytes.length;
    this.#itemsLeft = MAX_ITEMS;
  }

  /**
   * Opens the byte string that comes next: its content starts at `at`, which the caller moves past it.
   *
   * @returns its length
   */
  byteString(): number {
    const first = this.#first();
    if (first < 0x80) return 1;
    if (first >= 0xc0) throw new SchemaError("ERR_SCHEMA_KIND", "a list, expected a byte string");
    if (first > 0xb7) return this.#longLength(first - 0xb7);
    const length = first - 0x80;
    const at = this.at + 1;
    if (at + length > this.end) throw this.#overrun(at + length);
    if (length === 1 && (this.bytes[at] as number) < 0x80) {
      throw new SchemaError("ERR_RLP_NOT_CANONICAL", "a byte below 0x80 must stand for itself");
    }
    this.at = at;
    return length;
  }

  /**
   * Opens the list that comes next: `at` is its first item and `end` its end.
   *
   * @returns what {@link RlpReader.leave} needs to go back
   */
  enter(): number {
    const first = this.#first();
    if (first < 0xc0) throw new SchemaError("ERR_SCHEMA_KIND", "a byte string, expected a list");
    const outer = this.end;
    if (first > 0xf7) {
      const length = this.#longLength(first - 0xf7);
      this.end = this.at + length;
      return outer;
    }
    const end = this.at + 1 + (first - 0xc0);
    if (end > outer) throw this.#overrun(end);
    this.at += 1;
    this.end = end;
    return outer;
  }

  /** Closes the open list; items not read yet are checked for their extent only, and skipped. */
  leave(outer: number): void {
    while (this.at < this.end) this.skip();
    this.end = outer;
  }

  /** Moves past the next item, whatever it is, without looking inside. */
  skip(): void {
    if (this.isList()) {
      const outer = this.enter();
      this.at = this.end;
      this.end = outer;
    } else {
      const length = this.byteString();
      this.at += length;
    }
  }

  /** Whether a list comes next. */
  isList(): boolean {
    return this.at < this.end && (this.bytes[this.at] as number) >= 0xc0;
  }

  /** Refuses what follows the outermost item. */
  finish(): void {
    const left = this.bytes.length - this.at;
    if (left > 0) throw new SchemaError("ERR_RLP_TRAILING", `${left} bytes after the rlp item`);
  }

  #first(): number {
    if (this.at >= this.end) throw this.#overrun(this.at + 1);
    if (--this.#itemsLeft < 0) {
      throw new SchemaError("ERR_RLP_TOO_MANY_ITEMS", `more than ${MAX_ITEMS} items`);
    }
    return this.bytes[this.at] as number;
  }

  /** Reads a length of `size` bytes and moves to the content. */
  #longLength(size: number): number {
    const start = this.at + 1 + size;
    if (start > this.end) throw this.#overrun(start);
    if (this.bytes[this.at + 1] === 0) {
      throw new SchemaError("ERR_RLP_NOT_CANONICAL", "a length has no leading zero byte");
    }
    let length = 0;
    // Beyond 2^53 the sum rounds, but no input is that long and the comparison stays right.
    for (let i = this.at + 1; i < start; i++) length = length * 256 + (this.bytes[i] as number);
    if (length < 56) {
      throw new SchemaError("ERR_RLP_NOT_CANONICAL", `length ${length} needs no length bytes`);
    }
    if (start + length > this.end) throw this.#overrun(start + length);
    this.at = start;
    return length;
  }

  #overrun(end: number): SchemaError {
    if (this.end === this.bytes.length) {
      return new SchemaError("ERR_RLP_TRUNCATED", `rlp needs ${end} bytes, got ${this.end}`);
    }
    return new SchemaError(
      "ERR_RLP_OVERRUN",
      `an item ends at byte ${end}, its list at ${this.end}`,
    );
  }
}

import { encodeWith } from "@heddle/identity";

import { errorWithin, SchemaError } from "./schema/errors.ts";
import { RlpReader } from "./schema/reader.ts";
import { plainBytes } from "./schema/schema.ts";
import type { Schema } from "./schema/schema.ts";

/** Request ids are unsigned 64-bit integers (EIP-2481). */
const MAX_ID_BYTES = 8;

/** A received `[id, body]`: its id is read, its body not looked at. */
export class Envelope {
  /** As an integer, where a `number` holds it; otherwise Infinity. */
  readonly id: number;
  readonly #reader: RlpReader;
  readonly #outer: number;
  readonly #idStart: number;
  readonly #idEnd: number;

  /**
   * Reads the id and nothing else, in constant time.
   *
   * @throws SchemaError when there is no list with an integer of at most 64 bits in front
   * @see EIP-2481
   */
  constructor(payload: Uint8Array) {
    const reader = new RlpReader(plainBytes(payload));
    this.#reader = reader;
    this.#outer = reader.enter();
    this.#idStart = reader.at;
    try {
      this.id = readId(reader);
    } catch (error) {
      throw errorWithin(error, "id");
    }
    this.#idEnd = reader.at;
  }

  /** Decodes the body; once. */
  open<T>(schema: Schema<T>): T {
    const reader = this.#reader;
    if (reader.at === reader.end) throw new SchemaError("ERR_SCHEMA_MISSING", "missing");
    const value = schema.read(reader);
    reader.leave(this.#outer);
    reader.finish();
    return value;
  }

  /** Encodes `[id, body]` with the id as it came, whatever its size. */
  seal<T>(schema: Schema<T>, value: T): Uint8Array {
    const { bytes } = this.#reader;
    return encodeWith((writer) => {
      schema.write(writer, value);
      writer.copy(bytes, this.#idStart, this.#idEnd);
      writer.list(0);
    });
  }
}

/** Encodes `[id, body]` with an id of our own. */
export function sealRequest<T>(id: number, schema: Schema<T>, value: T): Uint8Array {
  return encodeWith((writer) => {
    schema.write(writer, value);
    writer.uint(id);
    writer.list(0);
  });
}

function readId(reader: RlpReader): number {
  const length = reader.byteString();
  const { at, bytes } = reader;
  if (length > MAX_ID_BYTES) {
    throw new SchemaError("ERR_SCHEMA_RANGE", `${length} bytes, at most ${MAX_ID_BYTES} are an id`);
  }
  if (length > 0 && bytes[at] === 0) throw new SchemaError("ERR_RLP_BAD_UINT", "leading zero");
  let id = 0;
  for (let i = at; i < at + length; i++) id = id * 256 + (bytes[i] as number);
  reader.at = at + length;
  // An id that a double cannot hold is echoed as bytes; none of ours is that large.
  return Number.isSafeInteger(id) ? id : Infinity;
}

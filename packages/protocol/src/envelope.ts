import { encodeWith } from "@heddle/identity";

import { errorWithin, SchemaError } from "./schema/errors.ts";
import { RlpReader } from "./schema/reader.ts";
import { plainBytes } from "./schema/schema.ts";
import type { Schema } from "./schema/schema.ts";

/** Request ids are unsigned 64-bit integers (EIP-2481). */
const MAX_ID_BYTES = 8;

/** A request id: as an integer where a `number` holds it, otherwise as the RLP that came. */
export type RequestId = number | Uint8Array;

/** A received `[id, body]`: its id is read, its body not looked at. */
export class Envelope {
  /** Shares no memory with the payload, which a handler may release before its reply is sealed. */
  readonly id: RequestId;
  readonly #reader: RlpReader;
  readonly #outer: number;

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
    try {
      this.id = readId(reader);
    } catch (error) {
      throw errorWithin(error, "id");
    }
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
}

/** Encodes `[id, body]`: with an id of our own, or with the peer's as it came, whatever its size. */
export function seal<T>(id: RequestId, schema: Schema<T>, value: T): Uint8Array {
  return encodeWith((writer) => {
    schema.write(writer, value);
    if (typeof id === "number") writer.uint(id);
    else writer.encoded(id);
    writer.list(0);
  });
}

function readId(reader: RlpReader): RequestId {
  const start = reader.at;
  const length = reader.byteString();
  const { at, bytes } = reader;
  if (length > MAX_ID_BYTES) {
    throw new SchemaError("ERR_SCHEMA_RANGE", `${length} bytes, at most ${MAX_ID_BYTES} are an id`);
  }
  if (length > 0 && bytes[at] === 0) throw new SchemaError("ERR_RLP_BAD_UINT", "leading zero");
  let id = 0;
  for (let i = at; i < at + length; i++) id = id * 256 + (bytes[i] as number);
  reader.at = at + length;
  return Number.isSafeInteger(id) ? id : bytes.slice(start, reader.at);
}

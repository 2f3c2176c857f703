import { errorWithin, SchemaError } from "./schema/errors.ts";
import { RlpReader } from "./schema/reader.ts";
import { plainBytes } from "./schema/schema.ts";
import type { Schema } from "./schema/schema.ts";
import { encodeWith } from "./schema/writer.ts";

/** Request ids are unsigned 64-bit integers (EIP-2481). */
const MAX_ID_BYTES = 8;

/** A received `[id, body]` whose body has not been looked at. */
export interface Envelope {
  /** As an integer, where a `number` holds it; otherwise Infinity. */
  readonly id: number;
  /** As it stands on the wire, a view: what a reply echoes. */
  readonly encodedId: Uint8Array;
  /** Decodes the body. */
  open<T>(schema: Schema<T>): T;
}

/**
 * Reads the id of `[id, body]` and nothing else, in constant time.
 *
 * @throws SchemaError when there is no list with an integer of at most 64 bits in front
 * @see EIP-2481
 */
export function readEnvelope(payload: Uint8Array): Envelope {
  const reader = new RlpReader(plainBytes(payload));
  const outer = reader.enter();
  const start = reader.at;
  let id: number;
  try {
    id = readId(reader);
  } catch (error) {
    throw errorWithin(error, "id");
  }
  const encodedId = reader.bytes.subarray(start, reader.at);
  return {
    id,
    encodedId,
    open(schema) {
      if (reader.at === reader.end) throw new SchemaError("ERR_SCHEMA_MISSING", "missing");
      const value = schema.read(reader);
      reader.leave(outer);
      reader.finish();
      return value;
    },
  };
}

/** Encodes `[id, body]` with an id of our own. */
export function sealRequest<T>(id: number, schema: Schema<T>, value: T): Uint8Array {
  return encodeWith((writer) => {
    schema.write(writer, value);
    writer.uint(id);
    writer.list(0);
  });
}

/** Encodes `[id, body]` with the id that came. */
export function sealReply<T>(encodedId: Uint8Array, schema: Schema<T>, value: T): Uint8Array {
  return encodeWith((writer) => {
    schema.write(writer, value);
    writer.encoded(encodedId);
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

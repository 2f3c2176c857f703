import { checkRlp, RlpError } from "@heddle/identity";

import { SchemaError, SchemaValueError } from "./errors.ts";
import type { RlpReader } from "./reader.ts";
import { createSchema } from "./schema.ts";
import type { Schema } from "./schema.ts";

/** Bounds on a byte string, in bytes; a text's are counted in UTF-8. */
export interface SizeBounds {
  readonly min?: number;
  readonly max?: number;
}

/** Bounds on a byte string, and whether the result may share the message's memory. */
export interface BytesOptions extends SizeBounds {
  /**
   * Copies what is decoded. By default it is a view, and keeping a view keeps its whole message
   * (up to 16 MiB) in memory.
   */
  readonly copy?: boolean;
}

/** A schema that may be used as it is, or called for one with bounds. */
export interface TextSchema extends Schema<string> {
  (options: SizeBounds): Schema<string>;
}

/** A schema that may be used as it is, or called for one with bounds. */
export interface BytesSchema extends Schema<Uint8Array> {
  (options: BytesOptions): Schema<Uint8Array>;
}

/** A fixed size up to here is copied when it is read: hashes and ids are kept, messages should not be. */
const COPIED_BYTES = 64;

/** Up to here a text is first tried as ASCII, which is faster than starting a decoder. */
const SHORT_TEXT = 24;

// ignoreBOM keeps a leading U+FEFF: what was sent is what is read.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 text; other bytes are refused, never replaced. */
export const text: TextSchema = Object.assign(
  (options: SizeBounds) => textWithin(options),
  textWithin({}),
);

/** A byte string: a view into the message unless `copy` is set. */
export const bytes: BytesSchema = Object.assign(
  (options: BytesOptions) => bytesWithin(options),
  bytesWithin({}),
);

/** 32 bytes, as hashes and keys are; a copy. */
export const bytes32: Schema<Uint8Array> = fixedBytes(32);

/**
 * Any one RLP item, still encoded: for values that have an encoding of their own.
 *
 * Checked to be canonical to its last byte; read as a view into the message.
 */
export const item: Schema<Uint8Array> = createSchema<Uint8Array>(
  { kind: "item" },
  (reader) => {
    const start = reader.at;
    reader.skip();
    const encoded = reader.bytes.subarray(start, reader.at);
    const fault = itemFault(encoded);
    if (fault !== undefined) {
      throw new SchemaError("ERR_SCHEMA_REFUSED", fault.message, { cause: fault });
    }
    return encoded;
  },
  (writer, value) => {
    expectBytes(value);
    const fault = itemFault(value);
    if (fault !== undefined) throw new SchemaValueError(fault.message, { cause: fault });
    writer.encoded(value);
  },
);

/** A byte string of exactly `length` bytes; a copy up to 64 bytes, beyond that a view. */
export function fixedBytes(length: number): Schema<Uint8Array> {
  return bytesWithin({ min: length, max: length, copy: length <= COPIED_BYTES });
}

function bytesWithin(options: BytesOptions): Schema<Uint8Array> {
  const { min, max } = checkBounds(options);
  const copy = options.copy ?? false;
  return createSchema<Uint8Array>(
    { kind: "bytes", min, max },
    (reader) => {
      const start = readExtent(reader, min, max);
      const view = reader.bytes.subarray(start, reader.at);
      return copy ? new Uint8Array(view) : view;
    },
    (writer, value) => {
      expectBytes(value);
      expectSize(value.length, min, max);
      writer.bytes(value);
    },
  );
}

function textWithin(options: SizeBounds): Schema<string> {
  const { min, max } = checkBounds(options);
  return createSchema<string>(
    { kind: "text", min, max },
    (reader) => decodeText(reader.bytes, readExtent(reader, min, max), reader.at),
    (writer, value) => {
      if (typeof value !== "string") throw new SchemaValueError(`expected a text`);
      const length = writer.text(value);
      if (length !== value.length && /\p{Surrogate}/u.test(value)) {
        throw new SchemaValueError("a lone surrogate in a text");
      }
      expectSize(length, min, max);
    },
  );
}

/** Moves past a byte string whose length is within bounds; returns where it starts. */
function readExtent(reader: RlpReader, min: number, max: number): number {
  const length = reader.byteString();
  if (length < min || length > max) {
    throw new SchemaError("ERR_SCHEMA_SIZE", sizeProblem(length, min, max));
  }
  const start = reader.at;
  reader.at = start + length;
  return start;
}

function decodeText(payload: Uint8Array, start: number, end: number): string {
  if (end - start <= SHORT_TEXT) {
    let ascii = "";
    let i = start;
    for (; i < end; i++) {
      const byte = payload[i] as number;
      if (byte >= 0x80) break;
      ascii += String.fromCharCode(byte);
    }
    if (i === end) return ascii;
  }
  try {
    return utf8.decode(payload.subarray(start, end));
  } catch (cause) {
    throw new SchemaError("ERR_SCHEMA_TEXT", "not UTF-8", { cause });
  }
}

function itemFault(encoded: Uint8Array): RlpError | undefined {
  try {
    checkRlp(encoded);
    return undefined;
  } catch (error) {
    if (error instanceof RlpError) return error;
    throw error;
  }
}

function checkBounds({ min = 0, max = Infinity }: SizeBounds): { min: number; max: number } {
  if (!Number.isSafeInteger(min) || min < 0) throw new RangeError(`min ${min} is no length`);
  if (max !== Infinity && !Number.isSafeInteger(max)) {
    throw new RangeError(`max ${max} is no length`);
  }
  if (min > max) throw new RangeError(`min ${min} is over max ${max}`);
  return { min, max };
}

function expectBytes(value: unknown): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw new SchemaValueError("expected a Uint8Array");
}

function expectSize(length: number, min: number, max: number): void {
  if (length < min || length > max) throw new SchemaValueError(sizeProblem(length, min, max));
}

function sizeProblem(length: number, min: number, max: number): string {
  const allowed = min === max ? `${min}` : `${min} to ${max}`;
  return `${length} bytes, expected ${allowed}`;
}

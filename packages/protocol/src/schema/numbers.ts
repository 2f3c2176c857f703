import { SchemaError, SchemaValueError } from "./errors.ts";
import type { RlpReader } from "./reader.ts";
import { createSchema } from "./schema.ts";
import type { Schema } from "./schema.ts";

const MAX_U256 = 2n ** 256n - 1n;

/** A schema that may be used as it is, or called for one with narrower bounds. */
export interface UintSchema extends Schema<number> {
  (options: { max: number }): Schema<number>;
}

/** A schema that may be used as it is, or called for one with other bounds. */
export interface BigintSchema extends Schema<bigint> {
  (options: { max: bigint }): Schema<bigint>;
}

/** An integer from 0 to 2^53-1, or to `max`: minimal big-endian on the wire. */
export const uint: UintSchema = Object.assign(
  ({ max }: { max: number }) => uintUpTo(max),
  uintUpTo(Number.MAX_SAFE_INTEGER),
);

/** An integer from 0 to 2^256-1, or to `max`, as a bigint. */
export const bigint: BigintSchema = Object.assign(
  ({ max }: { max: bigint }) => bigintUpTo(max),
  bigintUpTo(MAX_U256),
);

/** `true` is 0x01 and `false` 0x80 on the wire; nothing else is accepted. */
export const bool: Schema<boolean> = createSchema(
  { kind: "bool" },
  (reader) => {
    const value = readUint(reader);
    if (value > 1) throw new SchemaError("ERR_SCHEMA_REFUSED", "neither 0 nor 1");
    return value === 1;
  },
  (writer, value) => {
    if (typeof value !== "boolean") throw new SchemaValueError(`expected a boolean`);
    writer.uint(value ? 1 : 0);
  },
);

/** Reads a canonical integer that a `number` holds exactly. */
export function readUint(reader: RlpReader): number {
  const length = reader.byteString();
  const { bytes, at } = reader;
  if (length === 1) {
    reader.at = at + 1;
    const byte = bytes[at] as number;
    if (byte === 0) throw leadingZero();
    return byte;
  }
  if (length === 0) return 0;
  if (bytes[at] === 0) throw leadingZero();
  if (length > 7) throw over("2^53-1");
  let value = 0;
  for (let i = at; i < at + length; i++) value = value * 256 + (bytes[i] as number);
  if (value > Number.MAX_SAFE_INTEGER) throw over("2^53-1");
  reader.at = at + length;
  return value;
}

function uintUpTo(max: number): Schema<number> {
  if (!Number.isSafeInteger(max) || max < 0) throw new RangeError(`max ${max} is no safe integer`);
  return createSchema<number>(
    { kind: "uint", max },
    (reader) => {
      const value = readUint(reader);
      if (value > max) throw over(String(max));
      return value;
    },
    (writer, value) => {
      if (!Number.isSafeInteger(value) || value < 0 || value > max) {
        throw new SchemaValueError(`expected an integer from 0 to ${max}, got ${show(value)}`);
      }
      // Minus zero is a safe integer >= 0, and zero on the wire.
      writer.uint(value);
    },
  );
}

function bigintUpTo(max: bigint): Schema<bigint> {
  if (max < 0n) throw new RangeError("max is negative");
  const maxBytes = Math.ceil(max.toString(16).length / 2);
  return createSchema<bigint>(
    { kind: "bigint", max },
    (reader) => {
      const length = reader.byteString();
      const { bytes, at } = reader;
      if (length > 0 && bytes[at] === 0) throw leadingZero();
      // Before the bytes become a number: making one costs more than linear time.
      if (length > maxBytes) throw over(`${maxBytes} bytes`);
      reader.at = at + length;
      const value = toBigint(bytes, at, length);
      if (value > max) throw over(String(max));
      return value;
    },
    (writer, value) => {
      if (typeof value !== "bigint" || value < 0n || value > max) {
        throw new SchemaValueError(`expected a bigint from 0 to ${max}, got ${show(value)}`);
      }
      writer.bigint(value);
    },
  );
}

function toBigint(bytes: Uint8Array, at: number, length: number): bigint {
  let value = 0n;
  for (let i = at; i < at + length;) {
    let part = 0;
    const end = Math.min(i + 6, at + length);
    const bits = 8n * BigInt(end - i);
    for (; i < end; i++) part = part * 256 + (bytes[i] as number);
    value = (value << bits) | BigInt(part);
  }
  return value;
}

function show(value: unknown): string {
  return typeof value === "number" || typeof value === "bigint" ? String(value) : typeof value;
}

function leadingZero(): SchemaError {
  return new SchemaError("ERR_RLP_BAD_UINT", "leading zero");
}

function over(max: string): SchemaError {
  return new SchemaError("ERR_SCHEMA_RANGE", `an integer over ${max}`);
}

import { escapeText } from "@heddle/identity";

import { checkSchema, isRecord, unexpected } from "./argument.ts";
import { errorWithin, SchemaError, SchemaValueError } from "./errors.ts";
import { readUint } from "./numbers.ts";
import { createSchema } from "./schema.ts";
import type { Schema } from "./schema.ts";

/** The variants of a {@link union}: for each name the number on the wire, and what follows it. */
export type Variants = Readonly<Record<string, readonly [code: number, schema: Schema<unknown>]>>;

/** What a union reads and writes. */
export type UnionOf<V extends Variants> = {
  [K in keyof V & string]: {
    readonly kind: K;
    readonly value: V[K][1] extends Schema<infer T> ? T : never;
  };
}[keyof V & string];

/**
 * One of several kinds, told apart by a number: `[code, value]` on the wire.
 *
 * @throws TypeError, RangeError for what is no variant, and for two of one code
 * @example
 * const shape = union({ circle: [0, uint], square: [1, struct({ side: uint })] });
 * shape.encode({ kind: "circle", value: 3 });
 */
export function union<const V extends Variants>(variants: V): Schema<UnionOf<V>> {
  if (!isRecord(variants)) throw unexpected("union", "an object of variants", variants);
  const byName = new Map(Object.entries(variants));
  const byCode = new Map<number, { name: string; schema: Schema<unknown> }>();
  for (const [name, variant] of byName) {
    if (!Array.isArray(variant)) throw unexpected(name, "[code, schema]", variant);
    const [code, schema] = variant;
    checkSchema(name, schema);
    if (!Number.isSafeInteger(code) || code < 0) throw new RangeError(`code ${code} of ${name}`);
    if (byCode.has(code)) throw new TypeError(`code ${code} stands for two variants`);
    byCode.set(code, { name, schema });
  }
  const shape = [...byCode].map(([code, { name, schema }]) => ({
    name,
    code,
    shape: schema.shape,
  }));
  const schema = createSchema<{ readonly kind: string; readonly value: unknown }>(
    { kind: "union", variants: shape },
    (reader) => {
      const outer = reader.enter();
      const code = readUint(reader);
      const variant = byCode.get(code);
      if (variant === undefined) {
        throw new SchemaError("ERR_SCHEMA_REFUSED", `no variant has code ${code}`);
      }
      if (reader.at === reader.end) {
        throw new SchemaError("ERR_SCHEMA_MISSING", "missing", { path: variant.name });
      }
      try {
        const value = variant.schema.read(reader);
        reader.leave(outer);
        return { kind: variant.name, value };
      } catch (error) {
        throw errorWithin(error, variant.name);
      }
    },
    (writer, chosen) => {
      if (typeof chosen !== "object" || chosen === null) {
        throw new SchemaValueError("expected { kind, value }");
      }
      const { kind, value } = chosen;
      const variant = byName.get(kind);
      if (variant === undefined) throw new SchemaValueError(`no variant is named ${kind}`);
      const { size } = writer;
      try {
        variant[1].write(writer, value);
      } catch (error) {
        throw errorWithin(error, kind);
      }
      writer.uint(variant[0]);
      writer.list(size);
    },
  );
  return schema as unknown as Schema<UnionOf<V>>;
}

/** How a {@link mapped} schema's value becomes another, and back. */
export interface Mapping<Wire, T> {
  /** Throws whatever Error says why the value is refused. */
  decode(wire: Wire): T;
  encode(value: T): Wire;
}

/**
 * Reads one schema's values as something else: a record of its own class, a checked range.
 *
 * What `decode` throws is the sender's fault, as a {@link SchemaError} with the thrown error as cause;
 * what `encode` throws is the caller's.
 *
 * @throws TypeError for what is no schema or no mapping
 */
export function mapped<Wire, T>(schema: Schema<Wire>, mapping: Mapping<Wire, T>): Schema<T> {
  checkSchema("mapped", schema);
  if (typeof mapping?.decode !== "function" || typeof mapping.encode !== "function") {
    throw unexpected("mapped", "{ decode, encode }", mapping);
  }
  return createSchema<T>(
    schema.shape,
    (reader) => {
      const wire = schema.read(reader);
      try {
        return mapping.decode(wire);
      } catch (cause) {
        if (cause instanceof SchemaError) throw cause;
        const problem = cause instanceof Error ? escapeText(cause.message, 200) : "refused";
        throw new SchemaError("ERR_SCHEMA_REFUSED", problem, { cause });
      }
    },
    (writer, value) => schema.write(writer, mapping.encode(value)),
  );
}

import { checkSchema, isRecord, unexpected } from "./argument.ts";
import { errorWithin, SchemaError, SchemaValueError } from "./errors.ts";
import { MAX_ITEMS } from "./reader.ts";
import { createSchema } from "./schema.ts";
import type { ElementShape, Schema } from "./schema.ts";

/** A trailing element that may be missing; made by {@link optional}. */
export interface Optional<T> {
  readonly optional: Schema<T>;
}

/** An element of a tuple or struct. */
export type Element = Schema<unknown> | Optional<unknown>;

/** What a tuple of the given elements reads and writes. */
export type TupleOf<E extends readonly Element[]> = E extends readonly [infer First, ...infer Rest]
  ? Rest extends readonly Element[]
    ? First extends Optional<infer T>
      ? readonly [(T | undefined)?, ...TupleOf<Rest>]
      : First extends Schema<infer T>
        ? readonly [T, ...TupleOf<Rest>]
        : never
    : never
  : readonly [];

/** What a struct of the given fields reads and writes. */
export type StructOf<F extends Readonly<Record<string, Element>>> = {
  readonly [K in keyof F as F[K] extends Optional<unknown> ? never : K]: F[K] extends Schema<
    infer T
  >
    ? T
    : never;
} & {
  readonly [K in keyof F as F[K] extends Optional<unknown> ? K : never]?:
    | (F[K] extends Optional<infer T> ? T : never)
    | undefined;
};

/** Flattens an intersection, so that editors show the fields. */
type Flat<T> = { [K in keyof T]: T[K] };

/**
 * A list of any number of elements of one kind.
 *
 * @param options.max - most elements; at most {@link MAX_ITEMS}, which also bounds all items of a message together
 */
export function list<T>(element: Schema<T>, options: { max?: number } = {}): Schema<readonly T[]> {
  checkSchema("list", element);
  const max = options.max ?? MAX_ITEMS;
  if (!Number.isSafeInteger(max) || max < 0 || max > MAX_ITEMS) {
    throw new RangeError(`max ${max} is not from 0 to ${MAX_ITEMS}`);
  }
  return createSchema<readonly T[]>(
    { kind: "list", max, element: element.shape },
    (reader) => {
      const outer = reader.enter();
      const values: T[] = [];
      while (reader.at < reader.end) {
        if (values.length === max) throw tooMany(max);
        try {
          values.push(element.read(reader));
        } catch (error) {
          throw errorWithin(error, `[${values.length}]`);
        }
      }
      reader.leave(outer);
      return values;
    },
    (writer, values) => {
      if (!Array.isArray(values)) throw new SchemaValueError("expected an array");
      if (values.length > max) {
        throw new SchemaValueError(`${values.length} elements, expected at most ${max}`);
      }
      const { size } = writer;
      for (let i = values.length - 1; i >= 0; i--) {
        try {
          element.write(writer, values[i] as T);
        } catch (error) {
          throw errorWithin(error, `[${i}]`);
        }
      }
      writer.list(size);
    },
  );
}

/** Makes an element of a tuple or struct one that may be missing; only such may follow it. */
export function optional<T>(schema: Schema<T>): Optional<T> {
  checkSchema("optional", schema);
  return { optional: schema };
}

/**
 * A list of elements that each have their place and kind.
 *
 * Elements beyond the declared ones are ignored when read: a newer peer may send them.
 *
 * @throws TypeError for what is no schema, and for an element that must be there after an optional one
 * @see EIP-8
 */
export function tuple<const E extends readonly Element[]>(...elements: E): Schema<TupleOf<E>> {
  const { schemas, shapes, required } = readElements(elements, (i) => `[${i}]`);
  const count = schemas.length;
  const schema = createSchema<readonly unknown[]>(
    { kind: "tuple", elements: shapes },
    (reader) => {
      const outer = reader.enter();
      const values: unknown[] = [];
      let i = 0;
      try {
        for (; i < count && reader.at < reader.end; i++) {
          values.push((schemas[i] as Schema<unknown>).read(reader));
        }
        if (i < required) throw missing();
      } catch (error) {
        throw errorWithin(error, `[${i}]`);
      }
      reader.leave(outer);
      return values;
    },
    (writer, values) => {
      if (!Array.isArray(values)) throw new SchemaValueError("expected an array");
      if (values.length > count) {
        throw new SchemaValueError(`${values.length} elements, expected at most ${count}`);
      }
      const { size } = writer;
      let i = lastPresent(count, required, (at) => values[at] as unknown);
      try {
        for (; i >= 0; i--) (schemas[i] as Schema<unknown>).write(writer, values[i]);
      } catch (error) {
        throw errorWithin(error, `[${i}]`);
      }
      writer.list(size);
    },
  );
  return schema as unknown as Schema<TupleOf<E>>;
}

/**
 * A list whose elements have names here, and only their place on the wire: the order of the fields.
 *
 * Elements beyond the declared ones are ignored when read: a newer peer may send them.
 *
 * @throws TypeError for what is no schema, for a field that must be there after an optional one, and
 * for names whose place JavaScript does not keep (`0`, `1`, ...) or that are special to it (`__proto__`)
 * @see EIP-8
 */
export function struct<const F extends Readonly<Record<string, Element>>>(
  fields: F,
): Schema<Flat<StructOf<F>>> {
  if (!isRecord(fields)) throw unexpected("struct", "an object of schemas", fields);
  const names = Object.keys(fields);
  for (const name of names) checkFieldName(name);
  const nameOf = (i: number): string => names[i] as string;
  const { schemas, shapes, required } = readElements(Object.values(fields), nameOf);
  const count = names.length;
  const schema = createSchema<Readonly<Record<string, unknown>>>(
    { kind: "struct", elements: shapes.map((shape, i) => ({ ...shape, name: nameOf(i) })) },
    (reader) => {
      const outer = reader.enter();
      const value: Record<string, unknown> = {};
      let i = 0;
      try {
        for (; i < count && reader.at < reader.end; i++) {
          value[names[i] as string] = (schemas[i] as Schema<unknown>).read(reader);
        }
        if (i < required) throw missing();
      } catch (error) {
        throw errorWithin(error, nameOf(i));
      }
      reader.leave(outer);
      return value;
    },
    (writer, value) => {
      if (typeof value !== "object" || value === null) {
        throw new SchemaValueError("expected an object");
      }
      const { size } = writer;
      let i = lastPresent(count, required, (at) => value[nameOf(at)]);
      try {
        for (; i >= 0; i--) {
          (schemas[i] as Schema<unknown>).write(writer, value[names[i] as string]);
        }
      } catch (error) {
        throw errorWithin(error, nameOf(i));
      }
      writer.list(size);
    },
  );
  return schema as unknown as Schema<Flat<StructOf<F>>>;
}

interface Elements {
  readonly schemas: readonly Schema<unknown>[];
  readonly shapes: readonly ElementShape[];
  /** How many, from the first on, must be there. */
  readonly required: number;
}

function readElements(elements: readonly Element[], nameOf: (i: number) => string): Elements {
  const schemas: Schema<unknown>[] = [];
  const shapes: ElementShape[] = [];
  let required = 0;
  for (const [i, element] of elements.entries()) {
    const isOptional = isRecord(element) && "optional" in element;
    const schema = isOptional ? element.optional : element;
    checkSchema(nameOf(i), schema);
    if (!isOptional && required < i) {
      throw new TypeError(`${nameOf(i)} must be optional, because the element before it is`);
    }
    if (!isOptional) required = i + 1;
    schemas.push(schema);
    shapes.push({ shape: schema.shape, optional: isOptional });
  }
  return { schemas, shapes, required };
}

/** The last element to write: a missing optional one ends the list. */
function lastPresent(count: number, required: number, get: (i: number) => unknown): number {
  let last = count - 1;
  while (last >= required && get(last) === undefined) last--;
  return last;
}

function checkFieldName(name: string): void {
  if (/^(0|[1-9]\d*)$/.test(name)) {
    throw new TypeError(`field ${name}: JavaScript sorts such names, so their place is lost`);
  }
  if (name === "__proto__") throw new TypeError("field __proto__ is not a name for data");
}

function missing(): SchemaError {
  return new SchemaError("ERR_SCHEMA_MISSING", "missing");
}

function tooMany(max: number): SchemaError {
  return new SchemaError("ERR_SCHEMA_SIZE", `more than ${max} elements`);
}

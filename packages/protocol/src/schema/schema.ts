import { encodeWith, RLP_MAX_DEPTH } from "@heddle/identity";
import type { RlpWriter } from "@heddle/identity";

import { RlpReader } from "./reader.ts";

/** What a schema describes, for tables, documentation and generated test input. */
export type Shape =
  | { readonly kind: "uint"; readonly max: number }
  | { readonly kind: "bigint"; readonly max: bigint }
  | { readonly kind: "bool" }
  | { readonly kind: "text" | "bytes"; readonly min: number; readonly max: number }
  | { readonly kind: "item" }
  | { readonly kind: "list"; readonly max: number; readonly element: Shape }
  | { readonly kind: "tuple"; readonly elements: readonly ElementShape[] }
  | { readonly kind: "struct"; readonly elements: readonly (ElementShape & { name: string })[] }
  | {
      readonly kind: "union";
      readonly variants: readonly { name: string; code: number; shape: Shape }[];
    };

/** One positional element of a tuple or struct. */
export interface ElementShape {
  readonly shape: Shape;
  readonly optional: boolean;
}

/**
 * One RLP item's type: reads it strictly, writes it canonically, and gives it a TypeScript type.
 *
 * A `Decoder`, so `message.decode(schema)` takes it.
 */
export interface Schema<T> {
  readonly shape: Shape;
  /**
   * Decodes one item that spans the whole payload.
   *
   * @param payload - not copied: byte strings in the result may be views into it
   * @throws SchemaError with the path of what is wrong
   */
  decode(payload: Uint8Array): T;
  /**
   * Encodes a value, into bytes that the caller owns: the typed layer frees them once they are sealed.
   *
   * @throws SchemaValueError for a value that does not fit, with its path
   */
  encode(value: T): Uint8Array;
  /** Reads the item that comes next: how schemas are built from others. */
  read(reader: RlpReader): T;
  /** Writes an item in front of what is written: how schemas are built from others. */
  write(writer: RlpWriter, value: T): void;
}

/** The TypeScript type that a schema reads and writes. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

/**
 * Makes a schema of a reading and a writing function.
 *
 * @throws RangeError when it nests lists deeper than 32
 */
export function createSchema<T>(
  shape: Shape,
  read: (reader: RlpReader) => T,
  write: (writer: RlpWriter, value: T) => void,
): Schema<T> {
  const depth = depthOf(shape);
  if (depth > RLP_MAX_DEPTH) {
    throw new RangeError(`a schema of depth ${depth}, at most ${RLP_MAX_DEPTH} is allowed`);
  }
  return {
    shape,
    read,
    write,
    decode(payload) {
      const reader = new RlpReader(plainBytes(payload));
      const value = read(reader);
      reader.finish();
      return value;
    },
    encode: (value) => encodeWith((writer) => write(writer, value)),
  };
}

/** The same memory as a plain Uint8Array: a Buffer's views would be Buffers. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.constructor === Uint8Array) return bytes;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Says in one line what a shape is, as in `[word: text, at?: uint]`. */
export function describeShape(shape: Shape): string {
  if (shape.kind === "uint" && shape.max !== Number.MAX_SAFE_INTEGER) return `uint<=${shape.max}`;
  if (shape.kind === "text" || shape.kind === "bytes") {
    return shape.kind + describeSize(shape.min, shape.max);
  }
  if (shape.kind === "list") return `list(${describeShape(shape.element)})`;
  if (shape.kind === "tuple") {
    return `[${shape.elements.map((e) => describeShape(e.shape) + (e.optional ? "?" : "")).join(", ")}]`;
  }
  if (shape.kind === "struct") {
    const fields = shape.elements.map(
      (e) => `${e.name}${e.optional ? "?" : ""}: ${describeShape(e.shape)}`,
    );
    return `[${fields.join(", ")}]`;
  }
  if (shape.kind === "union") {
    return shape.variants
      .map(({ code, name, shape }) => `[${code}, ${name}: ${describeShape(shape)}]`)
      .join(" | ");
  }
  return shape.kind;
}

function describeSize(min: number, max: number): string {
  if (min === max) return String(max);
  if (max !== Infinity) return min === 0 ? `<=${max}` : `${min}..${max}`;
  return min === 0 ? "" : `>=${min}`;
}

function depthOf(shape: Shape): number {
  return 1 + Math.max(-1, ...childrenOf(shape).map(depthOf));
}

function childrenOf(shape: Shape): readonly Shape[] {
  if (shape.kind === "list") return [shape.element];
  // An empty tuple is a list all the same.
  if (shape.kind === "tuple" || shape.kind === "struct") {
    return shape.elements.length === 0 ? [{ kind: "bool" }] : shape.elements.map((e) => e.shape);
  }
  return shape.kind === "union" ? shape.variants.map((variant) => variant.shape) : [];
}

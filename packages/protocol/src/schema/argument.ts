import type { Schema } from "./schema.ts";

/** Whether it is an object whose keys are names: no array, no function. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Refuses what is no schema where one belongs, when a protocol is defined and not when it first speaks.
 *
 * @param where - what takes the schema, as in `notify(0)`
 * @throws TypeError
 */
export function checkSchema(where: string, value: unknown): asserts value is Schema<unknown> {
  if (isSchema(value)) return;
  const hint = isRecord(value) ? "; a list of named fields is struct({ … })" : "";
  throw unexpected(where, "a schema", value, hint);
}

/** Says what was expected, and what came instead. */
export function unexpected(where: string, expected: string, came: unknown, hint = ""): TypeError {
  return new TypeError(`${where}: expected ${expected}, got ${describeArgument(came)}${hint}`);
}

function isSchema(value: unknown): boolean {
  if (typeof value !== "function" && !isRecord(value)) return false;
  const { shape, read, write, decode, encode } = value as Partial<Schema<unknown>>;
  return isRecord(shape) && [read, write, decode, encode].every((f) => typeof f === "function");
}

function describeArgument(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "an array";
  if (!isRecord(value)) return String(value);
  const keys = Object.keys(value).slice(0, 5).join(", ");
  return keys === "" ? "{}" : `{ ${keys} }`;
}

import { fromHex } from "@heddle/identity";
import { expect } from "vitest";

import { SchemaError, SchemaValueError } from "../../src/index.ts";
import type { Schema } from "../../src/index.ts";

/** Decodes hex that must be refused; says how. */
export function refusal(schema: Schema<unknown>, hex: string | Uint8Array): SchemaError {
  try {
    schema.decode(typeof hex === "string" ? fromHex(hex) : hex);
  } catch (error) {
    expect(error).toBeInstanceOf(SchemaError);
    return error as SchemaError;
  }
  throw new Error("was accepted");
}

/** Encodes a value that must be refused; says how. */
export function misuse(schema: Schema<unknown>, value: unknown): SchemaValueError {
  try {
    schema.encode(value);
  } catch (error) {
    expect(error).toBeInstanceOf(SchemaValueError);
    return error as SchemaValueError;
  }
  throw new Error("was accepted");
}

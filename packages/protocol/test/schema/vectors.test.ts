import { encodeRlp, fromHex, toHex } from "@heddle/identity";
import type { RlpInput } from "@heddle/identity";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import vectors from "../../../identity/test/vectors/rlp.json" with { type: "json" };
import {
  bigint,
  bytes,
  item,
  list,
  SchemaError,
  struct,
  text,
  tuple,
  uint,
} from "../../src/index.ts";
import type { Schema } from "../../src/index.ts";

const valid = Object.entries(vectors.valid as Record<string, { in: unknown; out: string }>);
const invalid = Object.entries(vectors.invalid as Record<string, { out: string }>);
const words = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === "string");

describe("published vectors (ethereum/tests RLPTests)", () => {
  test.each(valid.filter(([, v]) => typeof v.in === "string" && !v.in.startsWith("#")))(
    "%s is a text",
    (_name, vector) => {
      expect(toHex(text.encode(vector.in as string))).toBe(vector.out);
      expect(text.decode(fromHex(vector.out))).toBe(vector.in);
    },
  );

  test.each(valid.filter(([, v]) => typeof v.in === "number"))("%s is a uint", (_name, vector) => {
    expect(toHex(uint.encode(vector.in as number))).toBe(vector.out);
    expect(uint.decode(fromHex(vector.out))).toBe(vector.in);
  });

  test.each(valid.filter(([, v]) => typeof v.in === "string" && v.in.startsWith("#")))(
    "%s is a bigint",
    (_name, vector) => {
      const value = BigInt((vector.in as string).slice(1));
      const schema = bigint({ max: 2n ** 256n });
      expect(toHex(schema.encode(value))).toBe(vector.out);
      expect(schema.decode(fromHex(vector.out))).toBe(value);
    },
  );

  test.each(valid.filter(([, v]) => words(v.in)))("%s is a list of texts", (_name, vector) => {
    expect(toHex(list(text).encode(vector.in as string[]))).toBe(vector.out);
    expect(list(text).decode(fromHex(vector.out))).toEqual(vector.in);
  });

  test.each(valid)("%s is an item", (_name, vector) => {
    expect(toHex(item.decode(fromHex(vector.out)))).toBe(vector.out);
  });

  test.each(invalid)("%s is refused by every schema", (_name, vector) => {
    for (const schema of [
      bytes,
      text,
      uint,
      bigint,
      item,
      list(item),
      list(bytes),
      list(list(item)),
    ]) {
      expect(() => (schema as Schema<unknown>).decode(fromHex(vector.out))).toThrow(SchemaError);
    }
  });
});

describe("hostile input", () => {
  const Message = struct({
    id: uint,
    names: list(text, { max: 10 }),
    parts: list(tuple(bigint, bytes)),
  });
  const payload = encodeRlp([7, ["a", "bc"], [[1n, new Uint8Array(60)]]]);

  test("cut short at any byte, a message is refused with an error of its own", () => {
    for (let length = 0; length < payload.length; length++) {
      expect(() => Message.decode(payload.subarray(0, length))).toThrow(SchemaError);
    }
  });

  test("with any bytes changed, a message is read or refused, nothing else", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(payload.length - 1), fc.nat(255)), { maxLength: 4 }),
        (changes) => {
          const mutant = payload.slice();
          for (const [at, byte] of changes) mutant[at] = byte;
          try {
            Message.decode(mutant);
          } catch (error) {
            expect(error).toBeInstanceOf(SchemaError);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test("whatever decodes, encodes to the same bytes: one value, one encoding", () => {
    const exact = list(list(bytes));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytesIn) => {
        let value;
        try {
          value = exact.decode(bytesIn);
        } catch {
          return;
        }
        expect(exact.encode(value)).toEqual(bytesIn);
      }),
      { numRuns: 2_000 },
    );
  });

  test("nested RLP of any form is an item, and comes back as it was", () => {
    const { value: tree } = fc.letrec<{ value: RlpInput }>((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        fc.uint8Array({ maxLength: 70 }),
        fc.array(tie("value"), { maxLength: 5 }),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        const encoded = encodeRlp([value, 1]);
        expect(tuple(item, uint).encode(tuple(item, uint).decode(encoded))).toEqual(encoded);
      }),
    );
  });
});

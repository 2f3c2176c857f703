import { bytesEqual, decodeRlp, encodeRlp, fromHex } from "@heddle/identity";
import type { RlpValue } from "@heddle/identity";
import {
  bigint,
  bool,
  bytes,
  bytes32,
  fixedBytes,
  item,
  list,
  mapped,
  optional,
  struct,
  text,
  tuple,
  uint,
  union,
} from "@heddle/protocol";
import type { Schema } from "@heddle/protocol";

import { must, refusals } from "../target.ts";
import type { FuzzTarget } from "../target.ts";

const WORDS = ["", "a", "dog", "ä€😀", "x".repeat(55), "x".repeat(56), "x".repeat(300)];
const NUMBERS = [0, 1, 127, 128, 255, 256, 65_535, 2 ** 32, Number.MAX_SAFE_INTEGER];

const VALUES: readonly Uint8Array[] = [
  ...WORDS.map((word) => encodeRlp(word)),
  ...NUMBERS.map((number) => encodeRlp(number)),
  encodeRlp([]),
  encodeRlp([[], [[]], [[], [[]]]]),
  encodeRlp(["cat", ["puppy", "cow"], "horse", [[]], "pig", [""], "sheep"]),
  encodeRlp(Array.from({ length: 300 }, (_, i) => [i, `${i}`])),
];

/** The decoder of untyped RLP: what it accepts has one encoding, which is what came. */
export const rlp: FuzzTarget = {
  name: "rlp",
  kind: "rlp",
  corpus: VALUES,
  refusals: refusals("RlpError", [
    "ERR_RLP_TRUNCATED",
    "ERR_RLP_TRAILING",
    "ERR_RLP_OVERRUN",
    "ERR_RLP_NOT_CANONICAL",
    "ERR_RLP_TOO_DEEP",
    "ERR_RLP_TOO_MANY_ITEMS",
  ]),
  run(input) {
    const value: RlpValue = decodeRlp(input, { maxItems: 4_096 });
    must(bytesEqual(encodeRlp(value), input), "what was accepted has another encoding");
  },
};

/** Every kind of schema at least once, each with a valid message. */
const SCHEMAS: readonly { schema: Schema<unknown>; message: Uint8Array }[] = [
  of(list(tuple(text, uint)), [
    ["a", 1],
    ["b", 2],
  ]),
  of(struct({ network: uint, head: bytes32, genesis: fixedBytes(4), latest: bigint }), {
    network: 1,
    head: new Uint8Array(32).fill(7),
    genesis: fromHex("deadbeef"),
    latest: 2n ** 64n,
  }),
  of(tuple(uint, struct({ amount: uint({ max: 1_024 }), reverse: bool, skip: optional(uint) })), [
    1_111,
    { amount: 5, reverse: true, skip: 0 },
  ]),
  of(list(union({ text: [0, text({ max: 100 })], blob: [1, bytes({ min: 1, max: 4_096 })] })), [
    { kind: "text", value: "hello" },
    { kind: "blob", value: new Uint8Array(60) },
  ]),
  of(tuple(uint, item, list(item, { max: 8 })), [7, encodeRlp([1, [2]]), [encodeRlp("x")]]),
  of(list(list(list(uint))), [[[1, 2], []], [[3]]]),
  of(
    mapped(bytes, {
      decode: (raw) => raw.toReversed(),
      encode: (value: Uint8Array) => value.toReversed(),
    }),
    fromHex("010203"),
  ),
];

function of<T>(schema: Schema<T>, value: T): { schema: Schema<unknown>; message: Uint8Array } {
  return { schema, message: schema.encode(value) };
}

/** The typed layer's decoders: the first byte of an input says which, the rest is the message. */
export const schema: FuzzTarget = {
  name: "schema",
  kind: "rlp",
  corpus: SCHEMAS.map(({ message }, at) => Uint8Array.of(at, ...message)),
  refusals: refusals("SchemaError", [
    "ERR_RLP_TRUNCATED",
    "ERR_RLP_TRAILING",
    "ERR_RLP_OVERRUN",
    "ERR_RLP_NOT_CANONICAL",
    "ERR_RLP_TOO_MANY_ITEMS",
    "ERR_RLP_BAD_UINT",
    "ERR_SCHEMA_KIND",
    "ERR_SCHEMA_SIZE",
    "ERR_SCHEMA_RANGE",
    "ERR_SCHEMA_TEXT",
    "ERR_SCHEMA_MISSING",
    "ERR_SCHEMA_REFUSED",
  ]),
  run(input) {
    const chosen = SCHEMAS[(input[0] ?? 0) % SCHEMAS.length];
    if (chosen === undefined) return;
    const value = chosen.schema.decode(input.subarray(1));
    // Extra elements are let pass, so the bytes may differ; what they mean may not.
    const again = chosen.schema.encode(value);
    must(again.length < input.length, "a value grew when it was encoded again");
    const twice = chosen.schema.encode(chosen.schema.decode(again));
    must(bytesEqual(again, twice), "a value changed when it was encoded again");
  },
};

import { keccak_256 } from "@noble/hashes/sha3.js";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { bytesEqual, curve, encodeRlp, Enr, EnrError, fromHex } from "../src/index.ts";
import type { RlpInput } from "../src/index.ts";
import vectors from "./vectors/enr.json" with { type: "json" };

const KEY = fromHex(vectors.valid[0]!.private_key);
const PUBLIC = curve.compress(curve.publicKey(KEY));

/** Pairs that mean something, with values that fit and values that do not. */
const value: fc.Arbitrary<RlpInput> = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.nat(70_000),
  fc.constantFrom<RlpInput>("v4", "v5", [], [[]], PUBLIC, new Uint8Array(4), new Uint8Array(16)),
);
const key = fc.oneof(
  fc.constantFrom("id", "ip", "ip6", "secp256k1", "tcp", "tcp6", "udp", "udp6"),
  fc.string({ maxLength: 4 }),
);

/** A good record's pairs with some put in, replaced or moved. */
const pairs = fc
  .tuple(fc.array(fc.tuple(key, value), { maxLength: 4 }), fc.boolean(), fc.boolean())
  .map(([more, isSorted, hasOwn]) => {
    const own: [string, RlpInput][] = hasOwn
      ? [
          ["id", "v4"],
          ["secp256k1", PUBLIC],
        ]
      : [];
    const all = [...own, ...more];
    return isSorted ? [...new Map(all)].sort(([a], [b]) => (a < b ? -1 : 1)) : all;
  });

test("a record that is signed as it should be is read as what it says, or refused with an EnrError", () => {
  const outcomes = { read: 0, refused: new Set<string>() };
  fc.assert(
    fc.property(fc.oneof(fc.nat(), value), pairs, (seq, content) => {
      const items = [seq, ...content.flat()];
      const signature = curve.sign(keccak_256(encodeRlp(items)), KEY).subarray(0, 64);
      const bytes = encodeRlp([signature, ...items]);
      try {
        const record = Enr.decode(bytes);
        outcomes.read += 1;
        expect(bytesEqual(record.id, curve.publicKey(KEY))).toBe(true);
        expect(record.encode()).toEqual(bytes);
        expect(Enr.parse(record.toString()).encode()).toEqual(bytes);
        expect(record.keys).toEqual(content.map(([name]) => name));
        record.toEnode();
      } catch (error) {
        if (!(error instanceof EnrError)) throw error;
        outcomes.refused.add(error.code);
      }
    }),
    { numRuns: 600 },
  );
  expect(outcomes.read).toBeGreaterThan(20);
  expect([...outcomes.refused]).toEqual(
    expect.arrayContaining([
      "ERR_ENR_BAD_KEY_ORDER",
      "ERR_ENR_BAD_VALUE",
      "ERR_ENR_UNKNOWN_SCHEME",
    ]),
  );
});

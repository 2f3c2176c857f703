import { Point, utils } from "@noble/secp256k1";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatNodeId, fromHex, generateSecretKey, isSecretKey, nodeIdOf } from "../src/index.ts";
import vectors from "./vectors/curve.json" with { type: "json" };

test("generates secret keys that are valid and not the same", () => {
  const [a, b] = [generateSecretKey(), generateSecretKey()];
  expect(isSecretKey(a)).toBe(true);
  expect(a).not.toEqual(b);
});

test.each([
  [new Uint8Array(32), false],
  [new Uint8Array(32).fill(255), false],
  [new Uint8Array(31).fill(1), false],
  [fromHex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"), false],
  [fromHex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140"), true],
  ["11".repeat(32), false],
  [undefined, false],
])("tells for case %# whether it is a secret key", (value, expected) => {
  expect(isSecretKey(value)).toBe(expected);
});

test("agrees with the reference on which bytes are secret keys, above all around the curve order", () => {
  const order = Point.CURVE().n;
  const toBytes = (n: bigint): Uint8Array => fromHex(n.toString(16).padStart(64, "0"));
  const near = fc.bigInt({ min: -600n, max: 600n }).map((n) => toBytes(order + n));
  const small = fc.bigInt({ min: 0n, max: 600n }).map(toBytes);
  const any = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(fc.oneof(near, small, any), (bytes) => {
      expect(isSecretKey(bytes)).toBe(utils.isValidSecretKey(bytes));
    }),
    { numRuns: 2_000 },
  );
});

test("derives the published node id", () => {
  for (const { secret, public: id } of vectors.priv_to_pub) {
    expect(nodeIdOf(fromHex(secret))).toEqual(fromHex(id));
  }
});

test("refuses to derive a node id from what is no key", () => {
  expect(() => nodeIdOf(new Uint8Array(32))).toThrow(
    expect.objectContaining({ code: "ERR_CURVE_BAD_KEY" }),
  );
});

test("shortens a node id for logs", () => {
  const id = Uint8Array.from({ length: 64 }, (_, i) => i + 1);
  expect(formatNodeId(id)).toBe("01020304…3f40");
});

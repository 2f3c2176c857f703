import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fastBackend, nativeBackend, nodeBackend } from "../src/backend-node.ts";
import { fastBackend as browserBackend } from "../src/backend-none.ts";
import { makeCurve } from "../src/curve.ts";
import { concatBytes, curve, CurveError, fromHex, portableCurve, toHex } from "../src/index.ts";
import type { Curve } from "../src/index.ts";
import vectors from "./vectors/curve.json" with { type: "json" };
import records from "./vectors/enr.json" with { type: "json" };

const others = [nativeBackend, nodeBackend].filter((b) => b !== undefined).map(makeCurve);
const curves: [string, Curve][] = [portableCurve, ...others].map((c) => [c.name, c]);

const P = 2n ** 256n - 2n ** 32n - 977n;
const N = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n;
const G =
  "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798" +
  "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
const be32 = (n: bigint): Uint8Array => fromHex(n.toString(16).padStart(64, "0"));
const code = (suffix: string) =>
  expect.objectContaining({ name: "CurveError", code: `ERR_CURVE_${suffix}` });
const digest = new Uint8Array(32).fill(7);

const secret = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => {
  const scalar = BigInt(`0x${toHex(bytes)}`);
  return be32((scalar % (N - 1n)) + 1n);
});
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

/** What a call gives: its result in hexadecimal, or the code it is refused with. */
function outcome(call: () => Uint8Array | boolean): string {
  try {
    const result = call();
    return typeof result === "boolean" ? String(result) : toHex(result);
  } catch (error) {
    return error instanceof CurveError ? error.code : String(error);
  }
}

test("the default is the fastest that is installed, and the portable one in a browser", () => {
  expect(curve.name).toBe(fastBackend?.name);
  expect(browserBackend).toBeUndefined();
  expect(portableCurve.name).toBe("noble");
});

describe.each(curves)("%s", (_name, subject) => {
  test.each(vectors.ecdh_x)("agrees on the published secret %#", (vector) => {
    const shared = subject.sharedSecret(fromHex(vector.secret), fromHex(vector.public));
    expect(toHex(shared)).toBe(vector.x);
  });

  test("derives the published public keys", () => {
    for (const { secret, public: expected } of vectors.priv_to_pub) {
      expect(toHex(subject.publicKey(fromHex(secret)))).toBe(expected);
    }
    expect(toHex(subject.publicKey(be32(1n)))).toBe(G);
  });

  test.each(records.valid)("compresses and expands the key of $name", (record) => {
    const id = subject.publicKey(fromHex(record.private_key));
    expect(toHex(subject.compress(id))).toBe(record.derived.kv.secp256k1);
    expect(subject.decompress(fromHex(record.derived.kv.secp256k1))).toEqual(id);
  });

  test("keeps the leading zeros of a shared secret", () => {
    let n = 1n;
    while (curve.publicKey(be32(n))[0] !== 0) n++;
    const point = subject.publicKey(be32(n));
    expect(subject.sharedSecret(be32(1n), point)).toEqual(point.slice(0, 32));
  });

  test("signs so that the key is recovered and the signature verifies, with low s", () => {
    const key = be32(5n);
    const signature = subject.sign(digest, key);
    expect(signature).toHaveLength(65);
    expect(BigInt(`0x${toHex(signature.subarray(32, 64))}`) <= N / 2n).toBe(true);
    expect(subject.recover(digest, signature)).toEqual(subject.publicKey(key));
    expect(subject.verify(digest, signature.subarray(0, 64), subject.publicKey(key))).toBe(true);
    expect(subject.verify(be32(9n), signature.subarray(0, 64), subject.publicKey(key))).toBe(false);
    expect(subject.verify(digest, signature, subject.publicKey(key))).toBe(false);
  });

  test("refuses a high s when verifying and accepts it when recovering", () => {
    const key = be32(6n);
    const low = subject.sign(digest, key);
    const s = N - BigInt(`0x${toHex(low.subarray(32, 64))}`);
    const high = concatBytes(low.subarray(0, 32), be32(s), Uint8Array.of((low[64] ?? 0) ^ 1));
    expect(subject.verify(digest, high.subarray(0, 64), subject.publicKey(key))).toBe(false);
    expect(subject.recover(digest, high)).toEqual(subject.publicKey(key));
  });

  test.each([
    ["zero", new Uint8Array(64)],
    ["off the curve", fromHex(G.slice(0, -1) + "9")],
    ["x at P", concatBytes(be32(P), fromHex(G.slice(64)))],
    // (1, y) is on the curve; (P + 1, y) is the same point with a coordinate that is not reduced.
    [
      "x beyond P",
      concatBytes(
        be32(P + 1n),
        fromHex("4218f20ae6c646b363db68605822fb14264ca8d2587fdd6fbc750d587e76a7ee"),
      ),
    ],
    ["y beyond P", concatBytes(fromHex(G.slice(0, 64)), be32(2n ** 256n - 1n))],
    ["63 bytes", fromHex(G).slice(1)],
    ["empty", new Uint8Array(0)],
    ["65 bytes with the prefix 6", fromHex(`06${G}`)],
    ["65 bytes with the prefix 7", fromHex(`07${G}`)],
    ["65 bytes with the prefix 0", fromHex(`00${G}`)],
    ["compressed", fromHex(`02${G.slice(0, 64)}`)],
  ])("refuses a public key that is %s before it is used", (_what, point) => {
    expect(subject.isPoint(point)).toBe(false);
    expect(() => subject.sharedSecret(be32(3n), point)).toThrow(code("BAD_POINT"));
    expect(() => subject.compress(point)).toThrow(code("BAD_POINT"));
    expect(() => subject.verify(digest, new Uint8Array(64), point)).toThrow(code("BAD_POINT"));
  });

  test("takes a public key with the prefix 4", () => {
    const prefixed = fromHex(`04${G}`);
    expect(subject.isPoint(prefixed)).toBe(true);
    expect(subject.sharedSecret(be32(3n), prefixed)).toEqual(
      subject.sharedSecret(be32(3n), fromHex(G)),
    );
  });

  test.each([
    ["65 bytes", fromHex(`04${G}`)],
    ["a wrong prefix", fromHex(`04${G.slice(0, 64)}`)],
    ["x beyond P", fromHex(`02${"ff".repeat(32)}`)],
    ["no point with that x", fromHex(`02${toHex(be32(5n))}`)],
  ])("refuses to expand %s", (_what, bytes) => {
    expect(() => subject.decompress(bytes)).toThrow(code("BAD_POINT"));
  });

  test.each([
    new Uint8Array(32),
    be32(N),
    be32(2n ** 256n - 1n),
    new Uint8Array(31),
    new Uint8Array(33),
  ])("refuses the secret key of case %#", (key) => {
    expect(() => subject.publicKey(key)).toThrow(code("BAD_KEY"));
    expect(() => subject.sign(digest, key)).toThrow(code("BAD_KEY"));
    expect(() => subject.sharedSecret(key, fromHex(G))).toThrow(code("BAD_KEY"));
  });

  test.each([
    ["64 bytes", new Uint8Array(64).fill(1)],
    ["a recovery id of 4", concatBytes(fromHex(G), Uint8Array.of(4))],
    ["r zero", concatBytes(be32(0n), be32(1n), Uint8Array.of(0))],
    ["s zero", concatBytes(be32(1n), be32(0n), Uint8Array.of(0))],
    ["r at the order", concatBytes(be32(N), be32(1n), Uint8Array.of(0))],
    ["s at the order", concatBytes(be32(1n), be32(N), Uint8Array.of(0))],
    ["r that is no x coordinate", concatBytes(be32(5n), be32(1n), Uint8Array.of(0))],
    ["an r too large for its recovery id", concatBytes(be32(N - 1n), be32(1n), Uint8Array.of(2))],
  ])("refuses a signature with %s", (_what, signature) => {
    expect(() => subject.recover(digest, signature)).toThrow(code("BAD_SIGNATURE"));
    expect(subject.verify(digest, signature.subarray(0, 64), fromHex(G))).toBe(false);
  });

  test("refuses a digest of another length and arguments of other types", () => {
    const wrong: any = "00";
    expect(() => subject.sign(new Uint8Array(31), be32(1n))).toThrow(RangeError);
    expect(() => subject.recover(new Uint8Array(33), new Uint8Array(65))).toThrow(RangeError);
    expect(() => subject.publicKey(wrong)).toThrow(TypeError);
    expect(() => subject.isPoint(wrong)).toThrow(TypeError);
  });

  test("returns plain bytes of the caller's own", () => {
    const key = be32(8n);
    const results = [
      subject.publicKey(key),
      subject.sharedSecret(key, fromHex(G)),
      subject.sign(digest, key),
      subject.recover(digest, subject.sign(digest, key)),
      subject.compress(fromHex(G)),
      subject.decompress(fromHex(`02${G.slice(0, 64)}`)),
    ];
    for (const result of results) {
      expect(Object.getPrototypeOf(result)).toBe(Uint8Array.prototype);
      result.fill(0);
    }
    expect(toHex(subject.publicKey(be32(1n)))).toBe(G);
    expect(key).toEqual(be32(8n));
  });
});

describe.each(others.map((c): [string, Curve] => [c.name, c]))(
  "%s against noble",
  (_name, subject) => {
    const both = (call: (c: Curve) => Uint8Array | boolean) =>
      expect(outcome(() => call(subject))).toBe(outcome(() => call(portableCurve)));

    test("gives the same results on random keys and digests", () => {
      fc.assert(
        fc.property(secret, secret, bytes32, (a, b, message) => {
          const point = portableCurve.publicKey(b);
          const signature = portableCurve.sign(message, a);
          both((c) => c.publicKey(a));
          both((c) => c.sharedSecret(a, point));
          both((c) => c.sign(message, a));
          both((c) => c.recover(message, signature));
          both((c) => c.verify(message, signature.subarray(0, 64), portableCurve.publicKey(a)));
          both((c) => c.compress(point));
          both((c) => c.decompress(portableCurve.compress(point)));
        }),
        { numRuns: 30 },
      );
    });

    test("accepts and refuses the same on random bytes", () => {
      const x = fc
        .tuple(fc.constantFrom(2, 3), bytes32)
        .map(([prefix, b]) => Uint8Array.of(prefix, ...b));
      const r65 = fc
        .tuple(bytes32, bytes32, fc.nat(5))
        .map(([r, s, v]) => Uint8Array.of(...r, ...s, v));
      fc.assert(
        fc.property(
          bytes32,
          x,
          r65,
          fc.uint8Array({ minLength: 60, maxLength: 66 }),
          (m, p, sig, any) => {
            both((c) => c.decompress(p));
            both((c) => c.recover(m, sig));
            both((c) => c.isPoint(any));
            both((c) => c.sharedSecret(m, any));
            both((c) => c.publicKey(m));
          },
        ),
        { numRuns: 40 },
      );
    });
  },
);

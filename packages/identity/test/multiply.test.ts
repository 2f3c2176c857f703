import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { hashes, Point, recoverPublicKey, sign } from "@noble/secp256k1";
import * as fc from "fast-check";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";

import { portableBackend } from "../src/backend-portable.ts";
import { fromHex } from "../src/bytes.ts";
import { multiply } from "../src/multiply.ts";

const { n: N } = Point.CURVE();
/** Multiplication by this is what the endomorphism does. */
const LAMBDA = 0x5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72n;

const toBytes = (n: bigint): Uint8Array => fromHex(n.toString(16).padStart(64, "0"));
const scalar = fc.bigInt({ min: 1n, max: N - 1n });

const around = (n: bigint): bigint[] => [n - 1n, n, n + 1n];
const remarkable = [
  1n,
  ...[2n, 16n].flatMap(around),
  ...[N / 2n, LAMBDA, N - LAMBDA, (LAMBDA * LAMBDA) % N].flatMap(around),
  ...[4n, 64n, 127n, 128n, 129n, 252n, 255n].flatMap((bits) => around(2n ** bits)),
  ...[N - 16n, N - 2n].flatMap(around),
];

describe("multiply", () => {
  test.each(remarkable.map((n) => [n]))("agrees with the library on %d", (n) => {
    for (const point of [Point.BASE, Point.BASE.double(), Point.BASE.multiply(LAMBDA)]) {
      expect(multiply(point, n).toHex()).toBe(point.multiply(n).toHex());
    }
  });

  test("agrees with the library on any scalar and any point", () => {
    fc.assert(
      fc.property(scalar, scalar, (n, m) => {
        const point = Point.BASE.multiply(m);
        expect(multiply(point, n).toHex()).toBe(point.multiply(n).toHex());
      }),
      { numRuns: 200 },
    );
  });

  test("does the same additions for every scalar", () => {
    const add = vi.spyOn(Point.prototype, "add");
    onTestFinished(() => add.mockRestore());
    const counts = [1n, 2n ** 128n, LAMBDA, N / 2n, N - 1n].map((n) => {
      add.mockClear();
      multiply(Point.BASE, n);
      return add.mock.calls.length;
    });
    expect(counts).toEqual([202, 202, 202, 202, 202]);
  });
});

describe("recovery", () => {
  beforeAll(() => {
    hashes.hmacSha256 ??= (key, message) => hmac(sha256, key, message);
  });

  /** What the library recovers, or that it refuses. */
  function reference(digest: Uint8Array, signature: Uint8Array): string {
    const recovered = Uint8Array.of(signature[64] ?? 0, ...signature.subarray(0, 64));
    try {
      return String(recoverPublicKey(recovered, digest, { prehash: false, isCompressed: false }));
    } catch {
      return "refused";
    }
  }

  function ours(digest: Uint8Array, signature: Uint8Array): string {
    try {
      return String(portableBackend.recover(digest, signature));
    } catch {
      return "refused";
    }
  }

  const digest = fc.uint8Array({ minLength: 32, maxLength: 32 });

  test("agrees with the library on signatures of any key and digest, and on any recovery id", () => {
    fc.assert(
      fc.property(scalar, digest, fc.nat(3), (key, hash, recovery) => {
        const signed = sign(hash, toBytes(key), { prehash: false, format: "recovered" });
        const signature = Uint8Array.of(...signed.subarray(1), recovery);
        expect(ours(hash, signature)).toBe(reference(hash, signature));
      }),
      { numRuns: 100 },
    );
  });

  test("agrees with the library on what is no signature", () => {
    const { p: P } = Point.CURVE();
    const any = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
      fc.constantFrom(0n, 1n, 2n, 5n, N - 1n, N, N + 1n, P - N - 1n, P - N, P - 1n, P),
    );
    fc.assert(
      fc.property(any, any, digest, fc.nat(3), (r, s, hash, recovery) => {
        const signature = Uint8Array.of(...toBytes(r), ...toBytes(s), recovery);
        expect(ours(hash, signature)).toBe(reference(hash, signature));
      }),
      { numRuns: 300 },
    );
  });

  test("refuses a signature that was made for the point at infinity", () => {
    // With s * R = digest * G, what is recovered would be zero: R = G, so s is the digest.
    const one = toBytes(1n);
    const x = Point.BASE.toAffine().x;
    const signature = Uint8Array.of(...toBytes(x), ...one, 0);
    expect(ours(one, signature)).toBe("refused");
    expect(reference(one, signature)).toBe("refused");
  });
});

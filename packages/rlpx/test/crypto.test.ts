import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import * as nodeCrypto from "../src/crypto.node.ts";
import * as portableCrypto from "../src/crypto.portable.ts";

const { applyAesCtr: applyNode, createAesCtr: createNode } = nodeCrypto;
const { applyAesCtr: applyPortable, createAesCtr: createPortable } = portableCrypto;

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
const twins = [
  { name: "node:crypto", create: createNode },
  { name: "portable", create: createPortable },
];

describe.each(twins)("AES-256-CTR by $name", ({ create }) => {
  test("starts with the encryption of the zero block, as the zero counter demands", () => {
    // NIST AESAVS, KeySbox known answer for 256 bits: the plaintext is zero.
    const key = hex("c47b0294dbbbee0fec4757f22ffeee3587ca4730c3d33b691df38bab076bc558");
    expect(create(key).update(new Uint8Array(16))).toEqual(hex("46f2fb342d6f0ab477476fc501242c5f"));
  });

  test("returns a plain Uint8Array and leaves its input alone", () => {
    const data = new Uint8Array(32).fill(9);
    const out = create(new Uint8Array(32)).update(data);
    expect(Object.getPrototypeOf(out)).toBe(Uint8Array.prototype);
    expect(data).toEqual(new Uint8Array(32).fill(9));
  });

  test("keeps a copy of the key", () => {
    const key = new Uint8Array(32).fill(1);
    const cipher = create(key);
    key.fill(2);
    const expected = create(new Uint8Array(32).fill(1)).update(new Uint8Array(16));
    expect(cipher.update(new Uint8Array(16))).toEqual(expected);
  });
});

describe.each([
  { name: "node:crypto", apply: applyNode },
  { name: "portable", apply: applyPortable },
])("AES-128-CTR by $name", ({ apply }) => {
  // NIST SP 800-38A §F.5.1, CTR-AES128.Encrypt.
  const key = hex("2b7e151628aed2a6abf7158809cf4f3c");
  const iv = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
  const plaintext = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
  const ciphertext = hex("874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff");

  test("gives the published ciphertext, whole or cut off anywhere, and back", () => {
    for (let length = 0; length <= plaintext.length; length += 1) {
      const sealed = apply(key, iv, plaintext.subarray(0, length));
      expect(sealed).toEqual(ciphertext.subarray(0, length));
      expect(apply(key, iv, sealed)).toEqual(plaintext.subarray(0, length));
    }
  });

  test("returns a plain Uint8Array and leaves its input alone", () => {
    const message = plaintext.slice();
    expect(Object.getPrototypeOf(apply(key, iv, message))).toBe(Uint8Array.prototype);
    expect(message).toEqual(plaintext);
  });
});

describe.each([
  { name: "node:crypto", sha256: nodeCrypto.sha256, hmacSha256: nodeCrypto.hmacSha256 },
  { name: "portable", sha256: portableCrypto.sha256, hmacSha256: portableCrypto.hmacSha256 },
])("SHA-256 by $name", ({ sha256, hmacSha256 }) => {
  test("gives the published digest", () => {
    // FIPS 180-2 §B.1.
    expect(sha256(Buffer.from("abc"))).toEqual(
      hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    );
  });

  test("gives the published MAC, however the message is cut into parts", () => {
    // RFC 4231 §4.3, test case 2.
    const message = Buffer.from("what do ya want for nothing?");
    const expected = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    for (let at = 0; at <= message.length; at += 1) {
      const parts = [message.subarray(0, at), message.subarray(at)];
      expect(hmacSha256(Buffer.from("Jefe"), ...parts)).toEqual(expected);
    }
  });

  test("returns plain Uint8Arrays", () => {
    for (const out of [sha256(new Uint8Array(3)), hmacSha256(new Uint8Array(16))]) {
      expect(Object.getPrototypeOf(out)).toBe(Uint8Array.prototype);
    }
  });
});

test("the twins agree on any key and any sequence of calls", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 255 }))),
      (key, calls) => {
        const [node, portable] = [createNode(key), createPortable(key)];
        for (const [blocks, fill] of calls) {
          const data = new Uint8Array(16 * blocks).fill(fill);
          expect(portable.update(data)).toEqual(node.update(data));
        }
      },
    ),
  );
});

test("the twins agree when the counter carries into its third byte", () => {
  const [node, portable] = [createNode(new Uint8Array(32)), createPortable(new Uint8Array(32))];
  const data = new Uint8Array(16 * 40_000);
  for (let call = 0; call < 2; call++) {
    expect(Buffer.compare(portable.update(data), node.update(data))).toBe(0);
  }
});

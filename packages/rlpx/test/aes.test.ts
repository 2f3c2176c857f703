import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { createAesCtr as createNode } from "../src/aes.node.ts";
import { createAesCtr as createPortable } from "../src/aes.portable.ts";

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

import { concatBytes } from "@heddle/identity";
import type { SeededRandom } from "@heddle/testing";

import { mutateTree, parseTree, writeTree } from "./rlp-tree.ts";
import type { InputKind } from "./target.ts";

/**
 * No input grows beyond this, in bytes: long enough for every bound but that of a frame, and short enough for
 * thousands a second.
 */
export const MAX_INPUT_SIZE: number = 4 * 1024;

const EDGE_BYTES = [0x00, 0x01, 0x7f, 0x80, 0x81, 0xb7, 0xb8, 0xbf, 0xc0, 0xc1, 0xf7, 0xf8, 0xff];

/** What a mutation may draw on besides the input itself. */
export interface Material {
  readonly kind: InputKind;
  /** Inputs to take pieces of. */
  readonly corpus: readonly Uint8Array[];
  readonly dictionary: readonly Uint8Array[];
}

/**
 * Makes another input of one: one to eight changes, some that know the structure and some that do not.
 *
 * @param input - only read
 * @returns bytes of the caller's own, at most {@link MAX_INPUT_SIZE}
 */
export function mutate(input: Uint8Array, material: Material, random: SeededRandom): Uint8Array {
  let bytes = input;
  // Mostly few changes: an input that is wrong everywhere is refused at its first byte.
  const changes = 1 + random.integer(random.pick([1, 1, 2, 2, 4, 8]));
  for (let i = 0; i < changes; i += 1) {
    const isStructural = material.kind === "rlp" && random.integer(3) > 0;
    bytes = isStructural ? mutateRlp(bytes, random) : mutateBytes(bytes, material, random);
    if (bytes.length > MAX_INPUT_SIZE) bytes = bytes.subarray(0, MAX_INPUT_SIZE);
  }
  return bytes.slice();
}

function mutateRlp(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const tree = parseTree(bytes);
  return tree === undefined ? random.bytes(random.integer(8)) : writeTree(mutateTree(tree, random));
}

function mutateBytes(bytes: Uint8Array, material: Material, random: SeededRandom): Uint8Array {
  const at = random.integer(bytes.length + 1);
  switch (random.integer(9)) {
    case 0:
    case 1:
      return change(bytes, at, (byte) => byte ^ (1 << random.integer(8)));
    case 2:
      return change(bytes, at, () => random.pick(EDGE_BYTES));
    case 3:
      return change(bytes, at, (byte) => byte + random.pick([-1, 1]));
    case 4:
      return splice(bytes, at, 0, random.bytes(1 + random.integer(8)));
    case 5:
      return splice(bytes, at, 1 + random.integer(8), new Uint8Array(0));
    case 6:
      // A truncation, or a piece that comes twice.
      return random.integer(2) === 0
        ? bytes.subarray(0, at)
        : splice(bytes, at, 0, bytes.subarray(at, at + 1 + random.integer(64)));
    case 7:
      return splice(bytes, at, random.integer(4), fragment(material, random));
    default: {
      const other = random.pick(material.corpus);
      return concatBytes(bytes.subarray(0, at), other.subarray(random.integer(other.length + 1)));
    }
  }
}

function fragment({ dictionary }: Material, random: SeededRandom): Uint8Array {
  return dictionary.length > 0 ? random.pick(dictionary) : random.bytes(4);
}

function change(bytes: Uint8Array, at: number, to: (byte: number) => number): Uint8Array {
  if (at >= bytes.length) return bytes;
  const changed = bytes.slice();
  changed[at] = to(changed[at] ?? 0) & 0xff;
  return changed;
}

function splice(bytes: Uint8Array, at: number, drop: number, put: Uint8Array): Uint8Array {
  return concatBytes(bytes.subarray(0, at), put, bytes.subarray(at + drop));
}

import { concatBytes } from "@heddle/identity";

import { parseTree, writeTree } from "./rlp-tree.ts";
import type { Tree } from "./rlp-tree.ts";
import type { InputKind } from "./target.ts";

/** Attempts at making one input smaller, at most. */
const MAX_ATTEMPTS = 4_000;

/**
 * Makes an input that fails smaller, as long as it goes on failing the same way: leaves out items of RLP, then
 * pieces, large ones first, then turns bytes into zeros.
 *
 * @param fails - whether an input still shows the failure
 */
export function minimize(
  input: Uint8Array,
  kind: InputKind,
  fails: (input: Uint8Array) => boolean,
): Uint8Array {
  let attempts = 0;
  const isStill = (candidate: Uint8Array): boolean => {
    attempts += 1;
    return attempts <= MAX_ATTEMPTS && fails(candidate);
  };
  const fewer = kind === "rlp" ? withFewerItems(input, isStill) : input;
  return withZeros(withFewerBytes(fewer, isStill), isStill);
}

function withFewerItems(input: Uint8Array, isStill: (input: Uint8Array) => boolean): Uint8Array {
  const tree = parseTree(input);
  if (tree === undefined || !isStill(writeTree(tree))) return input;
  let best = tree;
  for (let next: Tree | undefined = tree; next !== undefined;) {
    best = next;
    next = [...simplerTrees(best)].find((candidate) => isStill(writeTree(candidate)));
  }
  return writeTree(best);
}

/** Trees with one item less, or with half of the bytes of one. */
function* simplerTrees(tree: Tree): Generator<Tree> {
  if (!("items" in tree)) {
    const { bytes } = tree;
    if (bytes.length > 0) yield { bytes: bytes.subarray(0, bytes.length >> 1) };
    return;
  }
  const { items } = tree;
  for (const at of items.keys()) yield { items: items.toSpliced(at, 1) };
  for (const [at, item] of items.entries()) {
    for (const simpler of simplerTrees(item)) yield { items: items.with(at, simpler) };
  }
}

function withFewerBytes(input: Uint8Array, isStill: (input: Uint8Array) => boolean): Uint8Array {
  let best = input;
  for (let size = best.length; size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at + size <= best.length;) {
      const shorter = concatBytes(best.subarray(0, at), best.subarray(at + size));
      if (isStill(shorter)) best = shorter;
      else at += size;
    }
  }
  return best;
}

function withZeros(input: Uint8Array, isStill: (input: Uint8Array) => boolean): Uint8Array {
  let best = input;
  for (let at = 0; at < best.length; at += 1) {
    const zeroed = best.slice();
    zeroed[at] = 0;
    if (best[at] !== 0 && isStill(zeroed)) best = zeroed;
  }
  return best;
}

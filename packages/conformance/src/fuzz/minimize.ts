import { concatBytes } from "@heddle/identity";

/** Attempts at making one input smaller, at most. */
const MAX_ATTEMPTS = 4_000;

/**
 * Makes an input that fails smaller, as long as it goes on failing the same way: leaves out pieces, large
 * ones first, then turns bytes into zeros.
 *
 * @param fails - whether an input still shows the failure
 */
export function minimize(input: Uint8Array, fails: (input: Uint8Array) => boolean): Uint8Array {
  let attempts = 0;
  let best = input;
  const isStill = (candidate: Uint8Array): boolean => {
    attempts += 1;
    return attempts <= MAX_ATTEMPTS && fails(candidate);
  };
  for (let size = best.length; size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at + size <= best.length;) {
      const shorter = concatBytes(best.subarray(0, at), best.subarray(at + size));
      if (isStill(shorter)) best = shorter;
      else at += size;
    }
  }
  for (let at = 0; at < best.length; at += 1) {
    const zeroed = best.slice();
    zeroed[at] = 0;
    if (best[at] !== 0 && isStill(zeroed)) best = zeroed;
  }
  return best;
}

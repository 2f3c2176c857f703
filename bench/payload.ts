/** Bytes to be sent: the same message for stacks that speak RLP and for those that do not. */
export interface Prepared {
  /** One RLP byte string, of the work's size in all. */
  readonly rlp: Uint8Array;
  /** The same without its RLP prefix, for layers that add it. */
  readonly content: Uint8Array;
}

/** `random` is what Snappy cannot shorten, `json` what it can. */
export type Fill = "random" | "json";

const RECORD = new TextEncoder().encode(
  `{"id":"0x5f3a","kind":"transfer","from":"alice","to":"bob","amount":"1000000000","memo":"thread"},`,
);

/**
 * A handful of different messages of `size` bytes, made once and sent again and again, so that what is
 * measured is not their making.
 */
export function prepare(size: number, fill: Fill): Prepared[] {
  const count = size <= 16 * 1024 ? 16 : 4;
  return Array.from({ length: count }, () => {
    const rlp = new Uint8Array(size);
    for (let at = 0; at < size; at += fill === "json" ? RECORD.length : 65_536) {
      if (fill === "json") rlp.set(RECORD.subarray(0, size - at), at);
      else crypto.getRandomValues(rlp.subarray(at, Math.min(size, at + 65_536)));
    }
    const prefix = stringPrefix(size);
    rlp.set(prefix);
    return { rlp, content: rlp.subarray(prefix.length) };
  });
}

/** The RLP prefix that makes a byte string of what is left of `size` bytes behind it. */
function stringPrefix(size: number): number[] {
  if (size <= 56) return [0x80 + size - 1];
  if (size <= 258) return [0xb8, size - 2];
  if (size <= 65_538) return [0xb9, (size - 3) >> 8, (size - 3) & 0xff];
  return [0xba, (size - 4) >> 16, ((size - 4) >> 8) & 0xff, (size - 4) & 0xff];
}

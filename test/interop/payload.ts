import { createHash } from "node:crypto";

/** How payload bytes are made; `random` is what Snappy cannot shorten. */
export type Fill = "zero" | "text" | "random";

const TEXT = new TextEncoder().encode("many threads, one cloth; ");

/** Makes the same bytes as `filled` in `geth/payload.go`. */
export function filled(fill: Fill, size: number): Uint8Array {
  const data = new Uint8Array(size);
  if (fill === "text") {
    for (let i = 0; i < size; i++) data[i] = TEXT[i % TEXT.length] ?? 0;
  }
  if (fill === "random") {
    let state = 1;
    for (let i = 0; i < size; i++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      data[i] = state >>> 24;
    }
  }
  return data;
}

/** SHA-256 in hex, by which two processes compare what they hold. */
export function checksum(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/**
 * Encodes bytes as one RLP string by hand, so that what is expected does not come from the code under test.
 *
 * @see Ethereum yellow paper, appendix B
 */
export function rlpString(data: Uint8Array): Uint8Array {
  if (data.length === 1 && (data[0] ?? 0) < 0x80) return data;
  if (data.length <= 55) return Uint8Array.of(0x80 + data.length, ...data);
  const length: number[] = [];
  for (let rest = data.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256);
  const encoded = new Uint8Array(1 + length.length + data.length);
  encoded[0] = 0xb7 + length.length;
  encoded.set(length, 1);
  encoded.set(data, 1 + length.length);
  return encoded;
}

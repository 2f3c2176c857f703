/**
 * Encodes short words as the RLP list of strings that MyProtocol carries, by hand: the payload of at most 55
 * bytes needs one length byte, and what is expected of a codec does not come from that codec.
 */
export function encodeWords(words: readonly string[]): Uint8Array {
  const items = words.flatMap((word) => {
    const bytes = [...new TextEncoder().encode(word)];
    const [first] = bytes;
    return bytes.length === 1 && first !== undefined && first < 0x80
      ? bytes
      : [0x80 + bytes.length, ...bytes];
  });
  if (items.length > 55) throw new RangeError(`the list has ${items.length} bytes, at most 55 fit`);
  return Uint8Array.of(0xc0 + items.length, ...items);
}

/** Decodes what {@link encodeWords} makes, and nothing else. */
export function decodeWords(payload: Uint8Array): string[] {
  const words: string[] = [];
  for (let at = 1; at < payload.length;) {
    const first = payload[at] ?? 0;
    const start = first < 0x80 ? at : at + 1;
    const end = first < 0x80 ? at + 1 : start + first - 0x80;
    words.push(new TextDecoder().decode(payload.subarray(start, end)));
    at = end;
  }
  return words;
}

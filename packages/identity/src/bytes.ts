const HEX_PAIRS: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, "0"),
);

/** What a character is worth as a hexadecimal digit; -1 for one that is none. */
const HEX_VALUES: Int8Array = new Int8Array(128).fill(-1);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  HEX_VALUES[digit.charCodeAt(0)] = value;
  HEX_VALUES[digit.toUpperCase().charCodeAt(0)] = value;
}

/**
 * Compares two byte strings for equality in time that depends on their lengths only.
 *
 * @returns `false` at once when the lengths differ
 */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

/** Writes bytes as lower-case hexadecimal, without a prefix. */
export function toHex(bytes: Uint8Array): string {
  // Node's own writes a node id, the key of many a table, in a third of the time and of the memory.
  if (typeof Buffer === "function") {
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
  }
  // Joined, not added up: a sum of strings stays a chain of its parts for as long as it lives.
  return Array.from(bytes, (byte) => HEX_PAIRS[byte]).join("");
}

/**
 * Reads hexadecimal, strictly: whole bytes, either case, no `0x`, no spaces.
 *
 * @throws TypeError when `hex` is not such a string; the text itself is never repeated in the message,
 * since it may be a secret key
 */
export function fromHex(hex: string): Uint8Array {
  if (typeof hex !== "string" || hex.length % 2 !== 0) throw notHex();
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = HEX_VALUES[hex.charCodeAt(2 * i)] ?? -1;
    const low = HEX_VALUES[hex.charCodeAt(2 * i + 1)] ?? -1;
    if (high < 0 || low < 0) throw notHex();
    bytes[i] = (high << 4) | low;
  }
  return bytes;
}

function notHex(): TypeError {
  return new TypeError("expected whole bytes in hexadecimal without a prefix");
}

/** Joins byte strings into a new one. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

// Controls (C0, DEL, C1), format characters (bidirectional overrides, zero-width joiners, tags), line and
// paragraph separators, lone surrogates and private use: nothing of these has a place in one line of a terminal.
// The backslash is escaped too, so that an escape in the output always is one of ours.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\\]/u;

/**
 * Makes text of a peer or a user safe to print on one line of a terminal or a log.
 *
 * Control characters, terminal escapes, bidirectional and zero-width characters, lone surrogates and the
 * backslash itself become `\u{..}`. The input is read no further than the output is long.
 *
 * @param maxLength - most UTF-16 units of the result before the mark `…` that shows a cut; 80 if not given
 */
export function escapeText(text: string, maxLength = 80): string {
  let safe = "";
  for (const character of text) {
    const next = UNSAFE.test(character)
      ? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
      : character;
    if (safe.length + next.length > maxLength) return `${safe}…`;
    safe += next;
  }
  return safe;
}

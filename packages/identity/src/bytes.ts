const HEX_DIGITS: readonly number[] = Array.from("0123456789abcdef", (digit) =>
  digit.charCodeAt(0),
);
/** Bytes written at once: their digits are the arguments of one call. */
const HEX_PIECE = 1024;
const HEX = /^(?:[0-9a-fA-F]{2})*$/;

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
  if (bytes.length <= HEX_PIECE) return hexOf(bytes);
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += HEX_PIECE) {
    pieces.push(hexOf(bytes.subarray(at, at + HEX_PIECE)));
  }
  // Joined, not added up: a sum of strings stays a chain of its parts for as long as it lives.
  return pieces.join("");
}

function hexOf(bytes: Uint8Array): string {
  const digits: number[] = [];
  for (const byte of bytes) {
    digits.push(HEX_DIGITS[byte >> 4] ?? 0, HEX_DIGITS[byte & 15] ?? 0);
  }
  return String.fromCharCode(...digits);
}

/**
 * Reads hexadecimal, strictly: whole bytes, either case, no `0x`, no spaces.
 *
 * @throws TypeError when `hex` is not such a string; the text itself is never repeated in the message,
 * since it may be a secret key
 */
export function fromHex(hex: string): Uint8Array {
  if (typeof hex !== "string" || !HEX.test(hex)) {
    throw new TypeError("expected whole bytes in hexadecimal without a prefix");
  }
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
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

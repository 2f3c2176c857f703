import { escapeText } from "@heddle/identity";

/** Most bytes of a file name, as on every common file system. */
export const MAX_NAME_BYTES = 255;

const utf8 = new TextEncoder();

/**
 * Why a text is no name of a file, or undefined if it is one.
 *
 * A name is one path component: what would lead elsewhere is no name at all. Odd characters are allowed,
 * since files may have them; whoever shows a name escapes it.
 */
export function nameFault(name: string): string | undefined {
  if (name === "") return "an empty name";
  if (name === "." || name === "..") return "the name of a folder";
  if (/[/\0]/.test(name)) return "a path, not a name";
  if (/\p{Cs}/u.test(name)) return "no Unicode text";
  const { length } = utf8.encode(name);
  return length > MAX_NAME_BYTES ? `${length} bytes exceed ${MAX_NAME_BYTES}` : undefined;
}

// Windows: device names, whatever their extension, and characters its file systems refuse.
const RESERVED = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)/i;
const REFUSED = /[<>:"/\\|?*\0]/g;
const ODD = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
const MAX_SAFE_BYTES = 200;

/**
 * Makes one harmless path component of any text: what a user may accept as a file's name, never more.
 *
 * The result has no separators, control or invisible characters, starts with no dot, dash or space, ends
 * with no dot or space, is no device name and takes at most 200 bytes. It is `file` when nothing is left.
 */
export function safeFileName(name: string): string {
  let safe = name.normalize("NFC").replace(REFUSED, "_").replace(ODD, "_");
  safe = trimEnd(safe.replace(/^[\s.~-]+/, ""));
  if (RESERVED.test(safe)) safe = `_${safe}`;
  while (utf8.encode(safe).length > MAX_SAFE_BYTES) safe = trimEnd(safe.replace(/.$/su, ""));
  return safe === "" ? "file" : safe;
}

/** A name as it may be shown on one line of a terminal. */
export function displayName(name: string): string {
  return escapeText(name, MAX_NAME_BYTES);
}

/** A matcher for names, folded, that contain every word of a query, whatever their case. */
export function createMatcher(query: string): (folded: string) => boolean {
  const words = foldName(query)
    .split(/\s+/)
    .filter((word) => word !== "");
  return (folded) => words.length > 0 && words.every((word) => folded.includes(word));
}

/** A name as queries are compared with it: in one case, and in one form of each character. */
export function foldName(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}

function trimEnd(text: string): string {
  return text.replace(/[\s.]+$/, "");
}

/** Most marks that one letter carries; more of them are drawn over the lines above and below. */
const MAX_MARKS = 4;

// Controls (terminal escapes begin with one), format characters (bidirectional overrides among them), lone
// surrogates, private use, what is not assigned, line and paragraph separators, and what is drawn as nothing.
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;

const MARK = /^\p{M}$/u;

/** Joiners: Persian and Indic words need them, and so do emoji of several parts. */
const JOINER = /^[\u200c\u200d]$/u;

/** Chooses between a character's text and its emoji form. */
const VARIATION = /^[\ufe0e\ufe0f]$/u;

/** What may stand on both sides of a joiner. */
const JOINABLE = /^[\p{L}\p{M}\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]$/u;

/** Bounds of {@link escapeMessage}. */
export interface EscapeOptions {
  /** Most UTF-16 units of the result, before the `…` that shows a cut; 20,000 by default. */
  readonly maxLength?: number;
}

/**
 * Makes text of a stranger safe to print on one line of a terminal, and leaves all that people write as it is.
 *
 * Control characters, terminal escapes, line breaks, bidirectional overrides and invisible characters become
 * `\u{…}`, and so does the fifth of several marks on one letter. Joiners stay where they join something, and
 * variation selectors where they follow something. A backslash stays, too, unless `u{` comes after it: so no
 * text can pretend that something was escaped. Unlike `escapeText` of `@heddle/identity`, which is for logs,
 * this keeps `¯\_(ツ)_/¯` and families of emoji whole.
 */
export function escapeMessage(text: string, { maxLength = 20_000 }: EscapeOptions = {}): string {
  let safe = "";
  let before = "";
  let marks = 0;
  for (let at = 0; at < text.length;) {
    const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
    at += character.length;
    marks = MARK.test(character) && !VARIATION.test(character) ? marks + 1 : 0;
    const isKept = marks <= MAX_MARKS && isPrintable(character, before, text, at);
    const next = isKept ? character : notationOf(character);
    if (safe.length + next.length > maxLength) return `${safe}…`;
    safe += next;
    before = isKept ? character : "";
  }
  return safe;
}

/**
 * Whether a character stays as it is.
 *
 * @param before - the character before it, if that stayed
 * @param at - where the rest of the text begins
 */
function isPrintable(character: string, before: string, text: string, at: number): boolean {
  if (character === "\\") return !text.startsWith("u{", at);
  if (VARIATION.test(character)) return before !== "" && !UNSAFE.test(before) && before !== " ";
  if (JOINER.test(character)) {
    const after = String.fromCodePoint(text.codePointAt(at) ?? 0);
    return JOINABLE.test(before) && JOINABLE.test(after);
  }
  return !UNSAFE.test(character);
}

function notationOf(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

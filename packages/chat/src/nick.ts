/** Most characters of a nickname. */
export const MAX_NICK_LENGTH = 24;

/** Most bytes of a nickname in UTF-8, on the wire. */
export const MAX_NICK_BYTES = 64;

// Letters and digits, each with what accents no composed letter has, and four signs between them.
const NICK = /^[\p{L}\p{N}]\p{M}{0,2}(?:[\p{L}\p{N}]\p{M}{0,2}|[_.'-])*$/u;

/** Some of the letters are drawn as nothing. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;

const NICK_CHARACTER = /^[\p{L}\p{N}\p{M}_.'-]$/u;

/** Scripts whose letters are drawn like Latin ones: a nick that mixes them wants to be taken for another. */
const LOOKALIKES = /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}]/u;
const LATIN = /\p{Script=Latin}/u;

/**
 * Checks a nickname of our own and brings it into its normal form (NFKC).
 *
 * @throws TypeError, RangeError that say what a nickname is
 */
export function checkNick(nick: unknown): string {
  if (typeof nick !== "string") throw new TypeError("nick: expected a string");
  const normal = nick.normalize("NFKC");
  if (normal === "") throw new RangeError("nick: expected at least one character");
  if (isTooLong(normal)) {
    const limit = `${MAX_NICK_LENGTH} characters or ${MAX_NICK_BYTES} bytes`;
    throw new RangeError(`nick: longer than ${limit}`);
  }
  if (!isNick(normal)) {
    throw new RangeError("nick: expected letters and digits, and _ . ' - after the first of them");
  }
  return normal;
}

/** A nickname of somebody, safe to show. */
export interface ShownNick {
  /** Made of nothing but what a nickname is made of, and `?` for everything else. */
  readonly text: string;
  /** Nicks with the same key count as the same: case and compatibility forms make no difference. */
  readonly key: string;
  /** It is not what it looks like, so it should never stand alone. */
  readonly isOdd: boolean;
}

/** Makes what a stranger calls itself safe to show; whatever it is, this does not fail. */
export function showNick(nick: string): ShownNick {
  let text = nick.normalize("NFKC");
  const isValid = isNick(text);
  if (!isValid) {
    let shown = "";
    let count = 0;
    for (const character of text) {
      if (count++ === MAX_NICK_LENGTH) break;
      const isKept = NICK_CHARACTER.test(character) && !INVISIBLE.test(character);
      // Marks are left to valid nicks: piled up they reach into other lines.
      shown += isKept && !/\p{M}/u.test(character) ? character : "?";
    }
    text = shown;
  }
  const isMixed = LATIN.test(text) && LOOKALIKES.test(text);
  return { text, key: nickKey(text), isOdd: !isValid || isMixed };
}

/** What two nicks have in common that count as the same. */
export function nickKey(nick: string): string {
  return nick.normalize("NFKC").toLowerCase().normalize("NFKC");
}

function isNick(normal: string): boolean {
  return !isTooLong(normal) && NICK.test(normal) && !INVISIBLE.test(normal);
}

function isTooLong(normal: string): boolean {
  const bytes = new TextEncoder().encode(normal).length;
  return bytes > MAX_NICK_BYTES || Array.from(normal).length > MAX_NICK_LENGTH;
}

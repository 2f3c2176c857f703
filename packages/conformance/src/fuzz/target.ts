import type { SeededRandom } from "@heddle/testing";

/** What a decoder takes, and with it the ways in which inputs are mutated. */
export type InputKind = "bytes" | "rlp" | "text";

/** One decoder or state machine, fed with inputs that nobody wrote. */
export interface FuzzTarget {
  readonly name: string;
  readonly kind: InputKind;
  /** Valid inputs that mutation starts from. */
  readonly corpus: readonly Uint8Array[];
  /** Fragments that mean something to this decoder. */
  readonly dictionary?: readonly Uint8Array[];
  /** The errors that are documented for it, as {@link refusals} names them; any other is a finding. */
  readonly refusals: ReadonlySet<string>;
  /**
   * Feeds one input, which is only read.
   *
   * @param random - for what is not part of the input, such as how it is cut; the same for the same input
   * @throws what the decoder throws; {@link BrokenInvariant} where it returned what it must not
   */
  run(input: Uint8Array, random: SeededRandom): void;
}

/** How a class of errors and its codes stand in {@link FuzzTarget.refusals}: `RlpError ERR_RLP_TRUNCATED`. */
export function refusals(name: string, codes: readonly string[]): ReadonlySet<string> {
  return new Set(codes.map((code) => `${name} ${code}`));
}

/** A decoder accepted something and what it made of it is wrong. */
export class BrokenInvariant extends Error {
  override readonly name: string = "BrokenInvariant";
  readonly code = "ERR_FUZZ_INVARIANT";
}

/** Fails the input it is called for. @throws {@link BrokenInvariant} when `holds` is false */
export function must(holds: boolean, what: string): void {
  if (!holds) throw new BrokenInvariant(what);
}

/** Text as the bytes that mutation works on, and back: one byte for each character up to U+00FF. */
export const textBytes = (text: string): Uint8Array =>
  Uint8Array.from(text, (character) => character.charCodeAt(0));

/** The text that {@link textBytes} made bytes of. */
export function bytesText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

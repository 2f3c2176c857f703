import { ScaffoldError } from "./scaffold-error.ts";

/** What a new protocol is called, in all the places it is. */
export interface Names {
  /** The package and its folder: `demo-thing`. */
  readonly name: string;
  /** In code: `DemoThing`. */
  readonly pascal: string;
  /** On the wire: `demothin`. */
  readonly wire: string;
}

/** Longer ones make no good folder names. */
const MAX_NAME_LENGTH = 40;

/** devp2p allows no more in a capability. */
const MAX_WIRE_LENGTH = 8;

/**
 * Checks a name, and derives the others from it.
 *
 * @param wire - the name on the wire; the first eight letters and digits of the other by default
 * @throws ScaffoldError saying what is wrong with which of them
 * @see devp2p rlpx.md §Hello
 */
export function readNames(name: string, wire?: string): Names {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    const rule = "lowercase letters and digits in words joined by hyphens, a letter first";
    throw new ScaffoldError(`${JSON.stringify(name)} is no name for a package: expected ${rule}`);
  }
  if (name.length > MAX_NAME_LENGTH) {
    const problem = `has ${name.length} characters, at most ${MAX_NAME_LENGTH} are allowed`;
    throw new ScaffoldError(`${name} ${problem}`);
  }
  if (wire !== undefined && !/^[a-z][a-z0-9]{0,7}$/.test(wire)) {
    const rule = `1 to ${MAX_WIRE_LENGTH} lowercase letters and digits, a letter first`;
    throw new ScaffoldError(`${JSON.stringify(wire)} is no name on the wire: expected ${rule}`);
  }
  const words = name.split("-");
  return {
    name,
    pascal: words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join(""),
    wire: wire ?? words.join("").slice(0, MAX_WIRE_LENGTH),
  };
}

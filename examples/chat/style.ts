/** What a piece of a line is, and so how it looks. */
export type Look = "dim" | "notice" | "error" | "direct" | "strong";

/** Dresses text in colours, or leaves it as it is. */
export interface Style {
  paint(look: Look, text: string): string;
  /** The same colour for the same node, whatever it is called. */
  name(id: Uint8Array, text: string): string;
}

const CODES: Readonly<Record<Look, string>> = {
  dim: "2",
  notice: "33",
  error: "31",
  direct: "35",
  strong: "1",
};

/** Colours that can be read on dark and light ground. */
const NAME_CODES = ["32", "34", "36", "91", "92", "94", "95", "96"];

/** Text as it is. */
export const plainStyle: Style = { paint: (_look, text) => text, name: (_id, text) => text };

/** ANSI colours. */
export const colourStyle: Style = {
  paint: (look, text) => wrap(CODES[look], text),
  name: (id, text) => wrap(NAME_CODES[(id[0] ?? 0) % NAME_CODES.length] ?? "0", text),
};

/**
 * Chooses: colours need a terminal that has them, and somebody who wants them.
 *
 * @see https://no-color.org
 */
export function chooseStyle(
  isTerminal: boolean,
  environment: Readonly<Record<string, string | undefined>>,
): Style {
  const isUnwanted = (environment["NO_COLOR"] ?? "") !== "" || environment["TERM"] === "dumb";
  return isTerminal && !isUnwanted ? colourStyle : plainStyle;
}

function wrap(code: string, text: string): string {
  return `\u001b[${code}m${text}\u001b[0m`;
}

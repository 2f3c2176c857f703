import { parseArgs } from "node:util";
import type { ParseArgsConfig } from "node:util";

/** A call that cannot be meant: one line that says why; the usage follows it, and exit code 2. */
export class WrongCall extends Error {
  override readonly name: string = "WrongCall";
}

/**
 * Reads a command line.
 *
 * @throws {@link WrongCall} instead of Node's error, whose second sentence takes every option for a mistyped positional
 */
export function readArgs<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new WrongCall(error.message.split(/\.\s/)[0]);
  }
}

import { parseArgs } from "node:util";
import type { ParseArgsConfig } from "node:util";

/** A call that cannot be meant: one line that says why; the usage follows it, and exit code 2. */
export class WrongCall extends Error {
  override readonly name: string = "WrongCall";
}

/**
 * Reads options, and positionals where they are allowed.
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

/**
 * Reads a program's command line before anything is measured. A wrong call ends the process, and so does the wish
 * for help.
 *
 * @param read - returns undefined for help
 */
export function readCall<T>(
  name: string,
  usage: string,
  read: (args: string[]) => T | undefined,
): T {
  try {
    const call = read(process.argv.slice(2));
    if (call !== undefined) return call;
  } catch (error) {
    if (!(error instanceof WrongCall)) throw error;
    console.error(`${name}: ${error.message}\n${usage}`);
    process.exit(2);
  }
  console.log(usage);
  return process.exit(0);
}

import { stat } from "node:fs/promises";
import { parseArgs } from "node:util";

import { escapeText } from "@heddle/identity";

import { ExitCode, Failure } from "./exit-code.ts";

/** What each command does its work on. */
const SUBJECTS = { share: "DIR", search: "QUERY", get: "HASH" } as const;

/** What the program was called with: all that its command needs is there. */
export interface Call {
  readonly command: keyof typeof SUBJECTS;
  readonly subject: string;
  readonly options: Options;
}

type Options = ReturnType<typeof parse>["values"];

/**
 * Reads the command line; undefined when help is asked for.
 *
 * @param usage - what a refusal ends with
 * @throws Failure `wrongCall` that says what is missing or wrong
 */
export function readCall(args: readonly string[], usage: string): Call | undefined {
  const wrongCall = (problem: string): Failure =>
    new Failure(ExitCode.wrongCall, `${problem}\n${usage}`);
  try {
    const { values: options, positionals } = parse(args);
    if (options.help) return undefined;
    const [command = "nothing", subject, unexpected] = positionals;
    if (!isCommand(command)) {
      throw wrongCall(`expected share, search or get; got ${escapeText(command, 50)}`);
    }
    const missing = listMissing(command, subject, options);
    if (subject === undefined || missing.length > 0) {
      throw wrongCall(`${command}: ${missing.join(" and ")} missing`);
    }
    if (unexpected !== undefined) {
      throw wrongCall(
        `${command}: one ${SUBJECTS[command]}, not ${escapeText(unexpected, 50)} too`,
      );
    }
    return { command, subject, options };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // Node's second sentence takes every option for a mistyped positional.
    throw wrongCall(escapeText(error.message.split(/\.\s/)[0] ?? "", 300));
  }
}

/**
 * Makes sure of a folder before anything is begun.
 *
 * @throws Failure `disk` that names it
 */
export async function checkFolder(path: string): Promise<void> {
  let problem = "is no folder";
  try {
    if ((await stat(path)).isDirectory()) return;
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    problem = code === "ENOENT" ? "does not exist" : `cannot be reached (${code})`;
  }
  throw new Failure(ExitCode.disk, `${escapeText(path, 300)} ${problem}`);
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h", default: false },
      listen: { type: "string", default: "127.0.0.1:30303" },
      address: { type: "string" },
      join: { type: "string", multiple: true, default: [] },
      "key-file": { type: "string" },
      json: { type: "boolean", default: false },
      to: { type: "string" },
      name: { type: "string" },
      force: { type: "boolean", default: false },
    },
  });
}

function isCommand(text: string): text is keyof typeof SUBJECTS {
  return Object.hasOwn(SUBJECTS, text);
}

/** What the command cannot do without, and has not been given. */
function listMissing(
  command: keyof typeof SUBJECTS,
  subject: string | undefined,
  { join, to }: Options,
): string[] {
  return [
    ...(subject === undefined ? [SUBJECTS[command]] : []),
    ...(command !== "share" && join.length === 0 ? ["--join"] : []),
    ...(command === "get" && to === undefined ? ["--to"] : []),
  ];
}

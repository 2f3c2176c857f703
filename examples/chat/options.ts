import { parseArgs } from "node:util";

import { checkNick, checkRoom } from "@heddle/chat";
import { escapeText, parseEnode } from "@heddle/identity";

/** What `--help` prints. */
export const USAGE = `usage: chat --nick NAME [options]

  --nick NAME          what you are called: up to 24 letters and digits
  --join ENODE         a node of the chat to join; may be given several times
  --room NAME          the room to enter; lobby by default
  --listen HOST:PORT   where others reach you; 127.0.0.1:0 by default, 0.0.0.0:0 for other machines
  --key-file FILE      keeps your identity there from one time to the next; a new one each time by default
  --heartbeat SECONDS  how often others hear that you are here, 1 to 3600; 30 by default
  --no-color           plain text; so does NO_COLOR in the environment, or output that is no terminal
  --help               prints this`;

/** A call that cannot be meant; the program ends with exit code 2. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** What the program was called with, checked. */
export interface ProgramOptions {
  readonly nick: string;
  readonly join: readonly string[];
  readonly room: string;
  readonly listen: string;
  readonly keyFile: string | undefined;
  readonly heartbeatMs: number;
  readonly isPlain: boolean;
}

/**
 * Reads the command line; undefined when help is asked for.
 *
 * @throws {@link UsageError} that names the option
 */
export function parseOptions(args: readonly string[]): ProgramOptions | undefined {
  const values = readArgs(args);
  if (values.help === true) return undefined;
  const { nick } = values;
  if (nick === undefined) throw new UsageError("--nick: what are you called?");
  const keyFile = values["key-file"];
  return {
    nick: attempt("--nick", () => checkNick(nick)),
    join: (values.join ?? []).map((enode) => attempt("--join", () => readEnode(enode))),
    room: attempt("--room", () => checkRoom(values.room ?? "lobby")),
    listen: readListen(values.listen ?? "127.0.0.1:0"),
    keyFile,
    heartbeatMs: 1000 * readSeconds(values.heartbeat ?? "30"),
    isPlain: values["no-color"] === true,
  };
}

function readArgs(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      // Some package managers hand on the `--` that stands before a script's options.
      args: args[0] === "--" ? args.slice(1) : [...args],
      options: {
        nick: { type: "string" },
        join: { type: "string", multiple: true },
        room: { type: "string" },
        listen: { type: "string" },
        "key-file": { type: "string" },
        heartbeat: { type: "string" },
        "no-color": { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    return values;
  } catch (error) {
    // The first sentence says which option and what is wrong with it; the others guess what was meant.
    const [problem = ""] = (error instanceof Error ? error.message : String(error)).split(/\.\s/);
    throw new UsageError(escapeText(problem, 300));
  }
}

function attempt<T>(option: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${option}: ${escapeText(problem.replace(/^(?:nick|room): /, ""), 300)}`);
  }
}

function readEnode(enode: string): string {
  if (parseEnode(enode).tcpPort === 0) throw new RangeError("the enode has no port");
  return enode;
}

function readListen(listen: string): string {
  const port = /^(?:[^:]*|\[[^\]]+\]):(\d{1,5})$/.exec(listen)?.[1];
  if (port !== undefined && Number(port) <= 65_535) return listen;
  throw new UsageError(`--listen: expected HOST:PORT, got ${escapeText(listen)}`);
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= 3_600) return seconds;
  throw new UsageError(`--heartbeat: expected 1 to 3600 seconds, got ${escapeText(text)}`);
}

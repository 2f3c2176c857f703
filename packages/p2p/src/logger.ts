import { escapeText, toHex } from "@heddle/identity";
import { RemoteProtocolError as RlpxRemoteError } from "@heddle/rlpx";

import { Disconnect } from "./disconnect.ts";
import { DialError, DisconnectedError, RemoteProtocolError, TimeoutError } from "./errors.ts";

/** Facts that belong to a log message. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where a server reports; silent unless one is given. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Log levels, from chatty to quiet. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

/** One of {@link LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[number];

type ConsoleLike = Record<LogLevel, (...args: unknown[]) => void>;
type PinoLike = Record<LogLevel, (fields: object, message: string) => void>;

/** Of a message or a field, in characters. */
const MAX_TEXT = 500;

/** Of a field that is bytes; a node id has this many. */
const MAX_BYTES = 64;

/** Of an error's stack, and of the errors in its `cause`. */
const MAX_FRAMES = 3;
const MAX_CAUSES = 8;

/** What peers and networks bring about. */
const EXPECTED = [
  DialError,
  Disconnect,
  DisconnectedError,
  RemoteProtocolError,
  RlpxRemoteError,
  TimeoutError,
];
const EXPECTED_CODES: ReadonlySet<unknown> = new Set(["ERR_P2P_ESTABLISH", "ERR_P2P_STREAM_ENDED"]);

const ignore = (): void => undefined;

/** Says nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/**
 * Logs to a console as `message key=value …` on one line, from `level` up.
 *
 * Everything is escaped, and quoted where it could be taken for another field: a client id may hold
 * terminal escapes, or ` peer=…`. An `error` that no peer and no network explains is followed by where it was
 * thrown, `at="…"`: it is a fault in somebody's code.
 */
export function consoleLogger(target: ConsoleLike, level: LogLevel = "info"): Logger {
  return makeLogger(level, (at, message, fields) => {
    const facts = Object.entries(fields).map(([key, value]) => ` ${key}=${showValue(value)}`);
    const frames = framesOf(fields["error"]);
    if (frames !== "") facts.push(` at=${quote(frames)}`);
    target[at](escapeText(message, MAX_TEXT) + facts.join(""));
  });
}

/** Logs to pino, or anything that takes `(fields, message)`; an `error` goes under pino's own key, `err`. */
export function pinoLogger(target: PinoLike, level: LogLevel = "debug"): Logger {
  return makeLogger(level, (at, message, { error, ...fields }) => {
    target[at](error === undefined ? fields : { ...fields, err: error }, message);
  });
}

/** A logger that cannot throw: what is to be logged must happen, whether it can be logged or not. */
export function guardLogger(logger: Logger): Logger {
  if (logger === silentLogger) return logger;
  return makeLogger("debug", (at, message, fields) => {
    try {
      logger[at](message, fields);
    } catch {
      // There is nobody else to tell.
    }
  });
}

function makeLogger(
  level: LogLevel,
  write: (at: LogLevel, message: string, fields: LogFields) => void,
): Logger {
  const least = LOG_LEVELS.indexOf(level);
  const at = (wanted: LogLevel): ((message: string, fields?: LogFields) => void) =>
    LOG_LEVELS.indexOf(wanted) < least
      ? ignore
      : (message, fields = {}) => write(wanted, message, fields);
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** Where an error came from, innermost frame first; empty for one that a peer or the network brought about. */
function framesOf(error: unknown): string {
  let cause = error;
  let stack = "";
  for (let depth = 0; depth < MAX_CAUSES && cause instanceof Error; depth += 1) {
    if (isExpected(cause)) return "";
    // What it was wrapped in on its way says less about the fault.
    if (typeof cause.stack === "string") stack = cause.stack;
    cause = cause.cause;
  }
  const frames = [...stack.matchAll(/^ +at (.+)$/gm)].slice(0, MAX_FRAMES);
  return frames.map(([, frame = ""]) => frame).join(" < ");
}

function isExpected(error: Error): boolean {
  return (
    EXPECTED.some((kind) => error instanceof kind) ||
    ("code" in error && EXPECTED_CODES.has(error.code))
  );
}

/** Plain values as they are, errors by their message, bytes in hex, all else as JSON; never throws. */
function showValue(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (value instanceof Error) return quote(value.message);
  if (value instanceof Uint8Array) return toHex(value.subarray(0, MAX_BYTES));
  if (typeof value !== "object" || value === null) return quote(String(value));
  try {
    return quote(JSON.stringify(value, (_key, inner: unknown) => showInner(inner)));
  } catch {
    // It contains itself, or has a `toJSON` that fails.
    return "[object]";
  }
}

/** What JSON has no form for. */
function showInner(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return value instanceof Error ? value.message : value;
}

function quote(text: string): string {
  const safe = escapeText(text, MAX_TEXT);
  return /^[^\s"=]+$/.test(safe) ? safe : `"${safe.replaceAll('"', "\\u{22}")}"`;
}

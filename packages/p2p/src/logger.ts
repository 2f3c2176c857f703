import { escapeText, toHex } from "@heddle/identity";

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

const ignore = (): void => undefined;

/** Says nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/**
 * Logs to a console as `message key=value …` on one line, from `level` up.
 *
 * Everything is escaped, and quoted where it could be taken for another field: a client id may hold
 * terminal escapes, or ` peer=…`.
 */
export function consoleLogger(target: ConsoleLike, level: LogLevel = "info"): Logger {
  return makeLogger(level, (at, message, fields) => {
    const facts = Object.entries(fields).map(([key, value]) => ` ${key}=${showValue(value)}`);
    target[at](escapeText(message, MAX_TEXT) + facts.join(""));
  });
}

/** Logs to pino, or anything that takes `(fields, message)`; an `error` goes under pino's own key, `err`. */
export function pinoLogger(target: PinoLike, level: LogLevel = "debug"): Logger {
  return makeLogger(level, (at, message, { error, ...fields }) => {
    target[at](error === undefined ? fields : { ...fields, err: error }, message);
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

import { escapeText } from "@heddle/identity";

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

const ignore = (): void => undefined;

/** Says nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** Logs to a console as `message key=value …`, from `level` up; what a peer may have said is escaped. */
export function consoleLogger(target: ConsoleLike, level: LogLevel = "info"): Logger {
  return makeLogger(level, (at, message, fields) => {
    const facts = Object.entries(fields).map(([key, value]) => ` ${key}=${showValue(value)}`);
    target[at](message + facts.join(""));
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

function showValue(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(escapeText(value.message, 500));
  return typeof value === "string" ? escapeText(value, 500) : String(value);
}

import { FileShareError } from "@heddle/file-share";
import type { FileShareErrorCode } from "@heddle/file-share";
import { EnodeError, escapeText } from "@heddle/identity";
import { DialError } from "@heddle/p2p";

/** What the program's exit code tells a script. */
export const ExitCode = {
  done: 0,
  failed: 1,
  wrongCall: 2,
  notFound: 3,
  exists: 4,
  disk: 5,
  unreachable: 6,
  stalled: 7,
} as const;

const CODES: Readonly<Partial<Record<FileShareErrorCode, number>>> = {
  ERR_FILES_NO_HOLDERS: ExitCode.notFound,
  ERR_FILES_EXISTS: ExitCode.exists,
  ERR_FILES_STALLED: ExitCode.stalled,
  ERR_FILES_NO_SPACE: ExitCode.disk,
  ERR_FILES_NO_ACCESS: ExitCode.disk,
  ERR_FILES_NO_FOLDER: ExitCode.disk,
  ERR_FILES_IO: ExitCode.disk,
};

/** A wrong call, or a search without a result: one clear line, and an exit code of its own. */
export class Failure extends Error {
  override readonly name: string = "Failure";
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The exit code for an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof Failure) return error.exitCode;
  if (error instanceof DialError) return ExitCode.unreachable;
  if (error instanceof EnodeError || isArgumentError(error)) return ExitCode.wrongCall;
  return (error instanceof FileShareError ? CODES[error.code] : undefined) ?? ExitCode.failed;
}

/** An error as one line that is safe to print. */
export function describeError(error: unknown): string {
  if (error instanceof Failure) return error.message;
  return escapeText(error instanceof Error ? error.message : String(error), 500);
}

/** `parseArgs` and our own options refuse what they cannot use this way. */
function isArgumentError(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return (
    (typeof code === "string" && code.startsWith("ERR_PARSE_ARGS_")) ||
    error instanceof RangeError ||
    (error instanceof TypeError && code === undefined)
  );
}

import { DisconnectReason } from "@heddle/protocol";

/** Why a file could not be shared, found or fetched. */
export type FileShareErrorCode =
  | "ERR_FILES_CLOSED"
  | "ERR_FILES_NO_HOLDERS"
  | "ERR_FILES_STALLED"
  | "ERR_FILES_TOO_BIG"
  | "ERR_FILES_EXISTS"
  | "ERR_FILES_BUSY"
  | "ERR_FILES_NO_SPACE"
  | "ERR_FILES_NO_ACCESS"
  | "ERR_FILES_NO_FOLDER"
  | "ERR_FILES_IO"
  | "ERR_FILES_NOT_SHARED"
  | "ERR_FILES_TOO_MANY"
  | "ERR_FILES_CHANGED";

/** A share, search or transfer that did not succeed; the message is safe to print. */
export class FileShareError extends Error {
  override readonly name: string = "FileShareError";
  readonly code: FileShareErrorCode;

  constructor(code: FileShareErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What a holder did that ended its part in a transfer. */
export type FaultCode =
  | "ERR_FILES_BAD_DESCRIPTION"
  | "ERR_FILES_BAD_HASHES"
  | "ERR_FILES_BAD_CHUNK"
  | "ERR_FILES_GONE"
  | "ERR_FILES_TOO_SLOW";

/** A holder that cannot be used any more; {@link HolderFault.isLie} where it sent what does not fit the hash. */
export class HolderFault extends Error {
  override readonly name: string = "HolderFault";
  readonly code: FaultCode;
  /** The disconnect reason for a liar, subprotocol error (0x10). */
  readonly reason: number = DisconnectReason.subprotocolError;

  constructor(code: FaultCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Whether no honest holder could have sent it. */
  get isLie(): boolean {
    return this.code.startsWith("ERR_FILES_BAD_");
  }
}

/** Turns what the file system said into a {@link FileShareError} that says what can be done about it. */
export function fileError(cause: unknown, doing: string): FileShareError {
  if (cause instanceof FileShareError) return cause;
  const code = (cause as { code?: unknown } | undefined)?.code;
  const errno = typeof code === "string" ? code : "unknown error";
  switch (errno) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return new FileShareError("ERR_FILES_NO_SPACE", `${doing}: no space is left (${errno})`, {
        cause,
      });
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "ELOOP":
      return new FileShareError("ERR_FILES_NO_ACCESS", `${doing}: not permitted (${errno})`, {
        cause,
      });
    case "ENOENT":
    case "ENOTDIR":
    case "EISDIR":
      return new FileShareError("ERR_FILES_NO_FOLDER", `${doing}: no such place (${errno})`, {
        cause,
      });
    case "EEXIST":
      return new FileShareError("ERR_FILES_EXISTS", `${doing}: exists already (${errno})`, {
        cause,
      });
    default:
      return new FileShareError("ERR_FILES_IO", `${doing}: ${errno}`, { cause });
  }
}

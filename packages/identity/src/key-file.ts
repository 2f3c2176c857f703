import { constants } from "node:fs";
import { link, open, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { escapeText, fromHex, toHex } from "./bytes.ts";
import { generateSecretKey, isSecretKey } from "./keys.ts";

// 64 digits and a line end of one or two characters.
const MAX_SIZE = 66;
const CONTENT = /^([0-9a-fA-F]{64})(?:\r?\n)?$/;

/**
 * Makes a new secret key and writes it to a file that must not exist, readable by its owner only (mode 0600).
 *
 * The file appears complete or not at all: nobody ever reads half a key.
 *
 * @returns the 32-byte secret key
 * @throws {@link KeyFileError} `ERR_KEY_FILE_EXISTS`, `ERR_KEY_FILE_IO`
 */
export async function createKeyFile(path: string): Promise<Uint8Array> {
  const secretKey = generateSecretKey();
  const draft = `${path}.${toHex(crypto.getRandomValues(new Uint8Array(8)))}.new`;
  try {
    await writeNew(draft, secretKey);
    try {
      await publish(draft, path, secretKey);
    } finally {
      await unlink(draft);
    }
  } catch (cause) {
    throw ioError("create", path, cause);
  }
  return secretKey;
}

/**
 * Reads a secret key: 64 hexadecimal digits and an optional line end, in a file that only its owner may use.
 *
 * Permissions are not looked at on Windows, which has none of this kind.
 *
 * @returns the 32-byte secret key
 * @throws {@link KeyFileError} `ERR_KEY_FILE_MISSING`, `ERR_KEY_FILE_TOO_OPEN`, `ERR_KEY_FILE_BAD_CONTENT`,
 * `ERR_KEY_FILE_IO`
 */
export async function readKeyFile(path: string): Promise<Uint8Array> {
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
    await using file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    return await readKey(file, path);
  } catch (cause) {
    throw ioError("read", path, cause);
  }
}

/**
 * Reads a secret key from a file, or makes one there if there is none.
 *
 * Any number of processes may do so at once: all get the key of the one that came first.
 *
 * @returns the 32-byte secret key
 * @throws {@link KeyFileError} as {@link readKeyFile} and {@link createKeyFile} do
 */
export async function loadOrCreateKeyFile(path: string): Promise<Uint8Array> {
  try {
    return await readKeyFile(path);
  } catch (error) {
    if (!hasCode(error, "ERR_KEY_FILE_MISSING")) throw error;
  }
  try {
    return await createKeyFile(path);
  } catch (error) {
    if (!hasCode(error, "ERR_KEY_FILE_EXISTS")) throw error;
    return readKeyFile(path);
  }
}

async function readKey(file: FileHandle, path: string): Promise<Uint8Array> {
  const stats = await file.stat();
  if (!stats.isFile()) throw badContent(path, "is not a regular file");
  if (process.platform !== "win32" && (stats.mode & 0o077) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
    throw new KeyFileError(
      "ERR_KEY_FILE_TOO_OPEN",
      `key file ${escapeText(path, 200)} has mode ${mode}, expected 0600: others could read the key`,
    );
  }
  if (stats.size > MAX_SIZE) throw badContent(path, `has ${stats.size} bytes`);
  const digits = CONTENT.exec(await file.readFile("latin1"))?.[1];
  if (digits === undefined) throw badContent(path, "has other content");
  const secretKey = fromHex(digits);
  if (!isSecretKey(secretKey)) throw badContent(path, "holds a number outside the curve order");
  return secretKey;
}

/** Gives the finished draft its name, atomically and only if the name is free. */
async function publish(draft: string, path: string, secretKey: Uint8Array): Promise<void> {
  try {
    await link(draft, path);
  } catch (error) {
    if (!["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"].some((code) => hasCode(error, code)))
      throw error;
    // File systems without hard links: still exclusive, but a reader could come before the content does.
    await writeNew(path, secretKey);
  }
}

/** Writes all of the key or nothing: what a full disk has left of it is removed again. */
async function writeNew(path: string, secretKey: Uint8Array): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(`${toHex(secretKey)}\n`);
    await file.sync();
  } catch (error) {
    await unlink(path);
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function badContent(path: string, fault: string): KeyFileError {
  return new KeyFileError(
    "ERR_KEY_FILE_BAD_CONTENT",
    `key file ${escapeText(path, 200)} ${fault}, expected 64 hex digits`,
  );
}

function ioError(verb: string, path: string, cause: unknown): KeyFileError {
  if (cause instanceof KeyFileError) return cause;
  const name = escapeText(path, 200);
  if (hasCode(cause, "ENOENT") && verb === "read") {
    return new KeyFileError("ERR_KEY_FILE_MISSING", `key file ${name} does not exist`, { cause });
  }
  if (hasCode(cause, "EEXIST")) {
    return new KeyFileError("ERR_KEY_FILE_EXISTS", `key file ${name} exists already`, { cause });
  }
  const why = cause instanceof Error && "code" in cause ? `: ${String(cause.code)}` : "";
  return new KeyFileError("ERR_KEY_FILE_IO", `cannot ${verb} key file ${name}${why}`, { cause });
}

/** Why a key file was not read or created. */
export type KeyFileErrorCode =
  | "ERR_KEY_FILE_MISSING"
  | "ERR_KEY_FILE_EXISTS"
  | "ERR_KEY_FILE_TOO_OPEN"
  | "ERR_KEY_FILE_BAD_CONTENT"
  | "ERR_KEY_FILE_IO";

/** A key file that could not be read or created; the message never holds any of its content. */
export class KeyFileError extends Error {
  override readonly name = "KeyFileError";
  readonly code: KeyFileErrorCode;

  constructor(code: KeyFileErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

import { access, constants, mkdir, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";

import { concatBytes } from "@heddle/identity";
import { silentLogger } from "@heddle/p2p";
import type { Logger } from "@heddle/p2p";
import { ClassicLevel } from "classic-level";

import type { PexStore } from "./store.ts";

/** A store cannot be used; `cause` says why. */
export class StoreError extends Error {
  override readonly name: string = "StoreError";
  /** `ERR_PEX_STORE_LOCKED` when another process has it open, `ERR_PEX_STORE_IO` otherwise. */
  readonly code: "ERR_PEX_STORE_LOCKED" | "ERR_PEX_STORE_IO";

  constructor(code: StoreError["code"], message: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

type Database = ClassicLevel<string, Uint8Array>;

/** Before each value: CRC-32 of name and value, big-endian. */
const CHECKSUM_BYTES = 4;

/** Copies of a database beyond repair that are kept beside it. */
const MAX_ASIDE = 8;

/**
 * Opens a store in a folder, which is made if there is none.
 *
 * What a crash or a bad disk has damaged is repaired as far as it goes; values whose checksum is wrong
 * are left out, and a folder beyond repair is moved aside to `<path>.damaged-<n>`.
 *
 * @throws {@link StoreError} `ERR_PEX_STORE_LOCKED`, `ERR_PEX_STORE_IO`
 * @example
 * const pex = createPeerExchange({ key, store: await openStore("data/peers") });
 */
export async function openStore(
  path: string,
  { logger = silentLogger }: { readonly logger?: Logger } = {},
): Promise<PexStore> {
  try {
    await mkdir(dirname(path), { recursive: true });
    return await openRepaired(path, logger);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    if (isLocked(error)) {
      throw new StoreError("ERR_PEX_STORE_LOCKED", "the store is open in another process", error);
    }
    throw new StoreError("ERR_PEX_STORE_IO", "the store cannot be opened", error);
  }
}

/** LevelDB as a {@link PexStore}. */
class LevelStore implements PexStore {
  readonly initial: ReadonlyMap<string, Uint8Array>;
  readonly #database: Database;

  constructor(database: Database, initial: ReadonlyMap<string, Uint8Array>) {
    this.#database = database;
    this.initial = initial;
  }

  /** LevelDB writes a batch as one record of its log: after a crash all of it is there, or nothing. */
  async write(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void> {
    await this.#database.batch(
      Array.from(changes, ([key, value]) =>
        value === undefined ? { type: "del", key } : { type: "put", key, value: seal(key, value) },
      ),
    );
  }

  async close(): Promise<void> {
    await this.#database.close();
  }
}

/** Opens what is there, then what can be repaired of it, then an empty one in its place. */
async function openRepaired(path: string, logger: Logger): Promise<PexStore> {
  try {
    return await openWhole(path, logger);
  } catch (error) {
    if (!isDamage(error)) throw error;
    logger.warn("the store is damaged and is being repaired", { path, error });
  }
  try {
    await ClassicLevel.repair(path);
    return await openWhole(path, logger);
  } catch (error) {
    if (isLocked(error)) throw error;
    logger.warn("the store is beyond repair", { path, error });
  }
  await moveAside(path);
  return openWhole(path, logger);
}

async function openWhole(path: string, logger: Logger): Promise<PexStore> {
  // The owner's alone: the secret that addresses are sorted by is in it.
  await mkdir(path, { recursive: true, mode: 0o700 });
  const database: Database = new ClassicLevel(path, { keyEncoding: "utf8", valueEncoding: "view" });
  await database.open();
  try {
    return new LevelStore(database, await readAll(database, logger));
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function readAll(database: Database, logger: Logger): Promise<Map<string, Uint8Array>> {
  const values = new Map<string, Uint8Array>();
  let damaged = 0;
  for await (const [name, sealed] of database.iterator()) {
    const value = open(name, sealed);
    if (value === undefined) damaged += 1;
    else values.set(name, value);
  }
  if (damaged > 0) logger.warn("stored values were damaged and are left out", { damaged });
  return values;
}

async function moveAside(path: string): Promise<void> {
  // What merely may not be used just now is not damaged.
  await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  for (let number = 1; ; number += 1) {
    try {
      await rename(path, `${path}.damaged-${number}`);
      return;
    } catch (error) {
      // A folder of that name that holds something is there already.
      if (!isTaken(error) || number === MAX_ASIDE) throw error;
    }
  }
}

/** The iterator does not have LevelDB check its own checksums, so each value has one. */
function seal(name: string, value: Uint8Array): Uint8Array {
  const checksum = new Uint8Array(CHECKSUM_BYTES);
  new DataView(checksum.buffer).setUint32(0, checksumOf(name, value));
  return concatBytes(checksum, value);
}

function open(name: string, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < CHECKSUM_BYTES) return undefined;
  // A Buffer comes, whose slice would be a view of it.
  const value = Uint8Array.from(sealed.subarray(CHECKSUM_BYTES));
  const checksum = new DataView(sealed.buffer, sealed.byteOffset).getUint32(0);
  return checksum === checksumOf(name, value) ? value : undefined;
}

function checksumOf(name: string, value: Uint8Array): number {
  return crc32(value, crc32(new TextEncoder().encode(name)));
}

function isLocked(error: unknown): boolean {
  return codesOf(error).includes("LEVEL_LOCKED");
}

/** What repairing may help with: a missing file is an IO error, too. */
const DAMAGE: ReadonlySet<string> = new Set([
  "LEVEL_CORRUPTION",
  "LEVEL_INVALID_ARGUMENT",
  "LEVEL_IO_ERROR",
]);

function isDamage(error: unknown): boolean {
  return codesOf(error).some((code) => DAMAGE.has(code));
}

function isTaken(error: unknown): boolean {
  return codesOf(error).some((code) => code === "ENOTEMPTY" || code === "EEXIST");
}

/** The codes of an error and of what caused it: opening wraps the reason. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let at = error, depth = 0; at instanceof Error && depth < 8; depth += 1, at = at.cause) {
    if ("code" in at && typeof at.code === "string") codes.push(at.code);
  }
  return codes;
}

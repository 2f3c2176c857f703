import { mkdtemp, open, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { concatBytes } from "@heddle/identity";

import { FANOUT, HASH_BYTES } from "./tree.ts";

const PAGE_BYTES = FANOUT * HASH_BYTES;

/** Up to this many bytes a file's chunk hashes stay in memory: files of up to 8 MiB. */
const MEMORY_BYTES = 1_024;

/** The chunk hashes of one file. */
export interface StoredHashes {
  /** Reads `length` bytes from `start`; both lie within what was added. */
  read(start: number, length: number): Promise<Uint8Array>;
  /** Gives their place to others: what is read afterwards may be theirs. */
  release(): void;
}

/**
 * Keeps the chunk hashes of the library: those of small files in memory, others in one temporary file.
 *
 * A file's hashes take 1/8192 of its size, so a large library's would not fit in memory. The temporary file
 * has no name once it is open where the system allows that, and so it never outlives the process.
 */
export class HashStore {
  readonly #folder: string;
  #opening: Promise<FileHandle> | undefined;
  #end = 0;
  /** Places in the file that were released. */
  readonly #free: number[] = [];

  /** @param folder - where the temporary file is made; the system's place for such files by default */
  constructor(folder: string = tmpdir()) {
    this.#folder = folder;
  }

  /** Begins a file's hashes. */
  begin(): HashWriter {
    return new HashWriter((hashes) => this.#keep(hashes));
  }

  /** Forgets everything. */
  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    await (await opening)?.close();
  }

  async #keep(page: Uint8Array): Promise<StoredHashes> {
    this.#opening ??= openNameless(this.#folder);
    const handle = await this.#opening;
    const at = this.#free.pop() ?? this.#end;
    // Every page has a place of the same size, so that any other fits there later.
    if (at === this.#end) this.#end += PAGE_BYTES;
    await handle.write(page, 0, page.length, at);
    return {
      async read(start, length) {
        const hashes = new Uint8Array(length);
        await handle.read(hashes, 0, length, at + start);
        return hashes;
      },
      release: () => void this.#free.push(at),
    };
  }
}

/** Takes one file's chunk hashes, page by page. */
export class HashWriter {
  readonly #keep: (page: Uint8Array) => Promise<StoredHashes>;
  readonly #pages: { readonly stored: StoredHashes; readonly length: number }[] = [];

  /** @param keep - puts a page where it is found again */
  constructor(keep: (page: Uint8Array) => Promise<StoredHashes>) {
    this.#keep = keep;
  }

  /** Adds a page; every page but the last has the same length. The bytes belong to the store afterwards. */
  async add(page: Uint8Array): Promise<void> {
    const isSmall = this.#pages.length === 0 && page.length <= MEMORY_BYTES;
    const stored = isSmall ? inMemory(page) : await this.#keep(page);
    this.#pages.push({ stored, length: page.length });
  }

  /** Gives up what was added so far. */
  abandon(): void {
    for (const { stored } of this.#pages.splice(0)) stored.release();
  }

  /** All that was added. */
  finish(): StoredHashes {
    const pages = this.#pages;
    return {
      async read(start, length) {
        const parts: Uint8Array[] = [];
        let at = 0;
        for (const page of pages) {
          const from = Math.max(start - at, 0);
          const to = Math.min(start + length - at, page.length);
          if (from < to) parts.push(await page.stored.read(from, to - from));
          at += page.length;
        }
        return parts.length === 1 ? (parts[0] as Uint8Array) : concatBytes(...parts);
      },
      release: () => this.abandon(),
    };
  }
}

function inMemory(hashes: Uint8Array): StoredHashes {
  return {
    read: (start, length) => Promise.resolve(hashes.subarray(start, start + length)),
    release: () => undefined,
  };
}

async function openNameless(folder: string): Promise<FileHandle> {
  const place = await mkdtemp(join(folder, "file-share-"));
  try {
    return await open(join(place, "hashes"), "wx+", 0o600);
  } finally {
    // Where an open file cannot be removed it stays behind, as other temporary files do.
    await rm(place, { recursive: true, force: true }).catch(() => undefined);
  }
}

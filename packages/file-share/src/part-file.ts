import { constants, link, lstat, open, rename, rm, statfs, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";

import type { Clock } from "@heddle/p2p";

import { Bitmap } from "./bitmap.ts";
import { readFully } from "./content.ts";
import { DirectFile } from "./direct-file.ts";
import { fileError, FileShareError } from "./errors.ts";
import { formatHash } from "./hash.ts";
import { release } from "./loan.ts";
import { CHUNK_BYTES, chunkSize } from "./tree.ts";
import type { TreeShape } from "./tree.ts";

/** Written data is handed to the disk in steps of this size, so that the end has little left to wait for. */
const SYNC_BYTES = 32 * 1024 * 1024;

/** A smaller file is left to the page cache: it is on disk before that has grown. */
const LEAST_DIRECT_BYTES = SYNC_BYTES;

/** As soon as so many chunks are there, they are written. */
const READY_CHUNKS = 4;

/** Fewer are written after this time. */
const LINGER_MS = 20;

/** Most chunks that are written at once, where they follow one another. */
const MAX_BATCH = 16;

/** With this many chunks not on disk yet, {@link PartFile.write} waits. */
const MAX_UNWRITTEN = 32;

const OPEN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/** What a part file tells, and its time. */
export interface PartFileOptions {
  readonly clock: Clock;
  /** A chunk is on disk. */
  readonly written: (index: number) => void;
  /** Nothing more can be written. */
  readonly failed: (error: FileShareError) => void;
}

/**
 * A file on its way: as long as the whole from the start, and hidden until it is complete.
 *
 * Beside it lies a bit for each chunk that is in it. A bit is written after its chunk, so a process that is
 * killed at any time leaves at most chunks that nobody knows of.
 */
export class PartFile {
  readonly #shape: TreeShape;
  readonly #folder: string;
  readonly #path: string;
  readonly #bitsPath: string;
  readonly #data: FileHandle;
  readonly #bits: FileHandle;
  readonly #direct: DirectFile | undefined;
  readonly #options: PartFileOptions;
  readonly #have: Bitmap;
  /** Chunks that are accepted and not on disk yet. */
  readonly #unwritten = new Map<number, Uint8Array>();
  #draining: Promise<void> | undefined;
  #timer: unknown;
  #room: (() => void)[] = [];
  #syncing: Promise<void> | undefined;
  #unsynced = 0;
  #error: FileShareError | undefined;

  private constructor(
    shape: TreeShape,
    paths: { folder: string; path: string; bitsPath: string },
    handles: { data: FileHandle; bits: FileHandle; direct: DirectFile | undefined },
    options: PartFileOptions,
  ) {
    this.#options = options;
    this.#shape = shape;
    this.#folder = paths.folder;
    this.#path = paths.path;
    this.#bitsPath = paths.bitsPath;
    this.#data = handles.data;
    this.#bits = handles.bits;
    this.#direct = handles.direct;
    this.#have = new Bitmap(shape.chunks);
  }

  /**
   * Opens what an earlier attempt has left in the folder, or begins anew.
   *
   * @throws FileShareError `ERR_FILES_NO_SPACE`, `ERR_FILES_NO_ACCESS`, `ERR_FILES_NO_FOLDER`,
   *   `ERR_FILES_NOT_SHARED` when something else lies in its place, `ERR_FILES_IO`
   */
  static async open(
    folder: string,
    hash: Uint8Array,
    shape: TreeShape,
    options: PartFileOptions,
  ): Promise<PartFile> {
    const path = join(folder, `.${formatHash(hash)}.part`);
    const bitsPath = join(folder, `.${formatHash(hash)}.have`);
    const handles: { close(): Promise<void> }[] = [];
    try {
      await dropFinished(path);
      const data = await openRegular(path, handles);
      const bits = await openRegular(bitsPath, handles);
      const direct =
        shape.size < LEAST_DIRECT_BYTES ? undefined : await DirectFile.open(path, data);
      if (direct !== undefined) handles.push(direct);
      const part = new PartFile(shape, { folder, path, bitsPath }, { data, bits, direct }, options);
      await part.#load();
      return part;
    } catch (cause) {
      await Promise.all(handles.map((handle) => handle.close()));
      throw fileError(cause, "preparing the file");
    }
  }

  /** The chunks that are in the file; those of an earlier attempt only seem to be. */
  get have(): Bitmap {
    return this.#have;
  }

  /** Reads a chunk. */
  async read(index: number): Promise<Uint8Array> {
    const chunk = new Uint8Array(chunkSize(this.#shape, index));
    const length = await readFully(this.#data, chunk, index * CHUNK_BYTES).catch(
      (cause: unknown) => {
        throw fileError(cause, "reading the file");
      },
    );
    return chunk.subarray(0, length);
  }

  /**
   * Forgets a chunk that is not what it should be.
   *
   * @throws FileShareError as {@link write} does
   */
  async forget(index: number): Promise<void> {
    this.#have.delete(index);
    await this.#writeBits(index, index).catch((cause: unknown) => {
      throw fileError(cause, "writing the file");
    });
  }

  /** Whether a chunk is in the file, or will be as soon as the disk has taken it. */
  has(index: number): boolean {
    return this.#have.has(index) || this.#unwritten.has(index);
  }

  /**
   * Accepts a verified chunk; waits while too many are not on disk yet.
   *
   * @param chunk - belongs to the file from now on, and its message with it, which is freed when it is written
   * @throws FileShareError `ERR_FILES_NO_SPACE`, `ERR_FILES_NO_ACCESS`, `ERR_FILES_IO`
   */
  async write(index: number, chunk: Uint8Array): Promise<void> {
    this.#throwLate();
    this.#unwritten.set(index, chunk);
    this.#drainSoon();
    while (this.#unwritten.size >= MAX_UNWRITTEN) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
    this.#throwLate();
  }

  /**
   * Gives the complete file its name, at once or not at all.
   *
   * @param isForced - whether it may take the place of another file
   * @throws FileShareError `ERR_FILES_EXISTS`, `ERR_FILES_BUSY` when another program has taken the
   *   part file away, and as {@link write} does
   */
  async finish(name: string, isForced: boolean): Promise<string> {
    const target = join(this.#folder, name);
    try {
      await this.#settle();
      await this.#data.datasync();
      await this.#checkPlace();
      if (isForced) await rename(this.#path, target);
      else await linkNew(this.#path, target);
      await rm(this.#bitsPath, { force: true });
      await syncFolder(this.#folder);
    } catch (cause) {
      throw fileError(cause, "finishing the file");
    }
    return target;
  }

  /** Closes it; what is in it stays for the next attempt. */
  async close(): Promise<void> {
    // Told by `write` or `finish` already, or of no use: the next attempt asks for those chunks again.
    await this.#settle().catch(() => undefined);
    await Promise.all([this.#data.close(), this.#bits.close(), this.#direct?.close()]);
  }

  async #load(): Promise<void> {
    const { size } = this.#shape;
    const stats = await this.#data.stat();
    // What is there already takes no further space.
    const missing = size - Math.min(size, stats.blocks * 512);
    const { bavail, bsize } = await statfs(this.#folder);
    if (missing > bavail * bsize) {
      const problem = `${missing} bytes are missing, ${bavail * bsize} are free`;
      throw new FileShareError("ERR_FILES_NO_SPACE", problem);
    }
    const { bytes } = this.#have;
    const saved = new Uint8Array(bytes.length);
    const { size: savedSize } = await this.#bits.stat();
    if (stats.size === size && savedSize === bytes.length) {
      await readFully(this.#bits, saved, 0);
      for (let index = 0; index < this.#shape.chunks; index++) {
        if (((saved[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0) this.#have.add(index);
      }
    } else {
      await this.#bits.truncate(bytes.length);
      await this.#bits.write(bytes, 0, bytes.length, 0);
      await this.#data.truncate(size);
    }
  }

  #isBatchReady(): boolean {
    const { size } = this.#unwritten;
    const isLast = this.#have.count + size >= this.#shape.chunks;
    return size >= READY_CHUNKS || (isLast && size > 0);
  }

  #drain(): void {
    this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#draining ??= this.#writeSome().finally(() => {
      this.#draining = undefined;
      if (this.#unwritten.size > 0) this.#drainSoon();
    });
  }

  #drainSoon(): void {
    if (this.#isBatchReady()) this.#drain();
    else this.#timer ??= this.#options.clock.setTimeout(() => this.#drain(), LINGER_MS);
  }

  /** Writes one batch at least, and more while there is enough for another. */
  async #writeSome(): Promise<void> {
    try {
      do {
        const batch = nextBatch(this.#unwritten);
        await this.#writeBatch(batch);
        for (const [index, chunk] of batch) {
          this.#have.add(index);
          this.#unwritten.delete(index);
          this.#unsynced += chunk.length;
          release(chunk);
        }
        const indexes = batch.map(([index]) => index);
        await this.#writeBits(indexes[0] ?? 0, indexes.at(-1) ?? 0);
        // Told only now: what was told is found again, whatever happens to the process.
        for (const index of indexes) this.#options.written(index);
        for (const resume of this.#room.splice(0)) resume();
        if (this.#unsynced >= SYNC_BYTES) this.#sync();
      } while (this.#isBatchReady());
    } catch (error) {
      this.#fail(error);
    }
  }

  async #writeBatch(batch: readonly (readonly [number, Uint8Array])[]): Promise<void> {
    const [first] = batch;
    let chunks = batch.map(([, chunk]) => chunk);
    let place = (first?.[0] ?? 0) * CHUNK_BYTES;
    const advance = (bytes: number): void => {
      place += bytes;
      chunks = dropBytes(chunks, bytes);
    };
    if (this.#direct !== undefined) advance(await this.#direct.write(chunks, place));
    while (chunks.length > 0) advance((await this.#data.writev(chunks, place)).bytesWritten);
  }

  #fail(cause: unknown): void {
    if (this.#error !== undefined) return;
    this.#error = fileError(cause, "writing the file");
    this.#unwritten.clear();
    for (const resume of this.#room.splice(0)) resume();
    this.#options.failed(this.#error);
  }

  /** Writes the bits of the chunks from `first` to `last`. */
  async #writeBits(first: number, last: number): Promise<void> {
    const [from, to] = [first >> 3, (last >> 3) + 1];
    await this.#bits.write(this.#have.bytes, from, to - from, from);
  }

  #sync(): void {
    if (this.#syncing !== undefined) return;
    this.#unsynced = 0;
    this.#syncing = this.#data
      .datasync()
      .catch((error: unknown) => this.#fail(error))
      .then(() => (this.#syncing = undefined));
  }

  async #settle(): Promise<void> {
    while (this.#unwritten.size > 0) {
      this.#drain();
      await this.#draining;
    }
    await this.#syncing;
    this.#throwLate();
  }

  #throwLate(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  async #checkPlace(): Promise<void> {
    const mine = await this.#data.stat({ bigint: true });
    const there = await lstat(this.#path, { bigint: true }).catch(() => undefined);
    if (there?.dev === mine.dev && there.ino === mine.ino) return;
    throw new FileShareError("ERR_FILES_BUSY", "another program has taken the part file away");
  }
}

/** The first chunk and those that follow it without a gap. */
function nextBatch(unwritten: ReadonlyMap<number, Uint8Array>): [number, Uint8Array][] {
  const sorted = [...unwritten].sort(([a], [b]) => a - b);
  const start = sorted[0]?.[0] ?? 0;
  return sorted.slice(0, MAX_BATCH).filter(([index], i) => index === start + i);
}

/** What is left to write after the first `count` bytes. */
function dropBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count;
  return chunks.flatMap((chunk) => {
    const skipped = Math.min(left, chunk.length);
    left -= skipped;
    return skipped === chunk.length ? [] : [chunk.subarray(skipped)];
  });
}

async function openRegular(
  path: string,
  handles: { close(): Promise<void> }[],
): Promise<FileHandle> {
  const handle = await open(path, OPEN_FLAGS | constants.O_NONBLOCK, 0o666);
  handles.push(handle);
  if ((await handle.stat()).isFile()) return handle;
  throw new FileShareError("ERR_FILES_NOT_SHARED", "what lies in the part file's place is no file");
}

/** A part file with a second name is one that was finished: it must not be written to. */
async function dropFinished(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isFile() === true && stats.nlink > 1) await unlink(path);
}

/** Renames, unless the target exists. */
async function linkNew(path: string, target: string): Promise<void> {
  try {
    await link(path, target);
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "EOPNOTSUPP" && code !== "ENOSYS") {
      throw error;
    }
    // A file system without hard links: an empty file keeps the place until the rename.
    await (await open(target, "wx")).close();
    await rename(path, target);
    return;
  }
  await unlink(path);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    // Not every system can: then the name is as durable as the system makes it.
    await handle.sync().catch(() => undefined);
  } finally {
    await handle.close();
  }
}

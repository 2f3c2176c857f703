import { constants, open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";

/** What place, length and memory of a direct write must be multiples of, in bytes: a page, and any disk's block. */
const BLOCK_BYTES = 4096;

/** Memory of one write, in bytes. */
const STAGE_BYTES = 1024 * 1024;

const WASM_PAGE_BYTES = 65_536;

/** The part of the WebAssembly API used here; the compiler's ES library does not declare it. */
interface WebAssemblyApi {
  Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
}

/**
 * Writes to a file past the page cache, where the system can: a file that is received is larger than what
 * fits, is read again by nobody soon, and growing the cache costs more processor time than all else that a
 * transfer does to a disk.
 *
 * It is a second way to write a file that is open already. Whatever it does not write, for lack of
 * alignment or because the file system refuses, is to be written the usual way.
 *
 * @see open(2), O_DIRECT
 */
export class DirectFile {
  readonly #handle: FileHandle;
  /** Memory of WebAssembly is the one that begins at a page. */
  readonly #stage: Uint8Array;
  #isRefused = false;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
    const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };
    const pages = STAGE_BYTES / WASM_PAGE_BYTES;
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.#stage = new Uint8Array(buffer);
  }

  /**
   * Opens a file a second time.
   *
   * @param file - the same, open already
   * @returns undefined where the system or the file system does not write directly, or something else has taken
   *   the file's place
   */
  static async open(path: string, file: FileHandle): Promise<DirectFile | undefined> {
    // Linux alone has it; Node's types have it everywhere.
    const direct: number | undefined = constants.O_DIRECT;
    if (direct === undefined) return undefined;
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW | direct);
      const [mine, theirs] = await Promise.all([
        handle.stat({ bigint: true }),
        file.stat({ bigint: true }),
      ]);
      if (mine.dev === theirs.dev && mine.ino === theirs.ino) return new DirectFile(handle);
    } catch {
      // Whatever is wrong with the file, the usual way of writing it says what.
    }
    await handle?.close();
    return undefined;
  }

  /**
   * Writes pieces one behind the other.
   *
   * @param place - in the file, in bytes
   * @returns how many bytes were written, from the first on: a multiple of 4096, none where it cannot write
   * @throws what the system says of a full or broken disk
   */
  async write(pieces: readonly Uint8Array[], place: number): Promise<number> {
    const total = pieces.reduce((sum, { length }) => sum + length, 0);
    const end = total - (total % BLOCK_BYTES);
    if (place % BLOCK_BYTES !== 0) return 0;
    let written = 0;
    while (written < end && !this.#isRefused) {
      const length = Math.min(STAGE_BYTES, end - written);
      gather(pieces, written, this.#stage.subarray(0, length));
      const count = await this.#writeStage(length, place + written);
      written += count - (count % BLOCK_BYTES);
      if (count < length) break;
    }
    return written;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #writeStage(length: number, place: number): Promise<number> {
    try {
      const { bytesWritten } = await this.#handle.write(this.#stage, 0, length, place);
      return bytesWritten;
    } catch (error) {
      // Some file systems take the flag and refuse the write, or want larger blocks.
      if (!(error instanceof Error && "code" in error && error.code === "EINVAL")) throw error;
      this.#isRefused = true;
      return 0;
    }
  }
}

/** Copies what stands from `start` on in all pieces together, as much as `target` holds. */
function gather(pieces: readonly Uint8Array[], start: number, target: Uint8Array): void {
  let [at, skip] = [0, start];
  for (const piece of pieces) {
    if (at === target.length) return;
    const part = piece.subarray(skip, skip + target.length - at);
    skip = Math.max(0, skip - piece.length);
    target.set(part, at);
    at += part.length;
  }
}

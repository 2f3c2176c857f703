import { isUnchanged, readFully } from "./content.ts";
import type { SharedContent } from "./content.ts";
import { lend } from "./loan.ts";
import type { OpenFiles } from "./open-files.ts";
import { CHUNK_BYTES, chunkSize } from "./tree.ts";

/** Chunks that are read at once: one way to the disk and back instead of four. */
export const BLOCK_CHUNKS = 4;

const BLOCK_BYTES = BLOCK_CHUNKS * CHUNK_BYTES;

/** Blocks kept, at 1 MiB each. */
const MAX_BLOCKS = 16;

/** Memory of forgotten blocks that is kept for the next ones. */
const MAX_SPARE = 2;

interface Block {
  readonly content: SharedContent;
  readonly index: number;
  readonly memory: Uint8Array;
  /** Whether all of it could be read. */
  readonly reading: Promise<boolean>;
  /** Chunks of it that somebody waits for or looks at. */
  users: number;
}

/** Reads shared files in blocks, and keeps the last few of them for whoever asks for the next chunk. */
export class Blocks {
  readonly #files: OpenFiles;
  /** The one that was not used for longest first. */
  readonly #blocks: Block[] = [];
  readonly #spare: Uint8Array[] = [];

  constructor(files: OpenFiles) {
    this.#files = files;
  }

  /**
   * Reads a chunk of a shared file, if the file is in the state that was hashed.
   *
   * @returns a view that must not be written to, lent until `giveBack`; undefined when there is no such
   *   chunk, or the file cannot be read as it was hashed
   */
  async chunk(content: SharedContent, index: number): Promise<Uint8Array | undefined> {
    const { shape } = content.tree;
    if (index >= shape.chunks) return undefined;
    const block = this.#block(content, Math.floor(index / BLOCK_CHUNKS));
    block.users += 1;
    if (!(await block.reading)) {
      this.#leave(block);
      return undefined;
    }
    const at = (index % BLOCK_CHUNKS) * CHUNK_BYTES;
    const view = block.memory.subarray(at, at + chunkSize(shape, index));
    return lend(view, () => this.#leave(block));
  }

  /** Forgets all that was read. */
  clear(): void {
    this.#blocks.length = 0;
    this.#spare.length = 0;
  }

  #block(content: SharedContent, index: number): Block {
    const at = this.#blocks.findIndex(
      (block) => block.index === index && block.content === content,
    );
    const [known] = at < 0 ? [] : this.#blocks.splice(at, 1);
    const block = known ?? this.#begin(content, index);
    this.#blocks.push(block);
    return block;
  }

  #begin(content: SharedContent, index: number): Block {
    while (this.#blocks.length >= MAX_BLOCKS) this.#recycle(this.#blocks.shift());
    // Not filled with zeros: it is used only where it was read into.
    const memory = this.#spare.pop() ?? new Uint8Array(Buffer.allocUnsafeSlow(BLOCK_BYTES).buffer);
    return { content, index, memory, reading: this.#read(content, index, memory), users: 0 };
  }

  #leave(block: Block): void {
    block.users -= 1;
    if (!this.#blocks.includes(block)) this.#recycle(block);
  }

  /** Takes the memory of a forgotten block, unless it is still looked at. */
  #recycle(block: Block | undefined): void {
    if (block === undefined || block.users > 0 || this.#spare.length >= MAX_SPARE) return;
    this.#spare.push(block.memory);
  }

  async #read(content: SharedContent, index: number, memory: Uint8Array): Promise<boolean> {
    const start = index * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, content.tree.shape.size - start);
    try {
      return await this.#files.use(content, async (handle) => {
        const read = await readFully(handle, memory.subarray(0, length), start);
        // Asked after reading: a change in between is one that an honest holder must not pass on.
        return read === length && (await isUnchanged(handle, content.identity));
      });
    } catch {
      // Whatever keeps it from being read, it cannot be served: the indexer looks at it again.
      return false;
    }
  }
}

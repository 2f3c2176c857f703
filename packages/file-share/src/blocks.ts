import { isUnchanged, readFully } from "./content.ts";
import type { SharedContent } from "./content.ts";
import type { OpenFiles } from "./open-files.ts";
import { CHUNK_BYTES, chunkSize } from "./tree.ts";

/** Chunks that are read at once: one way to the disk and back instead of four. */
export const BLOCK_CHUNKS = 4;

/** Blocks kept, at 1 MiB each. */
const MAX_BLOCKS = 16;

interface Block {
  readonly content: SharedContent;
  readonly index: number;
  readonly reading: Promise<Uint8Array | undefined>;
}

/** Reads shared files in blocks, and keeps the last few of them for whoever asks for the next chunk. */
export class Blocks {
  readonly #files: OpenFiles;
  /** The one that was not used for longest first. */
  #blocks: Block[] = [];

  constructor(files: OpenFiles) {
    this.#files = files;
  }

  /**
   * Reads a chunk of a shared file, if the file is in the state that was hashed.
   *
   * @returns a view that must not be written to; undefined when there is no such chunk, or the file cannot
   *   be read as it was hashed
   */
  async chunk(content: SharedContent, index: number): Promise<Uint8Array | undefined> {
    const { shape } = content.tree;
    if (index >= shape.chunks) return undefined;
    const block = this.#block(content, Math.floor(index / BLOCK_CHUNKS));
    const bytes = await block.reading;
    const at = (index % BLOCK_CHUNKS) * CHUNK_BYTES;
    return bytes?.subarray(at, at + chunkSize(shape, index));
  }

  /** Forgets all that was read. */
  clear(): void {
    this.#blocks = [];
  }

  #block(content: SharedContent, index: number): Block {
    const known = this.#blocks.find((block) => block.index === index && block.content === content);
    if (known !== undefined) {
      this.#blocks = [...this.#blocks.filter((block) => block !== known), known];
      return known;
    }
    const block: Block = { content, index, reading: this.#read(content, index) };
    this.#blocks = [...this.#blocks.slice(1 - MAX_BLOCKS), block];
    return block;
  }

  async #read(content: SharedContent, index: number): Promise<Uint8Array | undefined> {
    const start = index * BLOCK_CHUNKS * CHUNK_BYTES;
    const length = Math.min(BLOCK_CHUNKS * CHUNK_BYTES, content.tree.shape.size - start);
    try {
      return await this.#files.use(content, async (handle) => {
        // Not filled with zeros first: it is used only when all of it was read.
        const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
        const read = await readFully(handle, bytes, start);
        // Asked after reading: a change in between is one that an honest holder must not pass on.
        return read === length && (await isUnchanged(handle, content.identity)) ? bytes : undefined;
      });
    } catch {
      // Whatever keeps it from being read, it cannot be served: the indexer looks at it again.
      return undefined;
    }
  }
}

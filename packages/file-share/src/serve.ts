import type { Blocks } from "./blocks.ts";
import { readChildren } from "./content.ts";
import type { SharedContent } from "./content.ts";
import type { Library } from "./library.ts";
import type { TokenBucket } from "./rate.ts";
import { chunkSize } from "./tree.ts";

const NOTHING = new Uint8Array(0);

/** What a holder needs to answer. */
export interface HolderOptions {
  readonly library: Library;
  readonly blocks: Blocks;
  readonly upload: TokenBucket;
  /** A file that could not be read as it was hashed. */
  readonly stale: (content: SharedContent) => void;
}

/** Answers other nodes' questions about shared files; what is not shared does not exist. */
export class Holder {
  readonly #options: HolderOptions;
  #sentBytes = 0;

  constructor(options: HolderOptions) {
    this.#options = options;
  }

  /** Bytes of chunks that were read for others. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** The size and top hash of a file; an empty top hash when it is not shared. */
  describe(hash: Uint8Array): { size: number; top: Uint8Array } {
    const tree = this.#options.library.find(hash)?.tree;
    return tree === undefined
      ? { size: 0, top: NOTHING }
      : { size: tree.shape.size, top: tree.top };
  }

  /** The children of an inner node; nothing when there is no such node or file. */
  async children(hash: Uint8Array, level: number, index: number): Promise<Uint8Array> {
    const content = this.#options.library.find(hash);
    if (content === undefined) return NOTHING;
    const children = await readChildren(content, level, index).catch(() => undefined);
    return children ?? NOTHING;
  }

  /** A chunk; nothing when there is no such chunk or file, or it is not what it was. */
  async chunk(hash: Uint8Array, index: number, signal: AbortSignal): Promise<Uint8Array> {
    const { library, blocks, upload, stale } = this.#options;
    const content = library.find(hash);
    if (content === undefined || index >= content.tree.shape.chunks) return NOTHING;
    await upload.take(chunkSize(content.tree.shape, index), signal);
    const chunk = await blocks.chunk(content, index);
    if (chunk === undefined) {
      stale(content);
      return NOTHING;
    }
    this.#sentBytes += chunk.length;
    return chunk;
  }
}

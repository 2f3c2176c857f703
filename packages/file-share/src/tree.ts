import { createHash } from "node:crypto";

import { bytesEqual } from "@heddle/identity";

/** Bytes of a chunk; only the last one of a file is shorter. */
export const CHUNK_BYTES: number = 256 * 1024;

/** Bytes of a SHA-256 hash. */
export const HASH_BYTES = 32;

/** Hashes under one inner node: a node's children are 64 KiB. */
export const FANOUT = 2_048;

// RFC 6962 §2.1: leaves and inner nodes are hashed under different prefixes, so that none passes for the other.
const LEAF = Uint8Array.of(0x00);
const NODE = Uint8Array.of(0x01);
const ROOT = Uint8Array.of(0x02);

/** The shape of a file's hash tree, which its size alone decides. */
export interface TreeShape {
  readonly size: number;
  readonly chunks: number;
  /** How many hashes each level has: level 0 is the chunks, the last one a single hash. */
  readonly counts: readonly number[];
}

/** The tree of a file of `size` bytes, 0 to 2^53-1. */
export function treeShape(size: number): TreeShape {
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`${size} is no file size`);
  const chunks = Math.ceil(size / CHUNK_BYTES);
  const counts = [chunks];
  let count = chunks;
  do {
    count = Math.max(1, Math.ceil(count / FANOUT));
    counts.push(count);
  } while (count > 1);
  return { size, chunks, counts };
}

/** The level of the tree's top hash. */
export function topLevel({ counts }: TreeShape): number {
  return counts.length - 1;
}

/** How many bytes chunk `index` has. */
export function chunkSize({ size }: TreeShape, index: number): number {
  return Math.min(CHUNK_BYTES, size - index * CHUNK_BYTES);
}

/** How many children node `index` of `level` has; undefined when there is no such node. */
export function childCount(
  { counts }: TreeShape,
  level: number,
  index: number,
): number | undefined {
  const nodes = counts[level];
  const below = counts[level - 1];
  if (nodes === undefined || below === undefined || index >= nodes) return undefined;
  return Math.min(FANOUT, below - index * FANOUT);
}

/** The hash of a chunk: SHA-256 of 0x00 and its bytes. */
export function hashChunk(chunk: Uint8Array): Uint8Array {
  return sha256(LEAF, chunk);
}

/** The hash of an inner node: SHA-256 of 0x01 and its children's hashes. */
export function hashNode(children: Uint8Array): Uint8Array {
  return sha256(NODE, children);
}

/**
 * The content hash: SHA-256 of 0x02, the size as 8 bytes big-endian, and the tree's top hash.
 *
 * With the size in it the whole shape of the tree is fixed before one more byte is read.
 */
export function contentHash(size: number, top: Uint8Array): Uint8Array {
  const encoded = new Uint8Array(8);
  new DataView(encoded.buffer).setBigUint64(0, BigInt(size));
  return sha256(ROOT, encoded, top);
}

/** Whether a chunk is the one whose hash is given. */
export function isChunk(chunk: Uint8Array, leaf: Uint8Array): boolean {
  return bytesEqual(hashChunk(chunk), leaf);
}

/** Takes a tree's chunk hashes, in order and page by page. */
export type PageSink = (page: Uint8Array) => void | Promise<void>;

/** A finished tree without its chunk hashes. */
export interface Tree {
  readonly shape: TreeShape;
  readonly hash: Uint8Array;
  readonly top: Uint8Array;
  /** The hashes of level 1 and up, each level in one piece. */
  readonly upper: readonly Uint8Array[];
}

/** Builds the tree of a stream of chunks; holds one page of chunk hashes and 1/2048 of the rest. */
export class TreeBuilder {
  readonly #sink: PageSink;
  readonly #page = new Uint8Array(FANOUT * HASH_BYTES);
  #filled = 0;
  #size = 0;
  readonly #nodes: Uint8Array[] = [];

  /** @param sink - gets every page of chunk hashes, of up to 64 KiB; its own copy */
  constructor(sink: PageSink = () => undefined) {
    this.#sink = sink;
  }

  /** Adds the next chunk; every one but the last has {@link CHUNK_BYTES}. */
  async add(chunk: Uint8Array): Promise<void> {
    this.#page.set(hashChunk(chunk), this.#filled);
    this.#filled += HASH_BYTES;
    this.#size += chunk.length;
    if (this.#filled === this.#page.length) await this.#flush();
  }

  /** Finishes the tree. */
  async finish(): Promise<Tree> {
    if (this.#filled > 0 || this.#nodes.length === 0) await this.#flush();
    const upper = [join(this.#nodes)];
    for (let level = upper[0] as Uint8Array; level.length > HASH_BYTES;) {
      const next: Uint8Array[] = [];
      for (let at = 0; at < level.length; at += FANOUT * HASH_BYTES) {
        next.push(hashNode(level.subarray(at, at + FANOUT * HASH_BYTES)));
      }
      level = join(next);
      upper.push(level);
    }
    const top = upper.at(-1) as Uint8Array;
    return {
      shape: treeShape(this.#size),
      hash: contentHash(this.#size, top),
      top,
      upper,
    };
  }

  async #flush(): Promise<void> {
    const page = this.#page.slice(0, this.#filled);
    this.#filled = 0;
    this.#nodes.push(hashNode(page));
    await this.#sink(page);
  }
}

function join(hashes: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(hashes.length * HASH_BYTES);
  hashes.forEach((hash, i) => joined.set(hash, i * HASH_BYTES));
  return joined;
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

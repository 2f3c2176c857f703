import { bytesEqual } from "@heddle/identity";

import { HolderFault } from "./errors.ts";
import { childCount, FANOUT, HASH_BYTES, hashNode, topLevel } from "./tree.ts";
import type { TreeShape } from "./tree.ts";

/** Pages of chunk hashes that are kept, at 64 KiB for 512 MiB of the file. */
const MAX_PAGES = 8;

/** Asks a holder for the children of an inner node. */
export type AskChildren<S> = (source: S, level: number, index: number) => Promise<Uint8Array>;

/** A file's tree as holders tell it, every part checked against the content hash before it is believed. */
export class VerifiedHashes<S> {
  readonly #shape: TreeShape;
  readonly #top: Uint8Array;
  readonly #ask: AskChildren<S>;
  readonly #pages = new Map<string, Promise<Uint8Array>>();

  /** @param top - checked already */
  constructor(shape: TreeShape, top: Uint8Array, ask: AskChildren<S>) {
    this.#shape = shape;
    this.#top = top;
    this.#ask = ask;
  }

  /**
   * The hash of a chunk.
   *
   * @param source - who is asked for what is not known yet
   * @throws HolderFault when that one is at fault, and what asking it throws
   */
  leaf(index: number, source: S): Promise<Uint8Array> {
    return this.#hash(0, index, source);
  }

  async #hash(level: number, index: number, source: S): Promise<Uint8Array> {
    if (level === topLevel(this.#shape)) return this.#top;
    const page = await this.#children(level + 1, Math.floor(index / FANOUT), source);
    const at = (index % FANOUT) * HASH_BYTES;
    return page.subarray(at, at + HASH_BYTES);
  }

  async #children(level: number, index: number, source: S): Promise<Uint8Array> {
    const key = `${level}:${index}`;
    for (;;) {
      const known = this.#pages.get(key);
      if (known === undefined) break;
      // To the end: the first is the one that was not used for longest.
      this.#pages.delete(key);
      this.#pages.set(key, known);
      const page = await known.catch(() => undefined);
      if (page !== undefined) return page;
      // Another holder failed, and is told so; this one may do better.
      if (this.#pages.get(key) === known) this.#pages.delete(key);
    }
    const asking = this.#fetch(level, index, source);
    this.#pages.set(key, asking);
    if (level === 1) this.#evict();
    try {
      return await asking;
    } catch (error) {
      if (this.#pages.get(key) === asking) this.#pages.delete(key);
      throw error;
    }
  }

  async #fetch(level: number, index: number, source: S): Promise<Uint8Array> {
    const expected = await this.#hash(level, index, source);
    const children = await this.#ask(source, level, index);
    const length = (childCount(this.#shape, level, index) ?? 0) * HASH_BYTES;
    if (children.length === 0 && length > 0) {
      throw new HolderFault("ERR_FILES_GONE", "the holder has the file no more");
    }
    if (children.length !== length || !bytesEqual(hashNode(children), expected)) {
      throw new HolderFault("ERR_FILES_BAD_HASHES", `hashes ${level}:${index} do not fit`);
    }
    return children;
  }

  #evict(): void {
    const pages = [...this.#pages.keys()].filter((key) => key.startsWith("1:"));
    for (const key of pages.slice(0, Math.max(0, pages.length - MAX_PAGES))) {
      this.#pages.delete(key);
    }
  }
}

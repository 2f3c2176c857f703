import type { Bitmap } from "./bitmap.ts";
import { BLOCK_CHUNKS } from "./blocks.ts";

/**
 * Which chunks are to be asked for next: those that were given back first, the others in order.
 *
 * Each source works on a run of chunks of its own, as long as holders read at once, so that several of them
 * do not each read everything.
 */
export class Schedule<S> {
  readonly #have: Bitmap;
  readonly #givenBack = new Set<number>();
  readonly #runs = new Map<S, { next: number; end: number }>();
  #next = 0;

  /** @param have - chunks that need not be asked for; looked at again at every step */
  constructor(have: Bitmap) {
    this.#have = have;
  }

  /** Takes the next chunk; undefined when all are there or asked for. */
  take(source: S): number | undefined {
    for (const index of this.#givenBack) {
      this.#givenBack.delete(index);
      if (!this.#have.has(index)) return index;
    }
    return this.#takeFromRun(source) ?? this.#takeNewRun(source) ?? this.#takeFromOthers();
  }

  /** A chunk that was taken will not come. */
  giveBack(index: number): void {
    this.#givenBack.add(index);
  }

  /** What the source would have asked for next is for others. */
  leave(source: S): void {
    const run = this.#runs.get(source);
    this.#runs.delete(source);
    for (let index = run?.next ?? 0; index < (run?.end ?? 0); index++) this.giveBack(index);
  }

  #takeFromRun(source: S): number | undefined {
    const run = this.#runs.get(source);
    if (run === undefined) return undefined;
    const index = this.#have.nextMissing(run.next);
    run.next = index + 1;
    if (index < run.end) return index;
    this.#runs.delete(source);
    return undefined;
  }

  #takeNewRun(source: S): number | undefined {
    const start = this.#have.nextMissing(this.#next);
    if (start >= this.#have.length) return undefined;
    this.#next = Math.min((Math.floor(start / BLOCK_CHUNKS) + 1) * BLOCK_CHUNKS, this.#have.length);
    this.#runs.set(source, { next: start, end: this.#next });
    return this.#takeFromRun(source);
  }

  #takeFromOthers(): number | undefined {
    for (const source of this.#runs.keys()) {
      const index = this.#takeFromRun(source);
      if (index !== undefined) return index;
    }
    return undefined;
  }
}

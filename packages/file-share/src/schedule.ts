import type { Bitmap } from "./bitmap.ts";

/** Which chunks are to be asked for next: in order, those that were given back first. */
export class Schedule {
  readonly #have: Bitmap;
  readonly #givenBack = new Set<number>();
  #next = 0;

  /** @param have - chunks that need not be asked for; it is looked at again at every step */
  constructor(have: Bitmap) {
    this.#have = have;
  }

  /** Takes the next chunk; undefined when all are there or asked for. */
  take(): number | undefined {
    for (const index of this.#givenBack) {
      this.#givenBack.delete(index);
      if (!this.#have.has(index)) return index;
    }
    const index = this.#have.nextMissing(this.#next);
    if (index >= this.#have.length) return undefined;
    this.#next = index + 1;
    return index;
  }

  /** A chunk that was taken will not come. */
  giveBack(index: number): void {
    this.#givenBack.add(index);
  }
}

interface Source<T> {
  readonly iterator: AsyncIterator<T>;
  state: "idle" | "asked" | "ready" | "gone";
  /** Asked for and not handed out yet; only while `ready`. */
  item: T | undefined;
}

/** How a mix ends, and where a failing source is reported. */
export interface FairMixOptions {
  readonly signal: AbortSignal;
  /** A source threw and is left out, or threw while it was closed. Must not throw itself. */
  readonly onError: (error: unknown) => void;
}

/**
 * Draws from several async iterables in turn, so that a fast one cannot starve a slow one.
 *
 * Holds at most one item of each source, and asks for none before it is iterated. Ends when the signal
 * aborts or no source is left; a source that throws is reported and left out. However it ends, sources
 * that have not ended are closed. To be iterated once.
 */
export class FairMix<T> implements AsyncIterable<T> {
  readonly #options: FairMixOptions;
  /** Those that have not ended, in the order of their turns from `#next` on. */
  readonly #sources: Source<T>[] = [];
  #next = 0;
  #wake: (() => void) | undefined;
  #isIterated = false;

  constructor(options: FairMixOptions) {
    this.#options = options;
  }

  /** How many sources have not ended. */
  get size(): number {
    return this.#sources.length;
  }

  /** Adds a source, at any time before the mix ends; the returned function removes and closes it. */
  add(iterable: AsyncIterable<T>): () => void {
    const iterator = iterable[Symbol.asyncIterator]();
    const source: Source<T> = { iterator, state: "idle", item: undefined };
    this.#sources.push(source);
    this.#wake?.();
    return () => this.#close(source);
  }

  /** @throws TypeError when the mix was iterated before: its items go to one reader */
  [Symbol.asyncIterator](): AsyncGenerator<T, void> {
    if (this.#isIterated) throw new TypeError("a FairMix can be iterated once");
    this.#isIterated = true;
    return this.#iterate();
  }

  async *#iterate(): AsyncGenerator<T, void> {
    const { signal } = this.#options;
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted && this.#sources.length > 0) {
        const source = this.#pick();
        if (source === undefined) await this.#change();
        else yield this.#take(source);
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      for (const source of this.#sources.slice()) this.#close(source);
    }
  }

  /** The next source in turn that has an item; asks all the others for theirs. */
  #pick(): Source<T> | undefined {
    for (const source of this.#sources) if (source.state === "idle") void this.#ask(source);
    for (let step = 0; step < this.#sources.length; step += 1) {
      const index = (this.#next + step) % this.#sources.length;
      const source = this.#sources[index];
      if (source?.state !== "ready") continue;
      this.#next = index + 1;
      return source;
    }
    return undefined;
  }

  #take(source: Source<T>): T {
    const item = source.item as T;
    source.item = undefined;
    source.state = "idle";
    return item;
  }

  /** Never rejects. */
  async #ask(source: Source<T>): Promise<void> {
    source.state = "asked";
    try {
      const result = await this.#nextOf(source);
      if (!this.#isAsked(source)) return;
      if (result.done === true) this.#forget(source);
      else {
        source.item = result.value;
        source.state = "ready";
      }
    } catch (error) {
      // One that was removed may end as it likes.
      if (!this.#isAsked(source)) return;
      this.#forget(source);
      this.#options.onError(error);
    }
    this.#wake?.();
  }

  /** One that throws instead of rejecting is told of later all the same, not amid `#pick`. */
  async #nextOf({ iterator }: Source<T>): Promise<IteratorResult<T>> {
    return iterator.next();
  }

  /** Not so when it was removed in the meantime. */
  #isAsked(source: Source<T>): boolean {
    return source.state === "asked";
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #forget(source: Source<T>): void {
    const index = this.#sources.indexOf(source);
    this.#sources.splice(index, 1);
    if (index < this.#next) this.#next -= 1;
    source.state = "gone";
    source.item = undefined;
  }

  #close(source: Source<T>): void {
    if (source.state === "gone") return;
    this.#forget(source);
    this.#wake?.();
    void this.#returnFrom(source);
  }

  /** A generator that waits for its next item cannot be returned before it; nobody waits for it here. */
  async #returnFrom({ iterator }: Source<T>): Promise<void> {
    try {
      await iterator.return?.();
    } catch (error) {
      this.#options.onError(error);
    }
  }
}

interface Source<T> {
  readonly iterator: AsyncIterator<T>;
  /** Its next item, asked for and not handed out yet. */
  pending: Promise<void> | undefined;
  ready: T | undefined;
  hasItem: boolean;
  isDone: boolean;
}

/** How a mix ends, and where a failing source is reported. */
export interface FairMixOptions {
  readonly signal: AbortSignal;
  readonly onError: (error: unknown) => void;
}

/**
 * Draws from several async iterables in turn, so that a fast one cannot starve a slow one.
 *
 * Holds at most one item of each source. Ends when the signal aborts or every source has ended; a source
 * that throws is reported and left out.
 */
export class FairMix<T> implements AsyncIterable<T> {
  readonly #options: FairMixOptions;
  readonly #sources: Source<T>[] = [];
  #next = 0;
  #wake: (() => void) | undefined;

  constructor(options: FairMixOptions) {
    this.#options = options;
  }

  /** How many sources have not ended. */
  get size(): number {
    return this.#sources.length;
  }

  /** Adds a source; the returned function removes it again. */
  add(iterable: AsyncIterable<T>): () => void {
    const source: Source<T> = {
      iterator: iterable[Symbol.asyncIterator](),
      pending: undefined,
      ready: undefined,
      hasItem: false,
      isDone: false,
    };
    this.#sources.push(source);
    this.#wake?.();
    return () => this.#remove(source);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    const { signal } = this.#options;
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted && this.#sources.length > 0) {
        const source = this.#pick();
        if (source === undefined) {
          await this.#change();
          continue;
        }
        const item = source.ready as T;
        source.ready = undefined;
        source.hasItem = false;
        yield item;
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      for (const source of this.#sources.slice()) this.#remove(source);
    }
  }

  /** The next source in turn that has an item; asks all the others for theirs. */
  #pick(): Source<T> | undefined {
    for (const source of this.#sources) this.#ask(source);
    for (let step = 0; step < this.#sources.length; step += 1) {
      const index = (this.#next + step) % this.#sources.length;
      const source = this.#sources[index];
      if (source?.hasItem !== true) continue;
      this.#next = index + 1;
      return source;
    }
    return undefined;
  }

  #ask(source: Source<T>): void {
    if (source.hasItem || source.pending !== undefined || source.isDone) return;
    source.pending = source.iterator.next().then(
      (result) => {
        source.pending = undefined;
        if (source.isDone) return;
        if (result.done === true) this.#remove(source);
        else {
          source.ready = result.value;
          source.hasItem = true;
        }
        this.#wake?.();
      },
      (error: unknown) => {
        source.pending = undefined;
        if (!source.isDone) this.#options.onError(error);
        this.#remove(source);
      },
    );
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
      if (this.#options.signal.aborted) this.#wake();
    });
  }

  #remove(source: Source<T>): void {
    if (source.isDone) return;
    source.isDone = true;
    const index = this.#sources.indexOf(source);
    this.#sources.splice(index, 1);
    if (index < this.#next) this.#next -= 1;
    // A generator that waits for its next item cannot be returned before it; nobody waits for it here.
    source.iterator.return?.().catch(this.#options.onError);
    this.#wake?.();
  }
}

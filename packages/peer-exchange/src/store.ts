/**
 * Where an address book outlives its process: a map from names to bytes.
 *
 * A write is all or nothing. What is damaged is left out when the store is opened, and never an error: a
 * book with fewer addresses is better than a node that does not start.
 */
export interface PexStore {
  /** What was kept, as it was when the store was opened. */
  readonly initial: ReadonlyMap<string, Uint8Array>;
  /** Writes values; undefined deletes. Does not overlap itself. */
  write(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void>;
  close(): Promise<void>;
}

/** A store that lives as long as the object: for tests, and to hand a book from one node to the next. */
export class MemoryStore implements PexStore {
  readonly #values = new Map<string, Uint8Array>();

  get initial(): ReadonlyMap<string, Uint8Array> {
    return new Map(this.#values);
  }

  write(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void> {
    for (const [name, value] of changes) {
      if (value === undefined) this.#values.delete(name);
      else this.#values.set(name, value.slice());
    }
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

import type { Clock, Logger } from "@heddle/p2p";

import type { PexStore } from "./store.ts";

/** What a saver works with. */
export interface SaverOptions {
  readonly store: PexStore | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long changes are gathered, in milliseconds. */
  readonly saveMs: number;
}

/** Gathers changes and writes them together; a store that fails is reported, and tried again. */
export class Saver {
  readonly #options: SaverOptions;
  /** By name; what is to be written is made only when it is. */
  #changes = new Map<string, (() => Uint8Array) | undefined>();
  #writing: Promise<void> = Promise.resolve();
  #timer: unknown;
  #isClosed = false;

  constructor(options: SaverOptions) {
    this.#options = options;
  }

  /** Notes that a value has changed, or is gone. */
  set(name: string, encode: (() => Uint8Array) | undefined): void {
    const { store, clock, saveMs } = this.#options;
    if (store === undefined || this.#isClosed) return;
    this.#changes.set(name, encode);
    this.#timer ??= clock.setTimeout(() => void this.flush(), saveMs);
  }

  /** Writes what has changed. Never rejects. */
  flush(): Promise<void> {
    this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Writes what has changed and closes the store. Never rejects. */
  async close(): Promise<void> {
    if (this.#isClosed) return this.#writing;
    this.#isClosed = true;
    await this.flush();
    this.#options.clock.clearTimeout(this.#timer);
    try {
      await this.#options.store?.close();
    } catch (error) {
      this.#options.logger.warn("the address book's store cannot be closed", { error });
    }
  }

  async #write(): Promise<void> {
    const { store, logger } = this.#options;
    if (store === undefined || this.#changes.size === 0) return;
    const changes = this.#changes;
    this.#changes = new Map();
    const encoded = new Map(Array.from(changes, ([name, encode]) => [name, encode?.()] as const));
    try {
      await store.write(encoded);
    } catch (error) {
      logger.warn("the address book cannot be stored", { error });
      // What has changed since then is newer, and stays.
      this.#changes = new Map([...changes, ...this.#changes]);
      this.#retry();
    }
  }

  #retry(): void {
    if (this.#isClosed) return;
    const { clock, saveMs } = this.#options;
    this.#timer ??= clock.setTimeout(() => void this.flush(), saveMs);
  }
}

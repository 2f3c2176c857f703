import type { Clock } from "./clock.ts";

/** Nodes remembered at most; about 300 bytes each. */
const MAX_ENTRIES = 10_000;

interface Entry {
  readonly key: string;
  readonly at: number;
}

/** How long and how much is remembered. */
export interface HistoryOptions {
  readonly clock: Clock;
  /** A key is forgotten after this many milliseconds. */
  readonly windowMs: number;
  /** Keys remembered at most; the oldest go first. 10,000 if not given. */
  readonly maxEntries?: number;
}

/**
 * Which nodes were dialed lately; every call takes constant time, spread over all calls, and it needs no
 * timer.
 *
 * The order of age is kept beside the set: a map in that order would have to find its oldest entry behind
 * the holes that dropped ones leave.
 */
export class DialHistory {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #maxEntries: number;
  readonly #keys = new Set<string>();
  /** By age, oldest first, from `#head` on. */
  #entries: Entry[] = [];
  #head = 0;

  constructor({ clock, windowMs, maxEntries = MAX_ENTRIES }: HistoryOptions) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#maxEntries = maxEntries;
  }

  /** How many keys it remembers, those whose time is over included until the next call drops them. */
  get size(): number {
    return this.#keys.size;
  }

  /** Notes the key, unless it was noted within the window: then it says so and nothing changes. */
  note(key: string): boolean {
    const at = this.#clock.now();
    this.#forgetBefore(at - this.#windowMs);
    if (this.#keys.has(key)) return false;
    if (this.#keys.size >= this.#maxEntries) this.#drop();
    this.#keys.add(key);
    this.#entries.push({ key, at });
    return true;
  }

  #forgetBefore(time: number): void {
    for (let oldest = this.#entries[this.#head]; oldest !== undefined;) {
      if (oldest.at > time) return;
      this.#drop();
      oldest = this.#entries[this.#head];
    }
  }

  #drop(): void {
    const oldest = this.#entries[this.#head];
    if (oldest === undefined) return;
    this.#keys.delete(oldest.key);
    this.#head += 1;
    // Half of the list is holes: what is moved now was paid for by what was dropped.
    if (this.#head * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }
}

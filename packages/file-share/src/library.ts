import { formatHash } from "./hash.ts";
import type { SharedContent } from "./content.ts";
import { createMatcher, foldName } from "./names.ts";
import type { FoundFile, Query } from "./protocol.ts";

interface Entry {
  readonly content: SharedContent;
  readonly folded: string;
}

/** Told of every file that comes into the library or leaves it. */
export interface LibraryEvents {
  added(content: SharedContent): void;
  removed(content: SharedContent): void;
}

/** The files that are shared, by path, by hash and by name. */
export class Library {
  readonly #events: LibraryEvents;
  readonly #byPath = new Map<string, Entry>();
  readonly #byHash = new Map<string, Set<Entry>>();

  constructor(events: LibraryEvents) {
    this.#events = events;
  }

  /** How many files are shared. */
  get size(): number {
    return this.#byPath.size;
  }

  /** Every shared file. */
  list(): SharedContent[] {
    return Array.from(this.#byPath.values(), ({ content }) => content);
  }

  /** The file at a path. */
  at(path: string): SharedContent | undefined {
    return this.#byPath.get(path)?.content;
  }

  /** A file with this content. */
  find(hash: Uint8Array): SharedContent | undefined {
    const [first] = this.#byHash.get(formatHash(hash)) ?? [];
    return first?.content;
  }

  /** Adds a file, in place of what was at its path. */
  add(content: SharedContent): void {
    this.remove(content.path);
    const entry = { content, folded: foldName(content.name) };
    this.#byPath.set(content.path, entry);
    const key = formatHash(content.tree.hash);
    const same = this.#byHash.get(key);
    if (same === undefined) this.#byHash.set(key, new Set([entry]));
    else same.add(entry);
    this.#events.added(content);
  }

  /** Removes the file at a path, if there is one. */
  remove(path: string): void {
    const entry = this.#byPath.get(path);
    if (entry === undefined) return;
    this.#byPath.delete(path);
    const key = formatHash(entry.content.tree.hash);
    const same = this.#byHash.get(key);
    same?.delete(entry);
    if (same?.size === 0) this.#byHash.delete(key);
    this.#events.removed(entry.content);
  }

  /** Removes everything, and tells nobody. */
  clear(): void {
    this.#byPath.clear();
    this.#byHash.clear();
  }

  /** The first `max` files that a query is after. */
  match(query: Query, max: number): FoundFile[] {
    const found: FoundFile[] = [];
    for (const { content } of this.#matches(query)) {
      if (found.length === max) break;
      const { name, tree } = content;
      found.push({ name, size: tree.shape.size, hash: tree.hash });
    }
    return found;
  }

  *#matches(query: Query): Iterable<Entry> {
    if (query.kind === "hash") {
      yield* this.#byHash.get(formatHash(query.value)) ?? [];
      return;
    }
    const isMatch = createMatcher(query.value);
    for (const entry of this.#byPath.values()) if (isMatch(entry.folded)) yield entry;
  }
}

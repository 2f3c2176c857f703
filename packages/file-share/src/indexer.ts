import { setMaxListeners } from "node:events";
import { realpath, stat } from "node:fs/promises";
import { basename, sep } from "node:path";

import type { Clock } from "@heddle/p2p";
import { watch } from "chokidar";
import type { FSWatcher } from "chokidar";

import { hashFile, isSameState, openFile } from "./content.ts";
import type { SharedContent } from "./content.ts";
import { fileError, FileShareError } from "./errors.ts";
import type { HashStore } from "./hash-store.ts";
import type { Library } from "./library.ts";
import type { FileShareLimits } from "./limits.ts";
import { nameFault } from "./names.ts";

/** A file that changes is hashed when it has been left alone for this long. */
const SETTLE_MS = 250;

/** What an indexer needs. */
export interface IndexerOptions {
  readonly library: Library;
  readonly store: HashStore;
  readonly limits: FileShareLimits;
  readonly clock: Clock;
  /** A file under a shared path that is left out, and why. */
  readonly skipped: (path: string, error: FileShareError) => void;
}

interface Root {
  readonly path: string;
  readonly watcher: FSWatcher;
}

/** Keeps the library in step with the shared files and folders; hashes one file at a time. */
export class Indexer {
  readonly #options: IndexerOptions;
  readonly #controller = new AbortController();
  readonly #roots = new Map<string, Root>();
  /** Files to look at, in order, with the root they were found under. */
  readonly #queue = new Map<string, Root>();
  readonly #settling = new Map<string, unknown>();
  #work: Promise<void> | undefined;

  constructor(options: IndexerOptions) {
    this.#options = options;
    // Every shared path listens to it.
    setMaxListeners(0, this.#controller.signal);
  }

  /**
   * Shares a file, or a folder with everything in it but symbolic links and hidden files.
   *
   * Resolves when all that is there has been hashed; what changes later is followed.
   *
   * @returns the path without symbolic links
   * @throws FileShareError `ERR_FILES_NO_FOLDER`, `ERR_FILES_NO_ACCESS`, `ERR_FILES_NOT_SHARED`,
   *   `ERR_FILES_CLOSED`
   */
  async add(given: string): Promise<string> {
    const path = await resolveShared(given);
    this.#controller.signal.throwIfAborted();
    if (!this.#roots.has(path)) await this.#watch(path);
    await this.#work;
    return path;
  }

  /** Looks at a file again. */
  recheck(path: string): void {
    for (const root of this.#roots.values()) {
      if (isWithin(path, root.path)) {
        this.#settle(path, root);
        return;
      }
    }
  }

  /** Stops watching and hashing; resolves when nothing is open any more. */
  async close(): Promise<void> {
    this.#controller.abort(new FileShareError("ERR_FILES_CLOSED", "the file share is closed"));
    this.#queue.clear();
    for (const timer of this.#settling.values()) this.#options.clock.clearTimeout(timer);
    this.#settling.clear();
    await Promise.all(Array.from(this.#roots.values(), ({ watcher }) => watcher.close()));
    await this.#work;
  }

  async #watch(path: string): Promise<void> {
    const watcher = watch(path, {
      followSymlinks: false,
      ignored: (found) => found !== path && basename(found).startsWith("."),
    });
    const root: Root = { path, watcher };
    this.#roots.set(path, root);
    watcher.on("add", (found) => this.#enqueue(found, root));
    watcher.on("change", (found) => this.#settle(found, root));
    watcher.on("unlink", (found) => this.#forget(found));
    watcher.on("error", (error) => this.#options.skipped(path, fileError(error, "watching")));
    await new Promise<void>((resolve, reject) => {
      watcher.once("ready", resolve);
      const { signal } = this.#controller;
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
  }

  #forget(path: string): void {
    this.#queue.delete(path);
    this.#options.clock.clearTimeout(this.#settling.get(path));
    this.#settling.delete(path);
    this.#options.library.remove(path);
  }

  #settle(path: string, root: Root): void {
    const { clock } = this.#options;
    clock.clearTimeout(this.#settling.get(path));
    if (this.#controller.signal.aborted) return;
    const timer = clock.setTimeout(() => {
      this.#settling.delete(path);
      this.#enqueue(path, root);
    }, SETTLE_MS);
    this.#settling.set(path, timer);
  }

  #enqueue(path: string, root: Root): void {
    if (this.#controller.signal.aborted) return;
    this.#queue.set(path, root);
    this.#work ??= this.#drain().finally(() => (this.#work = undefined));
  }

  async #drain(): Promise<void> {
    for (let next = first(this.#queue); next !== undefined; next = first(this.#queue)) {
      const [path, root] = next;
      this.#queue.delete(path);
      try {
        await this.#index(path, root);
      } catch (cause) {
        this.#leaveOut(path, root, cause);
      }
    }
  }

  #leaveOut(path: string, root: Root, cause: unknown): void {
    const { library, skipped } = this.#options;
    library.remove(path);
    if (this.#controller.signal.aborted) return;
    const error = fileError(cause, "sharing");
    if (error.code === "ERR_FILES_CHANGED") this.#settle(path, root);
    else skipped(path, error);
  }

  async #index(path: string, root: Root): Promise<void> {
    const { library, store, limits } = this.#options;
    const fault = nameFault(basename(path));
    if (fault !== undefined) throw new FileShareError("ERR_FILES_NOT_SHARED", fault);
    const { handle, identity } = await openFile(path);
    try {
      await checkInside(path, root.path, identity);
      const known = library.at(path);
      if (known !== undefined && isSameState(known.identity, identity)) return;
      if (identity.size > BigInt(limits.maxFileBytes)) {
        const problem = `${identity.size} bytes exceed ${limits.maxFileBytes}`;
        throw new FileShareError("ERR_FILES_TOO_BIG", problem);
      }
      if (known === undefined && library.size >= limits.maxFiles) {
        const problem = `${limits.maxFiles} files are shared already`;
        throw new FileShareError("ERR_FILES_TOO_MANY", problem);
      }
      const hashed = await hashFile(handle, identity, store, this.#controller.signal);
      library.add({ path, name: basename(path), identity, ...hashed });
    } finally {
      await handle.close();
    }
  }
}

/** A symbolic link given by the user is followed, once: those found later are not. */
async function resolveShared(given: string): Promise<string> {
  try {
    const path = await realpath(given);
    const stats = await stat(path);
    if (stats.isFile() || stats.isDirectory()) return path;
  } catch (cause) {
    throw fileError(cause, "sharing");
  }
  throw new FileShareError("ERR_FILES_NOT_SHARED", "only files and folders are shared");
}

/** Refuses what only seems to be under the root, through a link in place of one of its folders. */
async function checkInside(
  path: string,
  root: string,
  { dev, ino }: SharedContent["identity"],
): Promise<void> {
  const real = await realpath(path);
  const stats = await stat(real, { bigint: true });
  if (isWithin(real, root) && stats.dev === dev && stats.ino === ino) return;
  throw new FileShareError("ERR_FILES_NOT_SHARED", "it leads out of the share");
}

function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

function first<K, V>(map: ReadonlyMap<K, V>): [K, V] | undefined {
  for (const entry of map) return entry;
  return undefined;
}

import { setMaxListeners } from "node:events";
import { lstat, realpath } from "node:fs/promises";
import { join } from "node:path";

import { nodeIdOf, toHex } from "@heddle/identity";
import type { Enr } from "@heddle/identity";
import { systemClock } from "@heddle/p2p";
import type { Clock, Peer, Protocol } from "@heddle/p2p";
import { BadReply, DisconnectReason, implement } from "@heddle/protocol";

import { Blocks } from "./blocks.ts";
import type { SharedContent } from "./content.ts";
import { fileError, FileShareError } from "./errors.ts";
import type { HolderFault } from "./errors.ts";
import { formatHash } from "./hash.ts";
import { HashStore } from "./hash-store.ts";
import { Indexer } from "./indexer.ts";
import { Library } from "./library.ts";
import { createLimits } from "./limits.ts";
import type { FileShareLimits } from "./limits.ts";
import type {
  FetchOptions,
  FetchResult,
  FileShareOptions,
  SearchOptions,
  SharedFile,
} from "./options.ts";
import { Link } from "./link.ts";
import { nameFault } from "./names.ts";
import { OpenFiles } from "./open-files.ts";
import { Files1, MAX_QUERY_BYTES } from "./protocol.ts";
import type { FilesContext, Query } from "./protocol.ts";
import { TokenBucket } from "./rate.ts";
import { recruit } from "./recruit.ts";
import { SearchRouter } from "./search.ts";
import type { SearchCounters, SearchResult } from "./search.ts";
import { Holder } from "./serve.ts";
import type { Source } from "./source.ts";
import { CHUNK_BYTES, HASH_BYTES } from "./tree.ts";
import { Transfer } from "./transfer.ts";

/** Requests of one peer that are answered at once. */
const CONCURRENCY = 4;

/** Liars remembered. */
const MAX_BANNED = 1_024;

const DEFAULT_DEADLINE_MS = 5_000;
const FIND_HOLDERS_MS = 5_000;
const MAX_RATE_BURST = 4 * CHUNK_BYTES;

/** Makes a file share; see {@link FileShare}. */
export function createFileShare(options: FileShareOptions): FileShare {
  return new FileShare(options);
}

/**
 * Shares files, searches those of others, and fetches them.
 *
 * @example
 * const share = createFileShare({ key, record: () => record, dial: (holder, o) => server.dial(holder, o) });
 * const server = new Server({ key, clientId: "files/1.0", protocols: share.protocols });
 */
export class FileShare implements AsyncDisposable {
  /** For a `Server`. */
  readonly protocols: readonly Protocol[];
  readonly limits: FileShareLimits;
  readonly #options: FileShareOptions;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  readonly #id: string;
  readonly #library: Library;
  readonly #store: HashStore;
  readonly #indexer: Indexer;
  readonly #files = new OpenFiles();
  readonly #blocks = new Blocks(this.#files);
  readonly #holder: Holder;
  readonly #router: SearchRouter;
  readonly #download: TokenBucket;
  readonly #links = new Map<Peer, Link>();
  readonly #banned = new Set<string>();
  readonly #transfers = new Map<string, Promise<FetchResult>>();

  /** @throws TypeError, RangeError for options that are none */
  constructor(options: FileShareOptions) {
    this.limits = createLimits(options.limits ?? {});
    this.#options = options;
    // Every search and transfer may listen to it.
    setMaxListeners(0, this.#controller.signal);
    this.#clock = options.clock ?? systemClock;
    this.#id = toHex(nodeIdOf(options.key));
    this.#store = new HashStore(options.temporaryFolder);
    this.#library = this.#createLibrary();
    this.#indexer = new Indexer({
      library: this.#library,
      store: this.#store,
      limits: this.limits,
      clock: this.#clock,
      skipped: (path, error) => options.events?.skipped?.(path, error),
    });
    const { uploadRate, downloadRate } = this.limits;
    this.#download = new TokenBucket(this.#clock, downloadRate, MAX_RATE_BURST);
    this.#holder = new Holder({
      library: this.#library,
      blocks: this.#blocks,
      upload: new TokenBucket(this.#clock, uploadRate, MAX_RATE_BURST),
      stale: ({ path }) => {
        this.#library.remove(path);
        this.#indexer.recheck(path);
      },
    });
    this.#router = this.#createRouter();
    this.protocols = this.#createProtocols();
  }

  /** What is shared at the moment. */
  get shared(): SharedFile[] {
    return this.#library.list().map(describeShared);
  }

  /** What came of other nodes' queries and answers. */
  get searchCounters(): Readonly<SearchCounters> {
    return this.#router.counters;
  }

  /** Bytes of chunks that were read for others. */
  get sentBytes(): number {
    return this.#holder.sentBytes;
  }

  /**
   * Shares a file, or a folder with everything in it but symbolic links and hidden files.
   *
   * Resolves when all that is there has been hashed; what changes later is followed until {@link close}.
   *
   * @returns the path without symbolic links
   * @throws FileShareError `ERR_FILES_NO_FOLDER`, `ERR_FILES_NO_ACCESS`, `ERR_FILES_NOT_SHARED`,
   *   `ERR_FILES_CLOSED`
   */
  share(path: string): Promise<string> {
    return this.#indexer.add(path);
  }

  /**
   * Searches what others share, here and at most `limits.maxHops` nodes away.
   *
   * Ends at its deadline; leaving the iterable ends it earlier.
   *
   * @param query - words that a name contains, or a content hash of 32 bytes
   * @throws RangeError for a query of no words, over 256 bytes, or a deadline out of range
   */
  search(query: string | Uint8Array, options: SearchOptions = {}): AsyncIterable<SearchResult> {
    const { deadlineMs = DEFAULT_DEADLINE_MS, signal } = options;
    const { maxDeadlineMs } = this.limits;
    if (!Number.isSafeInteger(deadlineMs) || deadlineMs < 1 || deadlineMs > maxDeadlineMs) {
      throw new RangeError(`deadlineMs: expected 1 to ${maxDeadlineMs}, got ${deadlineMs}`);
    }
    const own = this.#controller.signal;
    const either = signal === undefined ? own : AbortSignal.any([own, signal]);
    return this.#router.search(readQuery(query), deadlineMs, either);
  }

  /**
   * Fetches a file from all who hold it, and gives it its name when it is complete and verified.
   *
   * What has come when it fails, or when the process ends, is not fetched again: a later call with the
   * same hash and folder goes on from there.
   *
   * @param hash - 32 bytes
   * @throws FileShareError with any code but `ERR_FILES_CHANGED`, `ERR_FILES_TOO_MANY`; the signal's
   *   reason; TypeError, RangeError for arguments that are none
   */
  async fetch(hash: Uint8Array, options: FetchOptions): Promise<FetchResult> {
    const { to, name = formatHash(hash) } = options;
    if (hash.length !== HASH_BYTES) {
      throw new RangeError(`hash: expected ${HASH_BYTES} bytes, got ${hash.length}`);
    }
    const fault = nameFault(name);
    if (fault !== undefined) throw new TypeError(`name: ${fault}`);
    this.#controller.signal.throwIfAborted();
    const key = `${formatHash(hash)} ${await resolveFolder(to, name, options.force === true)}`;
    if (this.#transfers.has(key)) {
      throw new FileShareError(
        "ERR_FILES_BUSY",
        "the file is being fetched to this folder already",
      );
    }
    const running = this.#fetch(Uint8Array.from(hash), name, options);
    this.#transfers.set(key, running);
    try {
      return await running;
    } finally {
      this.#transfers.delete(key);
    }
  }

  /** Ends all searches and transfers, stops watching, closes every file. */
  async close(): Promise<void> {
    if (!this.#controller.signal.aborted) {
      this.#controller.abort(new FileShareError("ERR_FILES_CLOSED", "the file share is closed"));
    }
    this.#router.close();
    await Promise.allSettled(this.#transfers.values());
    await this.#indexer.close();
    // From here on nothing is shared: peers may stay connected for what else they speak.
    this.#library.clear();
    this.#blocks.clear();
    await this.#files.close();
    await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #fetch(hash: Uint8Array, name: string, options: FetchOptions): Promise<FetchResult> {
    const own = this.#controller.signal;
    const { to, force = false, from, signal, onProgress } = options;
    let size = 0;
    const transfer = new Transfer({
      hash,
      folder: to,
      name,
      isForced: force,
      limits: this.limits,
      clock: this.#clock,
      download: this.#download,
      signal: signal === undefined ? own : AbortSignal.any([own, signal]),
      progress: (progress) => {
        ({ size } = progress);
        onProgress?.(progress);
      },
      lost: (source, fault) => this.#lost(source, hash, fault),
    });
    const recruiting = recruit(transfer, {
      limits: this.limits,
      clock: this.#clock,
      find: (until) => from ?? this.#findHolders(hash, until),
      connect: (holder, until) => this.#connect(holder, until),
      isBanned: (id) => id === this.#id || this.#banned.has(id),
    });
    try {
      const path = await transfer.finish();
      return { path, size, resumedBytes: transfer.resumedBytes, sources: transfer.shares };
    } finally {
      await recruiting;
    }
  }

  async *#findHolders(hash: Uint8Array, signal: AbortSignal): AsyncGenerator<Enr> {
    const query: Query = { kind: "hash", value: hash };
    const deadlineMs = Math.min(FIND_HOLDERS_MS, this.limits.maxDeadlineMs);
    for await (const result of this.#router.search(query, deadlineMs, signal)) {
      // An answer to another question than was asked is no reason to dial anybody.
      if (formatHash(result.hash) === formatHash(hash)) yield result.holder;
    }
  }

  async #connect(holder: Enr, signal: AbortSignal): Promise<FilesContext | undefined> {
    const id = toHex(holder.id);
    for (const link of this.#links.values()) if (link.id === id) return link.context;
    const peer = await this.#options.dial?.(holder, { signal });
    return peer?.protocol(Files1);
  }

  #lost({ id, context }: Source, hash: Uint8Array, fault: HolderFault): void {
    if (!fault.isLie) return;
    this.#banned.add(id);
    for (const oldest of this.#banned) {
      if (this.#banned.size <= MAX_BANNED) break;
      this.#banned.delete(oldest);
    }
    const { peer } = context;
    this.#options.events?.liar?.({ id, enode: peer.enode, hash, fault });
    // What could not even be read ends the connection by itself.
    if (fault.cause instanceof BadReply) return;
    void peer.disconnect(DisconnectReason.subprotocolError);
  }

  #createLibrary(): Library {
    const { events } = this.#options;
    return new Library({
      added: (content) => events?.added?.(describeShared(content)),
      removed: (content) => {
        content.leaves.release();
        void this.#files.forget(content);
        events?.removed?.(describeShared(content));
      },
    });
  }

  #createRouter(): SearchRouter {
    const { record, randomBytes = secureRandom } = this.#options;
    return new SearchRouter({
      library: this.#library,
      limits: this.limits,
      clock: this.#clock,
      randomBytes,
      record,
      links: () => this.#links.values(),
    });
  }

  #createProtocols(): Protocol[] {
    const holder = this.#holder;
    return implement([Files1], {
      concurrency: CONCURRENCY,
      on: {
        search: (c, message) => this.#router.receiveSearch(this.#link(c), message),
        found: (c, message) => this.#router.receiveFound(this.#link(c), message),
        describe: (_c, { hash }) => holder.describe(hash),
        hashes: (_c, { hash, level, index }) => holder.children(hash, level, index),
        chunk: (c, { hash, index }) => holder.chunk(hash, index, c.signal),
      },
      run: (c) => this.#serve(c),
      peerInfo: ({ stats: { notifies, requests } }) => ({
        queries: { sent: notifies.search.sent, received: notifies.search.received },
        answers: { sent: notifies.found.sent, received: notifies.found.received },
        chunks: { asked: requests.chunk.sent, served: requests.chunk.served },
      }),
    });
  }

  /** A peer is known as long as its connection lives. */
  async #serve(context: FilesContext): Promise<void> {
    const link = this.#link(context);
    const { signal } = context;
    if (!signal.aborted) {
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    this.#links.delete(context.peer);
    this.#router.forget(link);
  }

  #link(context: FilesContext): Link {
    let link = this.#links.get(context.peer);
    if (link === undefined) {
      link = new Link(context, this.#clock, this.limits);
      // What arrived before the end is handled after it.
      if (context.signal.aborted) return link;
      this.#links.set(context.peer, link);
    }
    return link;
  }
}

function describeShared({ path, name, tree }: SharedContent): SharedFile {
  return { path, name, size: tree.shape.size, hash: tree.hash };
}

function secureRandom(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

function readQuery(query: string | Uint8Array): Query {
  if (typeof query !== "string") {
    if (query.length === HASH_BYTES) return { kind: "hash", value: query };
    throw new RangeError(`query: expected a hash of ${HASH_BYTES} bytes, got ${query.length}`);
  }
  const { length } = new TextEncoder().encode(query);
  if (query.trim() === "" || length > MAX_QUERY_BYTES) {
    throw new RangeError(
      `query: expected words of at most ${MAX_QUERY_BYTES} bytes, got ${length}`,
    );
  }
  return { kind: "words", value: query };
}

/** Says early what would otherwise be found out when all has been fetched. */
async function resolveFolder(to: string, name: string, isForced: boolean): Promise<string> {
  let folder: string;
  try {
    folder = await realpath(to);
  } catch (cause) {
    throw fileError(cause, "the target folder");
  }
  const stats = await lstat(join(folder, name)).catch(() => undefined);
  if (stats !== undefined && !(isForced && !stats.isDirectory())) {
    throw new FileShareError("ERR_FILES_EXISTS", "there is a file of that name already");
  }
  return folder;
}

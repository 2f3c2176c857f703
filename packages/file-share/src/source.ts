import { bytesEqual, toHex } from "@heddle/identity";
import { BadReply, PeerGone, RequestTimeout } from "@heddle/protocol";
import type { Clock } from "@heddle/p2p";

import { BLOCK_CHUNKS } from "./blocks.ts";
import { HolderFault } from "./errors.ts";
import type { FaultCode } from "./errors.ts";
import type { FilesContext } from "./protocol.ts";
import { contentHash, isChunk } from "./tree.ts";
import { AdaptiveWindow } from "./window.ts";

/** Chunks in a row that did not come in time, after which a holder is given up. */
const MAX_STRIKES = 3;

/**
 * Chunks asked for on one connection, by all transfers together.
 *
 * A peer reads at most 64 messages ahead of its handlers; more would let two fetching nodes block each other.
 */
const MAX_PENDING = 32;

const pendingOn = new WeakMap<FilesContext, { count: number }>();

/** How questions to one holder are asked. */
export interface SourceOptions {
  readonly hash: Uint8Array;
  readonly clock: Clock;
  readonly maxWindow: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** One holder in a transfer: asks it, and believes nothing that does not fit the hash. */
export class Source {
  /** The holder's node id, 128 hex digits. */
  readonly id: string;
  readonly context: FilesContext;
  readonly window: AdaptiveWindow;
  /** Chunks asked for, and when; one is in here until it is accepted for writing. */
  readonly asked: Map<number, number> = new Map();
  /** Bytes of verified chunks. */
  bytes = 0;
  readonly #options: SourceOptions;
  readonly #pending: { count: number };
  #strikes = 0;

  constructor(context: FilesContext, options: SourceOptions) {
    this.id = toHex(context.peer.id);
    this.context = context;
    this.window = new AdaptiveWindow(options.maxWindow);
    this.#options = options;
    this.#pending = pendingOn.get(context) ?? { count: 0 };
    pendingOn.set(context, this.#pending);
  }

  /** Whether its connection has enough to do, for whichever transfer. */
  get isCrowded(): boolean {
    return this.#pending.count >= MAX_PENDING;
  }

  /** Whether it is time to ask: requests that are made together travel together. */
  get wantsMore(): boolean {
    const room = this.window.size - this.asked.size;
    return room >= Math.min(BLOCK_CHUNKS, this.window.size >> 1);
  }

  /** Whether its window takes another chunk. */
  get hasRoom(): boolean {
    return this.asked.size < this.window.size;
  }

  /**
   * The file's size and top hash.
   *
   * @throws HolderFault
   */
  async describe(): Promise<{ size: number; top: Uint8Array }> {
    const { hash } = this.#options;
    const { size, top } = await this.#ask("ERR_FILES_BAD_DESCRIPTION", (options) =>
      this.context.call.describe({ hash }, options),
    );
    if (top.length === 0) throw gone();
    if (!bytesEqual(contentHash(size, top), hash)) {
      throw new HolderFault("ERR_FILES_BAD_DESCRIPTION", "size and top hash do not fit the hash");
    }
    return { size, top };
  }

  /** The children of an inner node, not checked yet. */
  children(level: number, index: number): Promise<Uint8Array> {
    const { hash } = this.#options;
    return this.#ask("ERR_FILES_BAD_HASHES", (options) =>
      this.context.call.hashes({ hash, level, index }, options),
    );
  }

  /**
   * A chunk that fits its hash; undefined when it did not come in time, but the next one may.
   *
   * @param size - how long it is
   * @throws HolderFault
   */
  async chunk(index: number, size: number, leaf: Uint8Array): Promise<Uint8Array | undefined> {
    const { hash, clock } = this.#options;
    const startedAt = clock.now();
    let chunk: Uint8Array;
    this.#pending.count += 1;
    try {
      chunk = await this.#ask("ERR_FILES_BAD_CHUNK", (options) =>
        this.context.call.chunk({ hash, index }, options),
      );
    } catch (error) {
      if (!(error instanceof HolderFault) || error.code !== "ERR_FILES_TOO_SLOW") throw error;
      this.#strikes += 1;
      if (this.#strikes >= MAX_STRIKES) throw error;
      this.window.timedOut();
      return undefined;
    } finally {
      this.#pending.count -= 1;
    }
    if (chunk.length === 0) throw gone();
    if (chunk.length !== size || !isChunk(chunk, leaf)) {
      throw new HolderFault("ERR_FILES_BAD_CHUNK", `chunk ${index} does not fit its hash`);
    }
    this.#strikes = 0;
    this.window.answered(clock.now() - startedAt);
    return chunk;
  }

  async #ask<T>(
    lie: FaultCode,
    call: (options: { signal: AbortSignal; timeoutMs: number }) => Promise<T>,
  ): Promise<T> {
    const { signal, timeoutMs } = this.#options;
    try {
      return await call({ signal, timeoutMs });
    } catch (cause) {
      if (cause instanceof BadReply) throw new HolderFault(lie, cause.message, { cause });
      if (cause instanceof RequestTimeout) {
        throw new HolderFault("ERR_FILES_TOO_SLOW", cause.message, { cause });
      }
      if (cause instanceof PeerGone) {
        throw new HolderFault("ERR_FILES_GONE", cause.message, { cause });
      }
      throw cause;
    }
  }
}

function gone(): HolderFault {
  return new HolderFault("ERR_FILES_GONE", "the holder has the file no more");
}

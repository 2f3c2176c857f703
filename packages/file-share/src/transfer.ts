import { setMaxListeners } from "node:events";

import type { Clock } from "@heddle/p2p";

import { FileShareError, HolderFault } from "./errors.ts";
import type { FileShareLimits } from "./limits.ts";
import { release } from "./loan.ts";
import { PartFile } from "./part-file.ts";
import type { FilesContext } from "./protocol.ts";
import type { TokenBucket } from "./rate.ts";
import { Schedule } from "./schedule.ts";
import { Source } from "./source.ts";
import { chunkSize, isChunk, treeShape } from "./tree.ts";
import type { TreeShape } from "./tree.ts";
import { VerifiedHashes } from "./verified-hashes.ts";

/** A chunk asked of one holder this long ago is asked of another one too, once nothing else is left. */
const SECOND_ASK_MS = 2_000;

/** Holders whose part is remembered; of those given up, the oldest are forgotten first. */
const MAX_SHARES = 256;

/** A holder that answers other transfers too is asked again after this time. */
const CROWDED_MS = 50;

/** How far a transfer is. */
export interface Progress {
  /** Bytes of the whole file. */
  readonly size: number;
  /** Bytes that are on disk and verified. */
  readonly doneBytes: number;
  /** How many of them an earlier attempt had fetched. */
  readonly resumedBytes: number;
  /** Holders that are asked at the moment. */
  readonly sources: number;
}

/** A holder's part in a transfer. */
export interface SourceShare {
  /** 128 hex digits. */
  readonly id: string;
  readonly enode: string;
  /** Bytes of verified chunks that came from it. */
  readonly bytes: number;
  /** Why it was given up, if it was. */
  readonly fault: HolderFault | undefined;
}

/** What a transfer needs. */
export interface TransferOptions {
  readonly hash: Uint8Array;
  /** The folder that takes the file. */
  readonly folder: string;
  readonly name: string;
  readonly isForced: boolean;
  readonly limits: FileShareLimits;
  readonly clock: Clock;
  readonly download: TokenBucket;
  readonly signal: AbortSignal;
  readonly progress: (progress: Progress) => void;
  /** A holder is used no more. */
  readonly lost: (source: Source, fault: HolderFault) => void;
}

interface Open {
  readonly shape: TreeShape;
  readonly part: PartFile;
  readonly hashes: VerifiedHashes<Source>;
  readonly schedule: Schedule<Source>;
}

/** Fetches one file from any number of holders, who may come and go. */
export class Transfer {
  readonly #options: TransferOptions;
  readonly #controller = new AbortController();
  readonly #sources = new Set<Source>();
  readonly #shares = new Map<string, { source: Source; fault: HolderFault | undefined }>();
  readonly #tasks = new Set<Promise<void>>();
  #opening: Promise<Open> | undefined;
  #open: Open | undefined;
  #resumedBytes = 0;
  #doneBytes = 0;
  #lastProgressAt: number;
  #timer: unknown;
  readonly #whenComplete: Promise<void>;
  #complete: () => void = () => undefined;

  constructor(options: TransferOptions) {
    this.#options = options;
    this.#lastProgressAt = options.clock.now();
    this.#whenComplete = new Promise((resolve) => (this.#complete = resolve));
    // Every request under way listens to it.
    setMaxListeners(0, this.#controller.signal);
    const { signal } = options;
    const onAbort = (): void => this.fail(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { signal: this.#controller.signal });
  }

  /** Aborts when the transfer fails or is over. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Holders that are asked at the moment. */
  get sourceCount(): number {
    return this.#sources.size;
  }

  /** Whether any holder was asked yet. */
  get wasSupplied(): boolean {
    return this.#shares.size > 0;
  }

  /** When the last verified chunk came, by the clock. */
  get lastProgressAt(): number {
    return this.#lastProgressAt;
  }

  /** Whether it uses the holder, or used it until it proved of no use for good. */
  knows(id: string): boolean {
    const share = this.#shares.get(id);
    return share !== undefined && (share.fault === undefined || share.fault.isLie);
  }

  /** Who was asked, and what came from each. */
  get shares(): SourceShare[] {
    return Array.from(this.#shares.values(), ({ source, fault }) => ({
      id: source.id,
      enode: source.context.peer.enode,
      bytes: source.bytes,
      fault,
    }));
  }

  /** Bytes that an earlier attempt had fetched. */
  get resumedBytes(): number {
    return this.#resumedBytes;
  }

  /** Uses one more holder. */
  add(context: FilesContext): void {
    if (this.signal.aborted) return;
    const { hash, clock, limits } = this.#options;
    const source = new Source(context, {
      hash,
      clock,
      maxWindow: limits.maxWindow,
      timeoutMs: limits.chunkTimeoutMs,
      signal: this.signal,
    });
    const before = this.#shares.get(source.id);
    if (before !== undefined) source.bytes = before.source.bytes;
    this.#shares.set(source.id, { source, fault: undefined });
    this.#sources.add(source);
    for (const [id, { fault }] of this.#shares) {
      if (this.#shares.size <= MAX_SHARES) break;
      if (fault !== undefined) this.#shares.delete(id);
    }
    this.#run(source, this.#begin(source));
  }

  /** Ends the transfer; what has come stays for the next attempt. */
  fail(reason: unknown): void {
    this.#controller.abort(reason);
    this.#complete();
  }

  /**
   * Waits for the whole file.
   *
   * @returns its path
   * @throws FileShareError, or what it was failed with
   */
  async finish(): Promise<string> {
    const { name, isForced } = this.#options;
    try {
      await this.#whenComplete;
      this.signal.throwIfAborted();
      const { part } = this.#open as Open;
      return await part.finish(name, isForced);
    } finally {
      await this.#close();
    }
  }

  async #close(): Promise<void> {
    this.#controller.abort(new FileShareError("ERR_FILES_CLOSED", "the transfer is over"));
    this.#options.clock.clearTimeout(this.#timer);
    await Promise.all(this.#tasks);
    const open = await this.#opening?.catch(() => undefined);
    await open?.part.close();
  }

  /** Runs a task for a holder; what it throws ends the holder's part or the whole transfer. */
  #run(source: Source, task: Promise<void>): void {
    const running = task
      .catch((error: unknown) => {
        if (error instanceof HolderFault) this.#lose(source, error);
        else this.fail(error);
      })
      .then(() => void this.#tasks.delete(running));
    this.#tasks.add(running);
  }

  #lose(source: Source, fault: HolderFault): void {
    if (this.signal.aborted || !this.#sources.delete(source)) return;
    this.#shares.set(source.id, { source, fault });
    for (const index of source.asked.keys()) this.#open?.schedule.giveBack(index);
    this.#open?.schedule.leave(source);
    source.asked.clear();
    this.#options.lost(source, fault);
    this.#pumpAll();
  }

  async #begin(source: Source): Promise<void> {
    const { size, top } = await source.describe();
    while (this.#open === undefined) {
      this.signal.throwIfAborted();
      if (this.#opening === undefined) {
        this.#opening = this.#prepare(size, top, source);
        try {
          this.#open = await this.#opening;
        } catch (error) {
          // Another holder may do better where this one failed.
          this.#opening = undefined;
          throw error;
        }
        this.#reportProgress(size);
        if (this.#open.part.have.count === this.#open.shape.chunks) this.#complete();
      } else {
        await this.#opening.catch(() => undefined);
      }
    }
    this.#pump(source);
  }

  async #prepare(size: number, top: Uint8Array, source: Source): Promise<Open> {
    const { hash, folder, limits } = this.#options;
    if (size > limits.maxFileBytes) {
      const problem = `the file has ${size} bytes, more than ${limits.maxFileBytes}`;
      throw new FileShareError("ERR_FILES_TOO_BIG", problem);
    }
    const shape = treeShape(size);
    const hashes = new VerifiedHashes<Source>(shape, top, (from, level, index) =>
      from.children(level, index),
    );
    const part = await PartFile.open(folder, hash, shape, {
      clock: this.#options.clock,
      written: (index) => this.#written(shape, part, index),
      failed: (error) => this.fail(error),
    });
    try {
      await this.#checkResumed(shape, part, hashes, source);
    } catch (error) {
      await part.close();
      throw error;
    }
    return { shape, part, hashes, schedule: new Schedule<Source>(part.have) };
  }

  /** Nothing on disk is believed either: it may have been changed meanwhile. */
  async #checkResumed(
    shape: TreeShape,
    part: PartFile,
    hashes: VerifiedHashes<Source>,
    source: Source,
  ): Promise<void> {
    this.#resumedBytes = 0;
    for (let index = 0; index < shape.chunks; index++) {
      if (!part.have.has(index)) continue;
      this.signal.throwIfAborted();
      const leaf = await hashes.leaf(index, source);
      if (isChunk(await part.read(index), leaf)) this.#resumedBytes += chunkSize(shape, index);
      else await part.forget(index);
    }
    this.#doneBytes = this.#resumedBytes;
  }

  #pumpAll(): void {
    for (const source of this.#sources) this.#pump(source);
  }

  /** Asks a holder for as much as its window takes. */
  #pump(source: Source): void {
    const open = this.#open;
    if (open === undefined || !this.#sources.has(source) || !source.wantsMore) return;
    while (source.hasRoom && !this.signal.aborted) {
      if (source.isCrowded) {
        this.#pumpIn(CROWDED_MS);
        return;
      }
      const index = open.schedule.take(source) ?? this.#takeSecond(open, source);
      if (index === undefined) return;
      source.asked.set(index, this.#options.clock.now());
      this.#run(source, this.#fetch(open, source, index));
    }
  }

  async #fetch(open: Open, source: Source, index: number): Promise<void> {
    const { shape, part, hashes, schedule } = open;
    const size = chunkSize(shape, index);
    const leaf = await hashes.leaf(index, source);
    await this.#options.download.take(size, this.signal);
    if (!source.asked.has(index)) return;
    const chunk = await source.chunk(index, size, leaf);
    if (chunk === undefined) {
      if (source.asked.delete(index)) schedule.giveBack(index);
    } else if (part.has(index)) {
      release(chunk);
    } else {
      source.bytes += size;
      await part.write(index, chunk);
    }
    source.asked.delete(index);
    this.#pump(source);
  }

  #written(shape: TreeShape, part: PartFile, index: number): void {
    this.#doneBytes += chunkSize(shape, index);
    this.#reportProgress(shape.size);
    if (part.have.count === shape.chunks) this.#complete();
  }

  #reportProgress(size: number): void {
    this.#lastProgressAt = this.#options.clock.now();
    const [doneBytes, resumedBytes] = [this.#doneBytes, this.#resumedBytes];
    try {
      this.#options.progress({ size, doneBytes, resumedBytes, sources: this.#sources.size });
    } catch (error) {
      this.fail(error);
    }
  }

  /** With nothing left to ask for, a chunk that another holder is slow to send. */
  #takeSecond({ part }: Open, source: Source): number | undefined {
    const { clock } = this.#options;
    const now = clock.now();
    let wait = Infinity;
    for (const other of this.#sources) {
      if (other === source) continue;
      for (const [index, askedAt] of other.asked) {
        if (source.asked.has(index) || part.has(index)) continue;
        const rest = askedAt + SECOND_ASK_MS - now;
        if (rest <= 0) return index;
        wait = Math.min(wait, rest);
      }
    }
    if (wait < Infinity) this.#pumpIn(wait);
    return undefined;
  }

  #pumpIn(ms: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = undefined;
      this.#pumpAll();
    }, ms);
  }
}

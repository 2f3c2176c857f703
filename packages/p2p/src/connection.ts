import { freeWholeBuffer } from "@heddle/rlpx";

import type { Clock } from "./clock.ts";
import { DisconnectReason } from "./disconnect.ts";
import { TimeoutError } from "./errors.ts";
import { Outbox } from "./outbox.ts";
import type { OutQueue } from "./outbox.ts";
import type { Session, WireMessage } from "./session.ts";
import type { ByteStream } from "./stream.ts";

/** How many bytes of frames are gathered into one write to the stream. */
const BATCH_BYTES = 64 * 1024;

/** A smaller batch is not worth being told that the stream is done with it: nobody would use it again. */
const LEAST_GIVEN_BACK = 16 * 1024;

/**
 * Runs after the current turn and its microtasks: a loop that awaits accepted sends fills a batch
 * before the batch leaves. Outside Node a timer does the same a little later.
 */
const defer: (task: () => void) => void =
  typeof process === "object" && typeof process.nextTick === "function"
    ? (task) => process.nextTick(task)
    : (task) => void globalThis.setTimeout(task, 0);

/** Runs after the event loop has polled once: a long flood must not keep pings from being read. */
const yieldToIo: (task: () => void) => void =
  typeof setImmediate === "function"
    ? (task) => void setImmediate(task)
    : (task) => void globalThis.setTimeout(task, 0);

/** What may stop the reading: whoever owns the connection, a full inbox, pongs that cannot leave. */
export type Brake = "owner" | "inbox" | "pongs";

/** What the owner of a {@link Connection} is told. */
export interface ConnectionEvents {
  /** One message arrived. Throwing means that the peer broke the protocol. */
  message(message: WireMessage): void;
  /** The connection cannot go on: the stream ended, or the peer or a deadline broke it. Once. */
  failed(error: Error): void;
}

/** Bounds of a connection, in milliseconds. */
export interface ConnectionLimits {
  /** How long the stream may stay unwritable with bytes waiting. */
  readonly writeTimeoutMs: number;
  /** How long the other side gets to take the last bytes and close, after ours are written. */
  readonly drainTimeoutMs: number;
}

interface FlushWaiter {
  readonly queues: readonly OutQueue[];
  readonly resolve: () => void;
}

/** The stream ended without a Disconnect. */
export class StreamEndedError extends Error {
  override readonly name: string = "StreamEndedError";
  readonly code: string = "ERR_P2P_STREAM_ENDED";

  constructor(cause?: Error) {
    super(
      cause === undefined ? "the stream ended without a Disconnect" : cause.message,
      cause === undefined ? undefined : { cause },
    );
  }
}

/**
 * One session on one stream: the reading loop, the batched writer, and the orderly end of both.
 *
 * Messages pushed in one turn of the event loop leave in one write. It reads only while not paused;
 * what has been read is always delivered.
 */
export class Connection {
  readonly session: Session;
  readonly outbox: Outbox = new Outbox();
  readonly #stream: ByteStream;
  readonly #clock: Clock;
  readonly #limits: ConnectionLimits;
  #events: ConnectionEvents;
  /** Who wants no reading now; a fresh connection is its owner's to start. */
  readonly #pausedBy = new Set<Brake>(["owner"]);
  #isReading = false;
  #isHeld = false;
  #isGlancing = false;
  #failure: Error | undefined;
  #isFlushScheduled = false;
  #isBlocked = false;
  #isYielding = false;
  #state: "open" | "draining" | "closed" = "open";
  #writeTimer: unknown;
  #drainTimer: unknown;
  #onClosed: (() => void)[] = [];
  #flushWaiters: FlushWaiter[] = [];
  /** When bytes last arrived, on the clock's monotonic scale. */
  lastRead: number;
  /** Bytes received and sent, on the wire. */
  bytesIn = 0;
  bytesOut = 0;
  /** How long the messages in what arrived took to open and deliver, in milliseconds. */
  busyMs = 0;

  constructor(
    session: Session,
    options: { clock: Clock; limits: ConnectionLimits; events: ConnectionEvents },
  ) {
    this.session = session;
    this.#stream = session.stream;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#events = options.events;
    this.lastRead = options.clock.now();
    this.#stream.open({
      data: (chunk) => this.#onData(chunk),
      drain: () => this.#onDrain(),
      end: () => this.#onEnd(),
      close: (error) => this.#onClose(error),
    });
  }

  get isPaused(): boolean {
    return this.#pausedBy.size > 0;
  }

  /** Hands the connection to its next owner, who also learns of a failure that came in between. */
  handTo(events: ConnectionEvents): void {
    this.#events = events;
    const failure = this.#failure;
    if (failure !== undefined) queueMicrotask(() => events.failed(failure));
  }

  /** Stops delivering, too: the next owner starts with what is left in the codec. */
  hold(): void {
    this.#isHeld = true;
    this.pause();
  }

  /** Stops reading the stream until every brake is let go; what has arrived is still delivered. */
  pause(brake: Brake = "owner"): void {
    if (this.isPaused) {
      this.#pausedBy.add(brake);
      return;
    }
    this.#pausedBy.add(brake);
    if (this.#state === "open") this.#stream.pause();
  }

  /** Lets go of one brake; with the last one reading starts, with what the codec holds already. */
  resume(brake: Brake = "owner"): void {
    if (!this.#pausedBy.delete(brake)) return;
    if (brake === "owner") this.#isHeld = false;
    if (this.isPaused) return;
    this.#isGlancing = false;
    this.lastRead = this.#clock.now();
    if (this.#state !== "open") return;
    this.#deliver();
    if (this.#isStill("open") && !this.isPaused) this.#stream.resume();
  }

  /**
   * Reads the next chunk although inboxes are full, and no more: pings that stand between messages nobody
   * takes are to be answered. Does nothing while anything else stops the reading.
   */
  glance(): void {
    const isInboxAlone = this.#pausedBy.size === 1 && this.#pausedBy.has("inbox");
    if (!isInboxAlone || this.#state !== "open") return;
    this.#isGlancing = true;
    this.#stream.resume();
  }

  /** Queues a base message; it leaves before everything else. */
  sendBase(msgId: number, payload: Uint8Array): void {
    if (this.#state !== "open") return;
    this.outbox.pushBase({ msgId, payload, release: false });
    this.scheduleFlush();
  }

  /** Something is in the outbox: write it at the end of this turn of the event loop. */
  scheduleFlush(): void {
    if (this.#isFlushScheduled || this.#isBlocked || this.#isYielding || this.#state !== "open")
      return;
    this.#isFlushScheduled = true;
    defer(() => {
      this.#isFlushScheduled = false;
      this.#flush();
    });
  }

  /** Writes what waits now, because what follows changes how messages are sealed. */
  flush(): void {
    this.#flush();
  }

  /**
   * Resolves when nothing that may leave waits in the outbox any more and `queues` are empty, or when
   * `ms` have passed or the other side is gone.
   */
  async flushed(ms: number, queues: readonly OutQueue[] = []): Promise<void> {
    this.#flush();
    if (this.#state !== "open" || this.#failure !== undefined || this.#isFlushed(queues)) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimeout(resolve, ms);
      this.#flushWaiters.push({
        queues,
        resolve: () => {
          this.#clock.clearTimeout(timer);
          resolve();
        },
      });
    });
  }

  /**
   * Ends our side: sends `last` (a base message), half-closes, and gives the other side time to read
   * and to close. Input is discarded meanwhile, so that no reset destroys what we sent.
   */
  end(last?: { msgId: number; payload: Uint8Array }): void {
    if (this.#state !== "open") return;
    if (last !== undefined && this.session.codec.pendingBytes === 0) {
      this.session.codec.push(last.msgId, last.payload);
      this.#writeBatch();
    }
    this.#state = "draining";
    this.#clearWriteTimer();
    this.#stream.end();
    this.#stream.resume();
    this.#drainTimer = this.#clock.setTimeout(
      () => this.#stream.destroy(),
      this.#limits.drainTimeoutMs,
    );
  }

  /** Ends both ways at once. */
  destroy(): void {
    this.#stream.destroy();
  }

  /** Resolves when the stream is gone. */
  closed(): Promise<void> {
    if (this.#state === "closed") return Promise.resolve();
    return new Promise((resolve) => this.#onClosed.push(resolve));
  }

  #onData(chunk: Uint8Array): void {
    this.bytesIn += chunk.length;
    if (this.#state !== "open") return;
    if (this.#isGlancing) {
      this.#isGlancing = false;
      this.#stream.pause();
    }
    this.lastRead = this.#clock.now();
    try {
      this.session.codec.feed(chunk);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#deliver();
    this.busyMs += this.#clock.now() - this.lastRead;
  }

  /** Delivers whole messages, even when one of them made us pause: they are read already. */
  #deliver(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (this.#state === "open" && !this.#isHeld) {
        const message = this.session.codec.next();
        if (message === undefined) break;
        this.#events.message(message);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isReading = false;
    }
  }

  /** Writes one batch; the next one only after the event loop has looked at what came in. */
  #flush(): void {
    if (this.#state !== "open" || this.#isBlocked || this.#isYielding) return;
    try {
      if (!this.#fillBatch()) return;
      const isFull = this.session.codec.pendingBytes >= BATCH_BYTES;
      this.#writeBatch();
      if (!isFull) {
        this.#settleFlushed();
        return;
      }
      this.#isYielding = true;
      yieldToIo(() => {
        this.#isYielding = false;
        this.#flush();
        this.#settleFlushed();
      });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Moves messages from the outbox into the codec until a batch is full; says whether there are any. */
  #fillBatch(): boolean {
    const { codec } = this.session;
    while (codec.pendingBytes < BATCH_BYTES) {
      const item = this.outbox.next();
      if (item === undefined) break;
      try {
        codec.push(item.msgId, item.payload);
      } catch (error) {
        if (item.failed === undefined || !(error instanceof Error)) throw error;
        this.outbox.takeBack(item);
        item.failed(error);
        continue;
      }
      if (item.release) freeWholeBuffer(item.payload);
      item.accepted?.();
    }
    return codec.pendingBytes > 0;
  }

  #writeBatch(): void {
    const { codec } = this.session;
    const bytes = codec.take();
    this.bytesOut += bytes.length;
    const written = bytes.length < LEAST_GIVEN_BACK ? undefined : () => codec.giveBack?.(bytes);
    if (this.#stream.write(bytes, written)) return;
    this.#isBlocked = true;
    const { writeTimeoutMs } = this.#limits;
    this.#writeTimer ??= this.#clock.setTimeout(() => {
      this.#writeTimer = undefined;
      this.#fail(new TimeoutError("write", writeTimeoutMs, DisconnectReason.networkError));
    }, writeTimeoutMs);
  }

  #onDrain(): void {
    this.#clearWriteTimer();
    this.#isBlocked = false;
    this.#flush();
    this.#settleFlushed();
  }

  #isFlushed(queues: readonly OutQueue[]): boolean {
    return !this.#isBlocked && !this.#isYielding && queues.every(({ size }) => size === 0);
  }

  #settleFlushed(): void {
    this.#flushWaiters = this.#flushWaiters.filter(({ queues, resolve }) => {
      if (!this.#isFlushed(queues)) return true;
      resolve();
      return false;
    });
  }

  #releaseFlushed(): void {
    for (const { resolve } of this.#flushWaiters.splice(0)) resolve();
  }

  #onEnd(): void {
    if (this.#state === "draining") this.#stream.destroy();
    else this.#fail(new StreamEndedError());
  }

  #onClose(error: Error | undefined): void {
    if (this.#state === "open") this.#fail(new StreamEndedError(error));
    this.#state = "closed";
    this.#clearWriteTimer();
    this.#clock.clearTimeout(this.#drainTimer);
    this.#releaseFlushed();
    for (const resolve of this.#onClosed.splice(0)) resolve();
  }

  #fail(error: unknown): void {
    if (this.#state !== "open") return;
    this.#failure = error instanceof Error ? error : new Error(String(error));
    this.#releaseFlushed();
    this.#events.failed(this.#failure);
  }

  #isStill(state: string): boolean {
    return this.#state === state;
  }

  #clearWriteTimer(): void {
    this.#clock.clearTimeout(this.#writeTimer);
    this.#writeTimer = undefined;
  }

  /** Fails everything in the outbox. */
  failOutbox(queues: Iterable<OutQueue>, error: Error): void {
    this.outbox.fail(queues, error);
  }
}

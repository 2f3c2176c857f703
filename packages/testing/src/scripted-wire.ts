import { concatBytes } from "@heddle/identity";
import { sleep, systemClock } from "@heddle/p2p";
import type { ByteStream, Clock } from "@heddle/p2p";

import { Deadline } from "./deadline.ts";
import { ExpectationError } from "./expectation-error.ts";
import type { ResettableStream } from "./resettable-tcp.ts";

/** How the other side's bytes came to an end: in order, or broken off. */
export type StreamEnd = "end" | "reset";

/** How a {@link ScriptedWire} waits. */
export interface ScriptedWireOptions {
  /** Real time by default. */
  readonly clock?: Clock;
  /** How long a read waits, in milliseconds; 5,000 by default. */
  readonly timeoutMs?: number;
}

/** How {@link ScriptedWire.trickle} writes. */
export interface TrickleOptions {
  /** Between two bytes, in milliseconds of the wire's clock. */
  readonly pauseMs: number;
  /** When it gives up, in milliseconds. */
  readonly limitMs: number;
}

/** How long a script waits for anything, unless it says otherwise. */
export const DEFAULT_TIMEOUT_MS = 5_000;

/** Bytes that may wait to be read; above it, reading stops. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/**
 * One end of a stream that a test plays byte by byte; made by `scriptedPeer.wire`.
 *
 * What is written when is the script's business. It reads whatever comes, also while nobody waits for it, and knows
 * how the stream ended.
 */
export class ScriptedWire implements AsyncDisposable {
  readonly stream: ByteStream;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #owner: WireOwner | undefined;
  #ending: StreamEnd | undefined;
  #isFinished = false;
  #isClosed = false;
  #isPaused = false;
  #isWritable = true;
  #wakes: (() => void)[] = [];

  constructor(stream: ByteStream, options: ScriptedWireOptions = {}) {
    this.stream = stream;
    this.#clock = options.clock ?? systemClock;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    stream.open({
      data: (chunk) => this.#receive(chunk),
      drain: () => {
        this.#isWritable = true;
        this.#wake();
      },
      end: () => this.#end("end"),
      close: () => {
        this.#isClosed = true;
        this.#end("reset");
      },
    });
    stream.resume();
  }

  /** How the other side ended, although bytes from before may still wait to be read; undefined until it does. */
  get ending(): StreamEnd | undefined {
    return this.#ending;
  }

  /** Whether what was written last has left; false while the other side reads too slowly. */
  get isWritable(): boolean {
    return this.#isWritable;
  }

  /** Writes bytes, which the stream owns afterwards; resolves when there is room for more, or never will be. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#isFinished || this.#isClosed) return;
    this.#isWritable = this.stream.write(bytes);
    while (!this.#isWritable && !this.#isClosed) await this.#change();
  }

  /**
   * Writes bytes one by one, with a pause between them, until the other side has had enough.
   *
   * @returns after how many milliseconds it ended the stream, or undefined when it did not
   */
  async trickle(bytes: Uint8Array, options: TrickleOptions): Promise<number | undefined> {
    const startedAt = this.#clock.now();
    for (const byte of bytes) {
      await this.write(Uint8Array.of(byte));
      await sleep(this.#clock, options.pauseMs);
      const passedMs = this.#clock.now() - startedAt;
      if (this.#ending !== undefined) return passedMs;
      if (passedMs > options.limitMs) break;
    }
    return undefined;
  }

  /**
   * Takes the bytes that came next.
   *
   * @param timeoutMs - for how long it waits; what the wire was made with by default
   * @returns bytes, how the stream ended, or undefined when neither came in time
   */
  async read(timeoutMs: number = this.#timeoutMs): Promise<Uint8Array | StreamEnd | undefined> {
    const deadline = new Deadline(this.#clock, timeoutMs, this.#wake);
    try {
      for (;;) {
        const chunk = this.#waiting.shift();
        if (chunk !== undefined) {
          this.#waitingBytes -= chunk.length;
          this.#readOn();
          return chunk;
        }
        if (this.#ending !== undefined || deadline.hasPassed) return this.#ending;
        await this.#change();
      }
    } finally {
      deadline.clear();
    }
  }

  /**
   * Takes one packet of a handshake, whatever its size says; what came behind it is left to be read.
   *
   * @param expected - what errors call it
   * @returns the packet, its 2-byte size included
   * @throws ExpectationError `ERR_TESTING_ENDED`, `ERR_TESTING_TIMEOUT`
   * @see devp2p rlpx.md §Initial Handshake; EIP-8
   */
  async readPacket(expected = "a handshake packet"): Promise<Uint8Array> {
    const startedAt = this.#clock.now();
    let bytes: Uint8Array = new Uint8Array(0);
    for (;;) {
      const size = bytes.length < 2 ? Infinity : 2 + (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0);
      if (bytes.length >= size) {
        this.#putBack(bytes.slice(size));
        return bytes.slice(0, size);
      }
      const leftMs = startedAt + this.#timeoutMs - this.#clock.now();
      const chunk = await this.read(Math.max(0, leftMs));
      if (chunk === undefined) {
        const got = `nothing within ${this.#timeoutMs} ms`;
        throw new ExpectationError("ERR_TESTING_TIMEOUT", expected, got);
      }
      if (!(chunk instanceof Uint8Array)) {
        const got = chunk === "end" ? "the end of the stream" : "a reset of the stream";
        throw new ExpectationError("ERR_TESTING_ENDED", expected, got);
      }
      bytes = concatBytes(bytes, chunk);
    }
  }

  /** Hands all bytes, those that wait included, to somebody else, as they come. */
  handTo(owner: WireOwner): void {
    this.#owner = owner;
    this.#waitingBytes = 0;
    for (const chunk of this.#waiting.splice(0)) owner.data(chunk);
    if (this.#ending !== undefined) owner.ended(this.#ending);
    this.#readOn();
  }

  /** Ends our direction in order, and goes on reading. */
  finish(): void {
    this.#isFinished = true;
    this.stream.end();
  }

  /** Stops reading: the other side's writes fill what holds them, then wait. */
  pause(): void {
    this.#isPaused = true;
    this.stream.pause();
  }

  /** Reads on. */
  resume(): void {
    this.#isPaused = false;
    this.#readOn();
  }

  /** Breaks both directions off: by a TCP reset where the wire has dialed by TCP. */
  reset(): void {
    const stream: Partial<ResettableStream> = this.stream;
    if (stream.reset === undefined) this.close();
    else stream.reset();
  }

  /** Lets go of the stream, both ways. */
  close(): void {
    this.stream.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #receive(chunk: Uint8Array): void {
    if (this.#owner !== undefined) {
      this.#owner.data(chunk);
      return;
    }
    this.#waiting.push(new Uint8Array(chunk));
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.stream.pause();
    this.#wake();
  }

  #putBack(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#waiting.unshift(bytes);
    this.#waitingBytes += bytes.length;
  }

  #readOn(): void {
    if (!this.#isPaused && this.#waitingBytes <= MAX_WAITING_BYTES) this.stream.resume();
  }

  #end(how: StreamEnd): void {
    const isFirst = this.#ending === undefined;
    this.#ending ??= how;
    if (isFirst) this.#owner?.ended(how);
    this.#wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wakes.push(resolve));
  }

  readonly #wake = (): void => {
    for (const wake of this.#wakes.splice(0)) wake();
    this.#owner?.changed();
  };
}

/** Who takes what comes on a wire in place of the script. */
export interface WireOwner {
  /** The chunk is the owner's to keep only if it copies it. */
  data(chunk: Uint8Array): void;
  ended(how: StreamEnd): void;
  /** Something else may have changed: there is room to write again. */
  changed(): void;
}

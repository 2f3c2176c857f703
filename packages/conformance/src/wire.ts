import { connect } from "node:net";
import type { Duplex } from "node:stream";

import type { Enode } from "@heddle/identity";

/** Opens a byte stream to the node under test; TCP unless a caller brings its own. */
export type Connect = (node: Enode) => Promise<Duplex>;

/** How the other side's bytes came to an end: in order, or with an error such as a reset. */
export type End = "end" | "reset";

/**
 * One connection to the node under test, at the level of bytes: what is written when is the case's business.
 */
export class Wire {
  readonly #stream: Duplex;
  #chunks: Uint8Array[] = [];
  #end: End | undefined;
  #wake: (() => void) | undefined;
  /** Writes whose bytes the operating system has not taken. */
  readonly #writes = new Set<() => void>();

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("data", (chunk: Uint8Array) => {
      this.#chunks.push(new Uint8Array(chunk));
      this.#notify();
    });
    stream.on("end", () => this.#finish("end"));
    // A write into a connection that the other side has closed is one more way of seeing its end.
    stream.on("error", () => this.#finish("reset"));
    stream.on("close", () => {
      this.#finish("reset");
      for (const settle of this.#writes) settle();
    });
  }

  /** Whether the other side has ended, although bytes from before may still have to be read. */
  get isEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Writes bytes; resolves when the operating system took them, or will never. */
  write(bytes: Uint8Array): Promise<void> {
    if (this.#stream.destroyed || !this.#stream.writable) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#writes.delete(settle);
        resolve();
      };
      this.#writes.add(settle);
      this.#stream.write(bytes, settle);
    });
  }

  /** Ends our direction in order and goes on reading. */
  finish(): void {
    this.#stream.end();
  }

  /** Stops reading, so that the other side's writes fill up. */
  pause(): void {
    this.#stream.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#stream.resume();
  }

  /** Ends both directions with a TCP reset, where the stream is TCP. */
  reset(): void {
    if ("resetAndDestroy" in this.#stream && typeof this.#stream.resetAndDestroy === "function") {
      this.#stream.resetAndDestroy();
    } else this.#stream.destroy();
  }

  /** Lets go of the connection. */
  close(): void {
    this.#stream.destroy();
  }

  /**
   * Waits for more bytes.
   *
   * @param ms - for how long at most
   * @returns bytes, how the connection ended, or undefined when nothing came in time
   */
  async read(ms: number): Promise<Uint8Array | End | undefined> {
    if (this.#chunks.length === 0 && this.#end === undefined) await this.#wait(ms);
    return this.#chunks.shift() ?? this.#end;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  #finish(end: End): void {
    this.#end ??= end;
    this.#notify();
  }
}

/**
 * Connects over TCP, without Nagle's delay, so that every write is a packet of its own.
 *
 * @throws Error when nobody listens there, or nobody answers within 10 s
 */
export function connectTcp({ host, tcpPort }: Enode): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    // Half-open: some cases go on writing after the node has ended its side.
    const socket = connect({ host, port: tcpPort, noDelay: true, allowHalfOpen: true });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no connection to ${host}:${tcpPort} within ${CONNECT_TIMEOUT_MS} ms`));
    }, CONNECT_TIMEOUT_MS);
    socket.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}

const CONNECT_TIMEOUT_MS = 10_000;

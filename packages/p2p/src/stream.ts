/** Where one end of a stream is. `host` is an IP address where there is one. */
export interface StreamAddress {
  readonly host: string;
  readonly port: number;
}

/** What the owner of a {@link ByteStream} is told. No handler may throw. */
export interface StreamHandlers {
  /** Bytes arrived; they are the handler's to keep only if it copies them. */
  data(chunk: Uint8Array): void;
  /** After a `write` that returned false: there is room again. */
  drain(): void;
  /** The other side sent its last byte. */
  end(): void;
  /** The stream is gone, both ways; called exactly once, last. */
  close(error: Error | undefined): void;
}

/**
 * The transport seam: bytes in, bytes out, with backpressure and half-close.
 *
 * TCP and memory implement it; anything else that can (WebSocket, MessagePort) fits without a change
 * above. A stream starts paused and delivers nothing before `resume`.
 */
export interface ByteStream {
  readonly remoteAddress: StreamAddress | undefined;
  readonly localAddress: StreamAddress | undefined;
  /** Names the owner; the next call hands the stream to the next owner. */
  open(handlers: StreamHandlers): void;
  pause(): void;
  resume(): void;
  /**
   * Queues bytes for sending; the stream owns them afterwards.
   *
   * @param written - called when the stream has no more use for the bytes, which the caller then owns again;
   *   a stream that cannot tell never calls it
   * @returns false when more than its high-water mark is waiting: wait for `drain`
   */
  write(chunk: Uint8Array, written?: () => void): boolean;
  /** What is written from here on in this turn of the event loop had better leave in one piece. */
  cork?(): void;
  /** Half-closes: what was written is sent, then our last byte. */
  end(): void;
  /** Ends both ways at once; what is unsent may be lost. */
  destroy(): void;
}

const ignore = (): void => undefined;

/** Destroys a stream, whoever owned it; resolves when it is gone. */
export function discard(stream: ByteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.open({ data: ignore, drain: ignore, end: ignore, close: () => resolve() });
    stream.destroy();
  });
}

/** Accepts streams until closed. */
export interface Listener {
  readonly address: StreamAddress;
  /** Stops accepting; resolves when the address is free again. Accepted streams live on. */
  close(): Promise<void>;
}

/** A way to reach other nodes by host and port. */
export interface Transport {
  readonly name: string;
  /** @param address - port 0 picks a free one */
  listen(address: StreamAddress, accept: (stream: ByteStream) => void): Promise<Listener>;
  /** @throws whatever says why the address could not be reached, or the signal's reason */
  dial(address: StreamAddress, options: { signal: AbortSignal }): Promise<ByteStream>;
}

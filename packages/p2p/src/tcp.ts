import { connect, createServer } from "node:net";
import type { Socket } from "node:net";

import { freeBuffer } from "@heddle/rlpx";

import type { ByteStream, Listener, StreamAddress, StreamHandlers, Transport } from "./stream.ts";

/** TCP by `node:net`: no Nagle delay, half-open allowed, backpressure both ways. */
export const tcpTransport: Transport = {
  name: "tcp",

  listen(address, accept): Promise<Listener> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    server.on("connection", (socket) => accept(new TcpStream(socket)));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address.host, port: address.port }, () => {
        server.off("error", reject);
        // After listening, errors are those of single accepts (EMFILE): the listener goes on.
        server.on("error", () => undefined);
        resolve({
          address: boundAddress(server.address(), address),
          close: () => new Promise((done) => server.close(() => done())),
        });
      });
    });
  },

  dial({ host, port }, { signal }): Promise<ByteStream> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
      const settle = (): void => {
        signal.removeEventListener("abort", onAbort);
        socket.off("error", onError);
      };
      const onError = (error: Error): void => {
        settle();
        reject(error);
      };
      const onAbort = (): void => {
        settle();
        socket.on("error", () => undefined);
        socket.destroy();
        reject(signal.reason instanceof Error ? signal.reason : new Error("dial aborted"));
      };
      socket.once("error", onError);
      socket.once("connect", () => {
        settle();
        resolve(new TcpStream(socket));
      });
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
  },
};

function boundAddress(bound: unknown, asked: StreamAddress): StreamAddress {
  if (typeof bound !== "object" || bound === null) return asked;
  const { address, port } = bound as { address: string; port: number };
  return { host: address, port };
}

/** One TCP socket; the only place that touches it. */
class TcpStream implements ByteStream {
  readonly remoteAddress: StreamAddress | undefined;
  readonly localAddress: StreamAddress | undefined;
  readonly #socket: Socket;
  #handlers: StreamHandlers | undefined;
  #error: Error | undefined;
  #hasEnded = false;
  #isClosed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteAddress = addressOf(socket.remoteAddress, socket.remotePort);
    this.localAddress = addressOf(socket.localAddress, socket.localPort);
    socket.pause();
    socket.on("data", (chunk: Buffer) => {
      // Plain, since a slice of a Buffer is no copy.
      this.#handlers?.data(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
      freeBuffer(chunk);
    });
    socket.on("drain", () => this.#handlers?.drain());
    socket.on("end", () => {
      this.#hasEnded = true;
      this.#handlers?.end();
    });
    socket.on("error", (error) => {
      this.#error = error;
    });
    socket.on("close", () => {
      this.#isClosed = true;
      this.#handlers?.close(this.#error);
    });
  }

  open(handlers: StreamHandlers): void {
    this.#handlers = handlers;
    // What happened while nobody owned the stream is told to the new owner.
    if (this.#isClosed) queueMicrotask(() => this.#handlers?.close(this.#error));
    else if (this.#hasEnded) queueMicrotask(() => this.#handlers?.end());
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  write(chunk: Uint8Array, written?: () => void): boolean {
    if (written === undefined) return this.#socket.write(chunk);
    // After an error nothing says that the kernel is done with the bytes: they are left to the collector.
    return this.#socket.write(chunk, (error) => {
      if (error === undefined || error === null) written();
    });
  }

  cork(): void {
    this.#socket.cork();
    setImmediate(() => this.#socket.uncork());
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Node reports IPv4 peers of a dual-stack listener as `::ffff:1.2.3.4`. */
function addressOf(host: string | undefined, port: number | undefined): StreamAddress | undefined {
  if (host === undefined || port === undefined) return undefined;
  return { host: host.startsWith("::ffff:") ? host.slice(7) : host, port };
}

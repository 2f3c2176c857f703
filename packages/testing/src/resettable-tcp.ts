import { connect } from "node:net";
import type { Duplex } from "node:stream";

import { tcpTransport } from "@heddle/p2p";
import type { ByteStream, StreamHandlers, Transport } from "@heddle/p2p";

/** A stream that can be broken off: what is under way is lost, and the other side is told by an error. */
export interface ResettableStream extends ByteStream {
  reset(): void;
}

/** TCP as servers have it, whose dialed streams can be reset. */
export const resettableTcp: Transport = {
  ...tcpTransport,
  dial: ({ host, port }, { signal }) =>
    new Promise((resolve, reject) => {
      // Half-open: a script may go on writing after the other side has ended.
      const socket = connect({ host, port, noDelay: true, allowHalfOpen: true });
      const settle = (): void => {
        signal.removeEventListener("abort", abort);
        socket.removeAllListeners();
      };
      const fail = (error: unknown): void => {
        settle();
        socket.on("error", () => undefined);
        socket.destroy();
        reject(error instanceof Error ? error : new Error("dial aborted", { cause: error }));
      };
      const abort = (): void => fail(signal.reason);
      signal.addEventListener("abort", abort);
      socket.once("error", fail);
      socket.once("connect", () => {
        settle();
        resolve(streamOf(socket));
      });
      if (signal.aborted) abort();
    }),
};

/** Makes a {@link ByteStream} of any stream of Node's; a reset of it where it knows none is its destruction. */
export function streamOf(duplex: Duplex): ResettableStream {
  let handlers: StreamHandlers | undefined;
  let failure: Error | undefined;
  duplex.pause();
  duplex.on("data", (chunk: Uint8Array) => handlers?.data(chunk));
  duplex.on("drain", () => handlers?.drain());
  duplex.on("end", () => handlers?.end());
  duplex.on("error", (error: Error) => (failure = error));
  duplex.on("close", () => handlers?.close(failure));
  return {
    remoteAddress: undefined,
    localAddress: undefined,
    open(owner) {
      handlers = owner;
      // What happened while nobody owned the stream is told to the new owner.
      if (duplex.closed) queueMicrotask(() => owner.close(failure));
      else if (duplex.readableEnded) queueMicrotask(() => owner.end());
    },
    pause: () => void duplex.pause(),
    resume: () => void duplex.resume(),
    write: (chunk) => duplex.write(chunk),
    end: () => void duplex.end(),
    destroy: () => void duplex.destroy(),
    reset() {
      if ("resetAndDestroy" in duplex && typeof duplex.resetAndDestroy === "function") {
        duplex.resetAndDestroy();
      } else duplex.destroy();
    },
  };
}

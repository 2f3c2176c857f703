import { once } from "node:events";
import { connect as connectTcp, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";

import { certificate } from "./certificate.ts";
import { answerFrames, BatchWriter, FrameCaller, FrameReader, linkOf } from "./framing.ts";
import type { Pipe } from "./framing.ts";
import type { BenchPeer } from "./peer.ts";

/** How one kind of socket listens and connects. */
interface Kind {
  listen(accept: (socket: Socket) => void): Server;
  /** @returns the socket, and the event that says it can be written to */
  connect(port: number): { socket: Socket; ready: string };
}

/** `node:net` with a length prefix: what the machine and Node allow. */
export const tcp: BenchPeer = over({
  listen: (accept) => createServer({ noDelay: true }, accept),
  connect: (port) => ({
    socket: connectTcp({ host: "127.0.0.1", port, noDelay: true }),
    ready: "connect",
  }),
});

/** `node:tls`, TLS 1.3 with a self-signed P-256 certificate, the same frames: the native encrypted limit. */
export const tls: BenchPeer = over({
  listen: (accept) =>
    createTlsServer({ ...certificate(), noDelay: true, minVersion: "TLSv1.3" }, accept),
  connect: (port) => ({
    // Who is spoken to is not what is measured here: the certificate is made afresh for each run.
    socket: connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false }).setNoDelay(true),
    ready: "secureConnect",
  }),
});

function over(kind: Kind): BenchPeer {
  return {
    async serve() {
      const server = kind.listen((socket) => {
        socket.on("error", () => socket.destroy());
        const writer = new BatchWriter(pipe(socket));
        const reader = new FrameReader(answerFrames((code, bytes) => writer.write(code, bytes)));
        socket.on("data", (chunk: Uint8Array) => reader.feed(chunk));
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return String((server.address() as AddressInfo).port);
    },

    client: (port) => ({
      async connect() {
        const { socket, ready } = kind.connect(Number(port));
        await once(socket, ready);
        socket.on("error", () => socket.destroy());
        const writer = new BatchWriter(pipe(socket));
        const caller = new FrameCaller((code, bytes) => writer.write(code, bytes));
        const reader = new FrameReader(caller.onFrame);
        socket.on("data", (chunk: Uint8Array) => reader.feed(chunk));
        return linkOf([caller], () => socket.end());
      },
      dispose: () => undefined,
    }),
  };
}

function pipe(socket: Socket): Pipe {
  return {
    write: (bytes) => socket.write(bytes),
    isFull: () => socket.writableNeedDrain,
    drained: () => once(socket, "drain"),
  };
}

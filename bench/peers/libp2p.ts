import { noise } from "@chainsafe/libp2p-noise";
import { yamux } from "@chainsafe/libp2p-yamux";
import { tcp } from "@libp2p/tcp";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import type { Libp2p } from "libp2p";

import { answerFrames, frame, FrameCaller, FrameReader, linkOf } from "./framing.ts";
import type { SendFrame } from "./framing.ts";
import type { BenchPeer, Client } from "./peer.ts";

// yamux 8 takes this from Node 22; where it is missing, the streams could not be opened at all.
if (!("withResolvers" in Promise)) {
  Object.defineProperty(Promise, "withResolvers", {
    value: <T>() => {
      let settle: { resolve(value: T): void; reject(error: unknown): void } | undefined;
      const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
      return { promise, ...settle };
    },
  });
}

type Stream = Awaited<ReturnType<Libp2p["dialProtocol"]>>;

function createNode(listen: readonly string[]): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen: [...listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // Its defaults refuse more than five connections a second from one address.
    connectionManager: {
      maxConnections: 5_000,
      inboundConnectionThreshold: 100_000,
      maxIncomingPendingConnections: 5_000,
    },
  });
}

/**
 * One `send` per frame, as its own length-prefixed streams do, and a wait for `drain` where it asks for one.
 *
 * Not `onDrain()`: that of `@libp2p/utils` 7.4 keeps its promise after it has resolved, so that the second
 * wait of a stream is none, the event loop never gets to read window updates, and the buffer only grows.
 */
function sender(stream: Stream): SendFrame {
  let drained: Promise<void> | undefined;
  let release: (() => void) | undefined;
  const onDrain = (): void => {
    release?.();
    drained = undefined;
  };
  stream.addEventListener("drain", onDrain);
  // Whoever waits goes on, and is told by the next `send`.
  stream.addEventListener("close", onDrain);
  return (code, payload) =>
    stream.send(frame(code, payload))
      ? undefined
      : (drained ??= new Promise((resolve) => (release = resolve)));
}

function receive(stream: Stream, reader: FrameReader): void {
  stream.addEventListener("message", ({ data }) => {
    reader.feed(data instanceof Uint8Array ? data : data.subarray());
  });
}

/** js-libp2p: TCP, Noise, yamux, and one long-lived stream per protocol with length-prefixed frames. */
export const libp2p: BenchPeer = {
  async serve(count) {
    const node = await createNode(["/ip4/127.0.0.1/tcp/0"]);
    for (let n = 0; n < count; n += 1) {
      await node.handle(`/bench/${n}`, (stream) => {
        receive(stream, new FrameReader(answerFrames(sender(stream))));
      });
    }
    return String(node.getMultiaddrs()[0]);
  },

  async client(address, count): Promise<Client> {
    const node = await createNode([]);
    return {
      async connect() {
        const connection = await node.dial(multiaddr(address));
        const callers: FrameCaller[] = [];
        for (let n = 0; n < count; n += 1) {
          const stream = await connection.newStream(`/bench/${n}`);
          const caller = new FrameCaller(sender(stream));
          receive(stream, new FrameReader(caller.onFrame));
          callers.push(caller);
        }
        return linkOf(callers, () => void connection.close().catch(() => undefined));
      },
      dispose: async () => node.stop(),
    };
  },
};

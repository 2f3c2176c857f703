import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

import SecretStream from "@hyperswarm/secret-stream";
import Protomux from "protomux";
import type { ProtomuxChannel, ProtomuxMessage } from "protomux";

import { answerFrames, FrameCaller, linkOf } from "./framing.ts";
import type { SendFrame } from "./framing.ts";
import type { BenchPeer, Client } from "./peer.ts";

const BATCH_BYTES = 64 * 1024;
const CODES = 4;

/** Sends small messages corked into one encrypted batch, as its users do, and large ones as they are. */
class Corker {
  readonly #mux: Protomux;
  #corked = 0;
  #drained: (() => void)[] = [];

  constructor(mux: Protomux) {
    this.#mux = mux;
  }

  /** To be called when a channel reports that it has drained. */
  readonly onDrain = (): void => {
    for (const resolve of this.#drained.splice(0)) resolve();
  };

  send(message: ProtomuxMessage, payload: Uint8Array): Promise<void> | undefined {
    if (payload.length >= BATCH_BYTES / 4) {
      this.#uncork();
      message.send(payload);
    } else {
      if (this.#corked === 0) this.#cork();
      message.send(payload);
      this.#corked += payload.length + 8;
      if (this.#corked >= BATCH_BYTES) this.#uncork();
    }
    if (this.#mux.drained) return undefined;
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  #cork(): void {
    this.#mux.cork();
    process.nextTick(() => this.#uncork());
  }

  #uncork(): void {
    if (this.#corked === 0) return;
    this.#corked = 0;
    this.#mux.uncork();
  }
}

/** Opens a channel that hands what arrives to `onFrame`. */
function open(
  mux: Protomux,
  corker: Corker,
  n: number,
  onFrame: (code: number, payload: Uint8Array) => void,
): { channel: ProtomuxChannel; send: SendFrame } {
  const channel = mux.createChannel({ protocol: `bench${n}`, ondrain: corker.onDrain });
  if (channel === null) throw new Error(`channel ${n} cannot be opened`);
  const messages = Array.from({ length: CODES }, (_, code) =>
    channel.addMessage({ onmessage: (payload) => onFrame(code, payload) }),
  );
  channel.open();
  const send: SendFrame = (code, payload) => {
    const message = messages[code];
    return message === undefined ? undefined : corker.send(message, payload);
  };
  return { channel, send };
}

/** protomux over `@hyperswarm/secret-stream` over `node:net`. */
export const protomux: BenchPeer = {
  async serve(count) {
    const server = createServer({ noDelay: true }, (socket) => accept(socket, count));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return String((server.address() as AddressInfo).port);
  },

  client(port, count): Client {
    const keyPair = SecretStream.keyPair();
    return {
      async connect() {
        const socket = connect({ host: "127.0.0.1", port: Number(port), noDelay: true });
        const stream = new SecretStream(true, socket, { keyPair });
        stream.on("error", () => socket.destroy());
        const mux = new Protomux(stream);
        const corker = new Corker(mux);
        const callers = await Promise.all(
          Array.from({ length: count }, async (_, n) => {
            let send: SendFrame = () => undefined;
            const caller = new FrameCaller((code, payload) => send(code, payload));
            const opened = open(mux, corker, n, caller.onFrame);
            send = opened.send;
            if (!(await opened.channel.fullyOpened())) throw new Error(`channel ${n} was refused`);
            return caller;
          }),
        );
        return linkOf(callers, () => stream.destroy());
      },
      dispose: () => undefined,
    };
  },
};

function accept(socket: Socket, count: number): void {
  const stream = new SecretStream(false, socket);
  stream.on("error", () => socket.destroy());
  const mux = new Protomux(stream);
  const corker = new Corker(mux);
  for (let n = 0; n < count; n += 1) {
    mux.pair({ protocol: `bench${n}` }, () => {
      let send: SendFrame = () => undefined;
      const answer = answerFrames((code, payload) => send(code, payload));
      send = open(mux, corker, n, answer).send;
    });
  }
}

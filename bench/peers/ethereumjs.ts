import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import type { Socket } from "node:net";

import { RLPx } from "@ethereumjs/devp2p";
import type { Capabilities, Peer } from "@ethereumjs/devp2p";
import { RLP } from "rlp";

import { CODES, Code } from "./heddle.ts";
import type { BenchPeer, Client, Count, Link } from "./peer.ts";

/** Above this many unsent bytes a sender waits; the library itself holds nobody back. */
const HIGH_WATER_BYTES = 1024 * 1024;

/** The library leaves compressing to the protocols; with the module it decompresses with. */
const snappy = createRequire(import.meta.resolve("@ethereumjs/devp2p"))("snappyjs") as {
  compress(data: Uint8Array): Uint8Array;
};

type Send = (code: number, data: Uint8Array) => unknown;
const text = new TextDecoder();

/** Protocols made for a peer, by name; the library constructs them itself. */
class BenchProtocol {
  readonly peer: Peer;
  readonly #send: Send;
  onMessage: ((code: number, payload: Uint8Array) => void) | undefined;
  #messages = 0;
  #bytes = 0;

  constructor(_version: number, peer: Peer, send: Send) {
    this.peer = peer;
    this.#send = send;
  }

  send(code: number, payload: Uint8Array): void {
    this.#send(code, snappy.compress(payload));
  }

  // oxlint-disable-next-line no-underscore-dangle -- the name by which the library calls a protocol
  _handleMessage(code: number, payload: Uint8Array): void {
    if (this.onMessage !== undefined) {
      this.onMessage(code, payload);
    } else if (code === Code.data) {
      this.#messages += 1;
      this.#bytes += payload.length;
    } else if (code === Code.mark) {
      this.send(Code.count, RLP.encode([this.#messages, this.#bytes]));
      this.#messages = 0;
      this.#bytes = 0;
    } else if (code === Code.word && decodeWord(payload) === "foo") {
      this.send(Code.word, RLP.encode(["bar"]));
    }
  }
}

function decodeWord(payload: Uint8Array): string {
  const [word] = RLP.decode(payload) as Uint8Array[];
  return text.decode(word);
}

function createNode(count: number): RLPx {
  const capabilities = Array.from({ length: count }, (_, n) => {
    const capability = { name: `bench${n}`, version: 1, length: CODES, constructor: BenchProtocol };
    return capability as unknown as Capabilities;
  });
  const node = new RLPx(randomBytes(32), {
    capabilities,
    clientId: new TextEncoder().encode("bench/1"),
    maxPeers: 5_000,
    // Only asked for replacements of its cryptography, and only if there is one.
    common: undefined as never,
  });
  for (const event of ["error", "peer:error"] as const) node.events.on(event, () => undefined);
  return node;
}

/** The one change to the library: without it 40 ms of Nagle's delay are what a round trip measures. */
function socketOf(peer: Peer): Socket {
  const socket = (peer as unknown as { _socket: Socket })["_socket"];
  socket.setNoDelay(true);
  return socket;
}

/** `@ethereumjs/devp2p`, with `setNoDelay` patched in. */
export const ethereumJs: BenchPeer = {
  async serve(count) {
    const port = await freePort();
    const node = createNode(count);
    node.events.on("peer:added", socketOf);
    node.listen(port, "127.0.0.1");
    await new Promise<void>((resolve) => node.events.once("listening", () => resolve()));
    return `${Buffer.from(node.id).toString("hex")}@${port}`;
  },

  client(address, count): Client {
    const [id = "", port] = address.split("@");
    const node = createNode(count);
    return {
      async connect() {
        const added = new Promise<Peer>((resolve) => node.events.once("peer:added", resolve));
        await node.connect({
          id: Buffer.from(id, "hex"),
          address: "127.0.0.1",
          tcpPort: Number(port),
        });
        return link(await added);
      },
      dispose: () => node.destroy(),
    };
  },
};

function link(peer: Peer): Link {
  const socket = socketOf(peer);
  const protocols = peer.getProtocols() as unknown as BenchProtocol[];
  const at = (channel: number): BenchProtocol => {
    const protocol = protocols[channel];
    if (protocol === undefined) throw new Error(`protocol ${channel} does not run`);
    return protocol;
  };
  const ask = (channel: number, code: number, payload: Uint8Array): Promise<Uint8Array> =>
    new Promise((resolve) => {
      at(channel).onMessage = (_code, reply) => resolve(reply);
      at(channel).send(code, payload);
    });
  const foo = ["foo"];
  return {
    send(channel, { rlp }) {
      at(channel).send(Code.data, rlp);
      return socket.writableLength > HIGH_WATER_BYTES ? once(socket, "drain") : undefined;
    },
    async finish(channel): Promise<Count> {
      const reply = RLP.decode(await ask(channel, Code.mark, RLP.encode([]))) as Uint8Array[];
      const [messages = 0, bytes = 0] = reply.map((part) =>
        part.reduce((sum, byte) => sum * 256 + byte, 0),
      );
      return { messages, bytes };
    },
    async roundTrip() {
      const reply = decodeWord(await ask(0, Code.word, RLP.encode(foo)));
      if (reply !== "bar") throw new Error(`got ${reply} for foo`);
    },
    // Its disconnect keeps the socket for two seconds more; what follows would pay for it.
    close: () => socket.destroy(),
  };
}

/** The library cannot tell which port it got, so one is taken from the system and given back for it. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no TCP port to be had");
  return address.port;
}

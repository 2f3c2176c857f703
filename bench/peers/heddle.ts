import { generateSecretKey } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { Message, MessageReadWriter, Protocol, SessionUpgrade } from "@heddle/p2p";
import { text, tuple, uint } from "@heddle/protocol";

import type { BenchPeer, Client, Count, Link } from "./peer.ts";

/** The codes of a bench protocol; `geth/bench.go` and every other stack have the same. */
export const Code = { data: 0, mark: 1, count: 2, word: 3 } as const;
export const CODES = 4;

const words = tuple(text);
const counts = tuple(uint, uint);

/** Settings that keep hundreds of connections from one address from being refused. */
export const MANY = { maxPeers: 5_000, dialRatio: 5_000 } as const;

/** Heddle's raw layer: `run` loops over codes and payloads, over the session given (RLPx by default). */
export function heddleOver(session?: SessionUpgrade): BenchPeer {
  const common = { clientId: "bench/1", ...(session === undefined ? {} : { session }) };
  return {
    async serve(count) {
      const protocols = channels(count, (_n, rw) => answer(rw));
      const key = generateSecretKey();
      const server = new Server({ ...common, ...MANY, key, listen: "127.0.0.1:0", protocols });
      await server.start();
      return server.enode;
    },

    async client(enode, count): Promise<Client> {
      const handles: MessageReadWriter[] = [];
      const protocols = channels(count, (n, rw, peer) => {
        handles[n] = rw;
        return new Promise((resolve) => peer.signal.addEventListener("abort", () => resolve()));
      });
      const server = new Server({ ...common, key: generateSecretKey(), protocols });
      await server.start();
      return {
        async connect() {
          const peer = await server.dial(enode);
          return link(handles, () => void peer.disconnect());
        },
        dispose: () => server.stop(),
      };
    },
  };
}

/** Heddle as it is: RLPx with the fastest backends that are installed. */
export const heddle: BenchPeer = heddleOver();

type Run = (
  n: number,
  rw: MessageReadWriter,
  peer: Parameters<Protocol["run"]>[0],
) => Promise<void>;

function channels(count: number, run: Run): Protocol[] {
  return Array.from({ length: count }, (_, n) => ({
    name: `bench${n}`,
    version: 1,
    length: CODES,
    run: (peer, rw) => run(n, rw, peer),
  }));
}

async function answer(rw: MessageReadWriter): Promise<void> {
  let [messages, bytes] = [0, 0];
  for await (const message of rw) {
    if (message.code === Code.data) {
      messages += 1;
      bytes += message.payload.length;
      // As the reader of go-ethereum, which has to, discards it.
      message.release();
    } else if (message.code === Code.mark) {
      await rw.sendItems(Code.count, messages, bytes);
      messages = 0;
      bytes = 0;
    } else if (message.code === Code.word && message.decode(words)[0] === "foo") {
      await rw.sendItems(Code.word, "bar");
    }
  }
}

function link(handles: readonly MessageReadWriter[], close: () => void): Link {
  const at = (channel: number): MessageReadWriter => {
    const rw = handles[channel];
    if (rw === undefined) throw new Error(`protocol ${channel} does not run`);
    return rw;
  };
  const first = at(0);
  return {
    close,
    send: (channel, { rlp }) => at(channel).sendEncoded(Code.data, rlp),
    async finish(channel): Promise<Count> {
      await at(channel).sendItems(Code.mark);
      const reply: Message = await at(channel).read();
      const [messages, bytes] = reply.decode(counts);
      return { messages, bytes };
    },
    async roundTrip() {
      await first.sendItems(Code.word, "foo");
      const [word] = (await first.read()).decode(words);
      if (word !== "bar") throw new Error(`got ${word} for foo`);
    },
  };
}

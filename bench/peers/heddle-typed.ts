import { generateSecretKey } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import {
  bytes,
  defineProtocol,
  implement,
  notify,
  request,
  struct,
  text,
  uint,
} from "@heddle/protocol";
import type { ContextOf } from "@heddle/protocol";

import { MANY } from "./heddle.ts";
import type { BenchPeer, Client } from "./peer.ts";

const word = struct({ word: text });

type Definition = ReturnType<typeof define>;

function define(n: number) {
  return defineProtocol({
    name: `bench${n}`,
    version: 1,
    messages: {
      data: notify(0, bytes),
      count: request(1, 2, struct({}), struct({ messages: uint, bytes: uint })),
      word: request(3, 4, word, word),
    },
  });
}

const defined: Definition[] = [];

function definitionsOf(count: number): Definition[] {
  while (defined.length < count) defined.push(define(defined.length));
  return defined.slice(0, count);
}

function protocols(definitions: readonly Definition[]): ReturnType<typeof implement> {
  return definitions.flatMap((definition) =>
    implement([definition], {
      state: () => ({ messages: 0, bytes: 0 }),
      on: {
        data(c, data) {
          c.state.messages += 1;
          c.state.bytes += data.length;
        },
        count(c) {
          const counted = { ...c.state };
          c.state.messages = 0;
          c.state.bytes = 0;
          return counted;
        },
        word: (_c, asked) => ({ word: asked.word === "foo" ? "bar" : "" }),
      },
    }),
  );
}

/** Heddle's typed layer: the same work as declared messages, schemas and handlers. */
export const heddleTyped: BenchPeer = {
  async serve(count) {
    const options = { clientId: "bench/1", listen: "127.0.0.1:0", ...MANY };
    const key = generateSecretKey();
    const server = new Server({ ...options, key, protocols: protocols(definitionsOf(count)) });
    await server.start();
    return server.enode;
  },

  async client(enode, count): Promise<Client> {
    const key = generateSecretKey();
    const definitions = definitionsOf(count);
    const server = new Server({ clientId: "bench/1", key, protocols: protocols(definitions) });
    await server.start();
    return {
      async connect() {
        const peer = await server.dial(enode);
        const contexts: ContextOf<Definition, unknown>[] = await Promise.all(
          definitions.map((definition) => peer.protocol(definition)),
        );
        const at = (channel: number): ContextOf<Definition, unknown> => {
          const context = contexts[channel];
          if (context === undefined) throw new Error(`protocol ${channel} does not run`);
          return context;
        };
        const first = at(0);
        return {
          send: (channel, { content }) => at(channel).send.data(content),
          finish: (channel) => at(channel).call.count({}),
          async roundTrip() {
            const reply = await first.call.word({ word: "foo" });
            if (reply.word !== "bar") throw new Error(`got ${reply.word} for foo`);
          },
          close: () => void peer.disconnect(),
        };
      },
      dispose: () => server.stop(),
    };
  },
};

import { once } from "node:events";

import { UselessPeer } from "@heddle/p2p";
import type { Peer, Protocol } from "@heddle/p2p";
import {
  bytes,
  defineProtocol,
  implement,
  list,
  notify,
  request,
  struct,
  text,
  tuple,
  uint,
} from "@heddle/protocol";

const word = text({ max: 100 });
const messages = {
  status: notify(0, struct({ network: uint, name: word })),
  range: request(1, 2, struct({ from: uint, count: uint }), list(uint), { maxReplyBytes: 10_000 }),
  store: notify(3, struct({ key: word, value: bytes({ max: 1_000 }) })),
};
/** Hands out numbers, takes values. */
export const Range1 = defineProtocol({ name: "range", version: 1, handshake: "status", messages });

/** What may be wrong with a protocol that is otherwise right. */
export interface Planted {
  readonly range?: (count: number) => readonly number[] | Promise<readonly number[]>;
  readonly store?: (value: Uint8Array, peer: Peer) => unknown;
  readonly run?: (answer: readonly number[]) => Promise<void>;
}

/** The numbers from 0 on. */
export const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** A protocol that checks what it gets, but for what is planted. */
export function createRange({ range, store, run }: Planted = {}): Protocol[] {
  return implement([Range1], {
    handshake: {
      local: () => ({ network: 7, name: "range" }),
      verify({ network }) {
        if (network !== 7) throw new UselessPeer();
      },
    },
    on: {
      range: (_c, { count }) => range?.(count) ?? numbers(Math.min(count, 1_000)),
      store: (c, { value }) => store?.(value, c.peer),
    },
    ...(run === undefined
      ? {}
      : {
          async run(c) {
            await run(await c.call.range({ from: 0, count: 3 }));
            if (!c.signal.aborted) await once(c.signal, "abort");
          },
        }),
  });
}

/** A raw protocol: a number is answered by that many bytes. */
export function createZeros(max: number): Protocol {
  return {
    name: "zeros",
    version: 1,
    length: 2,
    async run(_peer, rw) {
      for await (const message of rw) {
        if (message.code === 1) continue;
        const [count] = message.decode(tuple(uint));
        await rw.sendItems(1, new Uint8Array(Math.min(count, max)));
      }
    },
  };
}

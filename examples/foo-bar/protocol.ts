import type { Peer, Protocol } from "@heddle/p2p";

/** What one program does with the words it hears. */
export interface FooBarOptions {
  /** Called for every word that is not "foo". */
  readonly heard: (word: string, peer: Peer) => void;
  /** How many times to say "foo" to whom we dialed; it ends when as many answers came. */
  readonly count?: number;
}

/** go-ethereum's first example: hears ["foo"], answers ["bar"], tells anything else. */
export function createFooBar({ heard, count = 0 }: FooBarOptions): Protocol {
  return {
    name: "MyProtocol",
    version: 1,
    length: 1,
    async run(peer, rw) {
      let left = peer.inbound ? 0 : count;
      if (left > 0) await rw.sendItems(0, "foo");
      for await (const message of rw) {
        const word = readWord(message.decode());
        if (word === "foo") {
          await rw.sendItems(0, "bar");
          continue;
        }
        heard(word, peer);
        if (left === 0) continue;
        left -= 1;
        if (left === 0) return;
        await rw.sendItems(0, "foo");
      }
    },
  };
}

function readWord(value: unknown): string {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return first instanceof Uint8Array ? new TextDecoder().decode(first) : "(no word)";
}

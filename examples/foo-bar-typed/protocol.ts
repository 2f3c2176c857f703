import type { Peer, Protocol } from "@heddle/p2p";
import {
  defineProtocol,
  extendProtocol,
  implement,
  notify,
  request,
  text,
  tuple,
} from "@heddle/protocol";

/** Every message is a list of one word, as in go-ethereum's first example. */
const word = tuple(text({ max: 1_024 }));

/** On the wire exactly what `examples/foo-bar` speaks: one message, on code 0. */
export const FooBar1 = defineProtocol({
  name: "MyProtocol",
  version: 1,
  messages: { word: notify(0, word) },
});

/** Asks properly: with an id that ties the answer to the question, and a deadline. */
export const FooBar2 = extendProtocol(FooBar1, {
  version: 2,
  messages: { foo: request(1, 2, word, word, { timeoutMs: 5_000, maxReplyBytes: 1_100 }) },
});

/** What one program does with the words it hears. */
export interface TypedFooBarOptions {
  /** Called for every word that is not "foo". */
  readonly heard: (word: string, peer: Peer, version: 1 | 2) => void;
  /** How many times to say "foo" to whom we dialed; it ends when as many answers came. */
  readonly count?: number;
}

/** Both versions: the older one for programs like the raw example, the newer one for each other. */
export function createTypedFooBar({ heard, count = 0 }: TypedFooBarOptions): Protocol[] {
  return implement([FooBar1, FooBar2], {
    state: (): { answered?: () => void } => ({}),
    on: {
      async word(c, [said]) {
        if (said === "foo") return c.send.word(["bar"]);
        heard(said, c.peer, c.version);
        return c.state.answered?.();
      },
      foo: (_c, [said]) => [said === "foo" ? "bar" : said],
    },
    async run(c) {
      const ended = new Promise<void>((resolve) => {
        c.signal.addEventListener("abort", () => resolve(), { once: true });
      });
      if (c.peer.inbound || count === 0) return ended;
      for (let said = 0; said < count; said++) {
        if (c.version === 2) {
          const [answer] = await c.call.foo(["foo"]);
          heard(answer, c.peer, c.version);
          continue;
        }
        // Version 1 has no ids: the next word that comes is taken for the answer.
        const answered = new Promise<void>((resolve) => (c.state.answered = resolve));
        await c.send.word(["foo"]);
        await Promise.race([answered, ended]);
      }
      return undefined;
    },
  });
}

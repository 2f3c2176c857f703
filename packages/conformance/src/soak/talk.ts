import { bytes, defineProtocol, implement, notify, request, struct, uint } from "@heddle/protocol";
import type { NotifyMessage, ProtocolDefinition, RequestMessage, Schema } from "@heddle/protocol";
import type { Protocol } from "@heddle/p2p";

/** The largest content of an echo, in bytes. */
export const MAX_ECHO: number = 64 * 1024;

/** An echo with this number makes its handler throw. */
export const THROWING_NUMBER = 0xdead;

/** A question of a visitor's, and the answer to it. */
export interface Echo {
  readonly number: number;
  readonly content: Uint8Array;
}

const echo: Schema<Echo> = struct({ number: uint, content: bytes({ max: MAX_ECHO }) });

type TalkTable = {
  readonly echo: RequestMessage<Echo, Echo>;
  readonly noise: NotifyMessage<Uint8Array>;
};

/** What visitors of a soak speak. */
export const Talk1: ProtocolDefinition<"talk", 1, TalkTable, undefined> = defineProtocol({
  name: "talk",
  version: 1,
  messages: { echo: request(0, 1, echo, echo, { timeoutMs: 20_000 }), noise: notify(2, bytes) },
});

/** The host's side: answers what it is asked, and fails where it is told to. */
export function talkProtocols(): readonly Protocol[] {
  return implement([Talk1], {
    concurrency: 4,
    on: {
      echo(_context, asked) {
        if (asked.number === THROWING_NUMBER) throw new TypeError("a handler that fails");
        return asked;
      },
      noise: () => undefined,
    },
  });
}

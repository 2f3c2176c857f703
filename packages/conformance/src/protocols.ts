import type { Message, MessageReadWriter, Peer, Protocol } from "@heddle/p2p";

/** Message codes by protocol name. */
export type Lengths = Readonly<Record<string, number>>;

/**
 * How many message codes the protocols use that the suite can talk to; {@link targetProtocols} has them all for a
 * Heddle server, the go-ethereum peer in `test/interop` too.
 */
export const LENGTHS: Lengths = {
  MyProtocol: 1,
  bench: 3,
  echo: 4,
  hold: 1,
  wide: 1024,
};

/** Versions under which {@link targetProtocols} registers each name. */
const VERSIONS: Readonly<Record<string, readonly number[]>> = {
  MyProtocol: [1],
  bench: [1],
  echo: [1, 2, 3],
  hold: [1],
  wide: [1],
};

type Answer = (message: Message) => { code: number; payload: Uint8Array } | undefined;

/** Code 0 comes back as code 1. */
const echo: Answer = ({ code, payload }) => (code === 0 ? { code: 1, payload } : undefined);

/** An even code comes back as the next odd one. */
const wide: Answer = ({ code, payload }) =>
  code % 2 === 0 ? { code: code + 1, payload } : undefined;

const ANSWERS: Readonly<Record<string, Answer>> = { echo, wide };

/**
 * What a server under test should speak for every case to be possible: `echo` and `wide` return what they get, `hold`
 * never reads, the rest read and say nothing.
 */
export function targetProtocols(): Protocol[] {
  return Object.entries(VERSIONS).flatMap(([name, versions]) =>
    versions.map((version) => ({
      name,
      version,
      length: LENGTHS[name] ?? 0,
      run: (peer: Peer, rw: MessageReadWriter) =>
        name === "hold" ? ended(peer) : answerAll(rw, ANSWERS[name]),
    })),
  );
}

async function answerAll(rw: MessageReadWriter, answer: Answer | undefined): Promise<void> {
  for await (const message of rw) {
    const reply = answer?.(message);
    if (reply !== undefined) await rw.sendEncoded(reply.code, reply.payload);
  }
}

function ended({ signal }: Peer): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

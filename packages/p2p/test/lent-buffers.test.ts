import { expect, test } from "vitest";

import type { MessageReadWriter, ServerOptions } from "../src/index.ts";
import { Scripted, settle, startServer, turn, within } from "./harness.ts";

const KIB = 1024;
const CONNECTIONS = 4;
/** In all more than the kernel's buffers of a connection hold, so that batches have to wait for their turn. */
const MESSAGES = 120;

/** Numbers from 0 to 2^32-1 that a seed fixes. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** The `n`th message of a connection: sizes around the pool's, content that does not compress. */
function messageOf(connection: number, n: number): Uint8Array {
  const next = seeded(connection * 1_000 + n);
  const sizes = [40, 20 * KIB, 64 * KIB, 130 * KIB, 300 * KIB];
  const words = new Uint32Array((sizes[next() % sizes.length] ?? 0) / 4);
  for (let i = 0; i < words.length; i += 1) words[i] = next();
  return new Uint8Array(words.buffer);
}

/** Reads what {@link messageOf} makes, now at once and now after a while; says which were changed on the way. */
async function readSlowly(rw: MessageReadWriter, connection: number): Promise<number[]> {
  const pace = seeded(connection);
  const wrong: number[] = [];
  for (let n = 0; n < MESSAGES; n += 1) {
    if (pace() % 4 === 0) await settle(pace() % 8);
    const { payload } = await within("a message", rw.read(), 30_000);
    if (Buffer.compare(payload, messageOf(connection, n)) !== 0) wrong.push(n);
  }
  return wrong;
}

async function writeAll(rw: MessageReadWriter, connection: number): Promise<void> {
  for (let n = 0; n < MESSAGES; n += 1) {
    await rw.sendEncoded(0, messageOf(connection, n));
    if (n % 7 === 0) await turn();
  }
}

test("batches of connections that share lent buffers arrive whole, however slowly they are read", async () => {
  const options: Partial<ServerOptions> = {
    // Without it, a reader that waits stops the stream, and what is sealed stays in our hands.
    flowControl: false,
    limits: { inboxBytes: 256 * KIB },
  };
  const hubProtocol = new Scripted();
  const hub = await startServer({ ...options, listen: "127.0.0.1:0", protocols: [hubProtocol] });
  const runs: [MessageReadWriter, MessageReadWriter][] = [];
  for (let connection = 0; connection < CONNECTIONS; connection += 1) {
    const protocol = new Scripted();
    const server = await startServer({ ...options, protocols: [protocol] });
    await within("a dial", server.dial(hub.enode));
    runs.push([(await hubProtocol.next()).rw, (await protocol.next()).rw]);
  }
  const written = runs.map(([from], connection) => writeAll(from, connection));
  // Every writer is held up by then, with a batch in hand.
  await settle(300);
  const outcomes = await Promise.all(runs.map(([, to], connection) => readSlowly(to, connection)));
  await Promise.all(written);
  expect(outcomes).toEqual(runs.map(() => []));
}, 60_000);

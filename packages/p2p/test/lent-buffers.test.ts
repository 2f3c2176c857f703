import { expect, test } from "vitest";

import type { MessageReadWriter, ServerOptions } from "../src/index.ts";
import { Scripted, settle, startServer, turn, within } from "./harness.ts";

const KIB = 1024;

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
  const sizes = [1, 300, 20 * KIB, 64 * KIB, 130 * KIB, 300 * KIB];
  const payload = new Uint8Array(sizes[next() % sizes.length] ?? 1);
  for (let i = 0; i < payload.length; i += 1) payload[i] = next();
  return payload;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Reads what {@link messageOf} makes, now at once and now after a while; says what is wrong. */
async function readSlowly(rw: MessageReadWriter, connection: number, count: number) {
  const pace = seeded(connection);
  const wrong: number[] = [];
  for (let n = 0; n < count; n += 1) {
    if (pace() % 4 === 0) await settle(pace() % 8);
    const { payload } = await within("a message", rw.read(), 30_000);
    if (!same(payload, messageOf(connection, n))) wrong.push(n);
  }
  return wrong;
}

test.each([true, false])(
  "batches of many connections that share lent buffers arrive whole at slow readers (flow control: %s)",
  async (flowControl) => {
    const [connections, count] = [4, 60];
    const options: Partial<ServerOptions> = { flowControl, limits: { inboxBytes: 512 * KIB } };
    const hubProtocol = new Scripted();
    const hub = await startServer({ ...options, listen: "127.0.0.1:0", protocols: [hubProtocol] });
    const outcomes: Promise<number[]>[] = [];
    for (let connection = 1; connection <= connections; connection += 1) {
      const protocol = new Scripted();
      const server = await startServer({ ...options, protocols: [protocol] });
      await within("a dial", server.dial(hub.enode));
      const { rw } = await protocol.next();
      const { rw: hubRw } = await hubProtocol.next();
      // Both ways at once: what is read and what is written is lent from the same pool.
      for (const [to, from] of [
        [rw, hubRw],
        [hubRw, rw],
      ] as const) {
        outcomes.push(readSlowly(from, connection, count));
        void (async () => {
          for (let n = 0; n < count; n += 1) {
            await to.sendEncoded(0, messageOf(connection, n));
            if (n % 7 === 0) await turn();
          }
        })();
      }
    }
    expect(await Promise.all(outcomes)).toEqual(outcomes.map(() => []));
  },
  60_000,
);

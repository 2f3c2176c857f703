import { bytesEqual, nodeIdOf } from "@heddle/identity";
import { DisconnectReason, MAX_HELLO_SIZE, memoryStreamPair } from "@heddle/p2p";
import type { MessageReadWriter, Protocol, Session } from "@heddle/p2p";
import { bytes } from "@heddle/protocol";
import { RemoteProtocolError } from "@heddle/rlpx";
import { array, assert, asyncProperty, integer, uint8Array } from "fast-check";
import { expect, test } from "vitest";

import { connectedPair, nullSession, seededRandom } from "../src/index.ts";

const keys = [seededRandom(1).secretKey(), seededRandom(2).secretKey()] as const;
const { signal } = new AbortController();

async function sessions(): Promise<[Session, Session]> {
  const [near, far] = memoryStreamPair();
  return Promise.all([
    nullSession(near, { secretKey: keys[0], remoteId: nodeIdOf(keys[1]), signal }),
    nullSession(far, { secretKey: keys[1], signal }),
  ]);
}

test("both sides learn each other's id", async () => {
  const [near, far] = await sessions();
  expect(near.remoteId).toEqual(nodeIdOf(keys[1]));
  expect(far.remoteId).toEqual(nodeIdOf(keys[0]));
});

test("a node that is not the one dialed is refused", async () => {
  const [near, far] = memoryStreamPair();
  const other = nodeIdOf(seededRandom(3).secretKey());
  const dialing = nullSession(near, { secretKey: keys[0], remoteId: other, signal });
  await Promise.all([
    expect(dialing).rejects.toMatchObject({ reason: DisconnectReason.unexpectedIdentity }),
    nullSession(far, { secretKey: keys[1], signal }),
  ]);
});

test("a stream that ends, and a signal that aborts, end the wait", async () => {
  const [near, far] = memoryStreamPair();
  const waiting = nullSession(near, { secretKey: keys[0], signal });
  far.destroy();
  await expect(waiting).rejects.toThrow("ended");
  const reason = new Error("enough");
  const aborted = nullSession(memoryStreamPair()[0], {
    secretKey: keys[0],
    signal: AbortSignal.abort(reason),
  });
  await expect(aborted).rejects.toBe(reason);
});

test("messages come out as they went in, however the bytes are split", async () => {
  await assert(
    asyncProperty(
      array(uint8Array({ maxLength: 200 }), { maxLength: 5 }),
      integer({ min: 1, max: 50 }),
      async (payloads, step) => {
        const [near, far] = await sessions();
        near.codec.helloAccepted(5);
        far.codec.helloAccepted(5);
        for (const [i, payload] of payloads.entries()) near.codec.push(i, payload);
        expect(near.codec.pendingBytes).toBe(payloads.reduce((sum, p) => sum + 8 + p.length, 0));
        const wire = near.codec.take();
        const read = [];
        for (let at = 0; at < wire.length; at += step) {
          far.codec.feed(wire.subarray(at, at + step));
          for (let m = far.codec.next(); m !== undefined; m = far.codec.next()) read.push(m);
        }
        expect(read).toEqual(payloads.map((payload, msgId) => ({ msgId, payload })));
      },
    ),
    { numRuns: 50 },
  );
});

test("strangers may send 2 KiB, peers 16 MiB, both of them by the length alone", async () => {
  const [near, far] = await sessions();
  expect(() => near.codec.push(0, new Uint8Array(MAX_HELLO_SIZE + 1))).toThrow("exceeds 2048");
  near.codec.push(0, new Uint8Array(MAX_HELLO_SIZE));
  far.codec.feed(Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 0));
  expect(() => far.codec.next()).toThrow(RemoteProtocolError);
  near.codec.helloAccepted(5);
  near.codec.feed(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0));
  expect(() => near.codec.next()).toThrow("frame-size 16777216 exceeds 16777215");
});

test("servers speak over it", async () => {
  const echo: Protocol = {
    name: "echo",
    version: 1,
    length: 1,
    async run(peer, rw) {
      rw.provide(rw);
      if (peer.inbound) for await (const { payload } of rw) await rw.sendEncoded(0, payload);
      else await new Promise((resolve) => peer.signal.addEventListener("abort", resolve));
    },
  };
  await using pair = await connectedPair([echo], [echo], { session: nullSession });
  const rw = await pair.peerOnA.protocol<MessageReadWriter>({ name: "echo" });
  const sent = new Uint8Array(300_000).fill(7);
  await rw.send(0, sent);
  // Not toEqual, which takes half a second for this.
  expect(bytesEqual((await rw.read()).decode(bytes), sent)).toBe(true);
});

import { DialError, DisconnectReason } from "@heddle/p2p";
import type { MessageReadWriter, Protocol } from "@heddle/p2p";
import { expect, test } from "vitest";

import { connectedPair, VirtualClock } from "../src/index.ts";

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

test("two servers are connected and speak their protocols", async () => {
  await using pair = await connectedPair([echo]);
  expect(pair.peerOnA.id).toEqual(pair.b.id);
  expect(pair.peerOnB.id).toEqual(pair.a.id);
  expect(pair.peerOnB.inbound).toBe(true);
  const rw = await pair.peerOnA.protocol<MessageReadWriter>({ name: "echo" });
  await rw.send(0, "hello");
  const { payload } = await rw.read();
  expect(new TextDecoder().decode(payload.subarray(1))).toBe("hello");
});

test("disposing it ends the connection on both sides", async () => {
  const pair = await connectedPair([echo]);
  await pair[Symbol.asyncDispose]();
  expect(pair.peerOnA.signal.reason).toMatchObject({ reason: DisconnectReason.clientQuitting });
  expect(pair.peerOnB.signal.aborted).toBe(true);
  expect([pair.a.isRunning, pair.b.isRunning]).toEqual([false, false]);
});

test("disposing it lets the virtual time pass that the end takes", async () => {
  const clock = new VirtualClock();
  const deaf: Protocol = { ...echo, run: () => new Promise(() => undefined) };
  const pair = await connectedPair([deaf], [deaf], { clock });
  await pair[Symbol.asyncDispose]();
  expect([pair.a.isRunning, pair.b.isRunning]).toEqual([false, false]);
  expect(clock.now()).toBeGreaterThan(0);
});

test("servers that share no protocol do not come together, and are stopped", async () => {
  const failed = connectedPair([echo], [{ ...echo, name: "other" }]);
  await expect(failed).rejects.toThrow(DialError);
  await expect(failed).rejects.toMatchObject({ reason: DisconnectReason.uselessPeer });
});

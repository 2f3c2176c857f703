import { encodeRlp } from "@heddle/identity";
import { DEFAULT_LIMITS } from "@heddle/p2p";
import { describe, expect, test } from "vitest";

import {
  dialRaw,
  idle,
  keyOf,
  Scripted,
  settle,
  startServer,
  turn,
  until,
  watchEscapes,
  within,
} from "./helpers.ts";
import type { RawPeer } from "./helpers.ts";

const listen = "127.0.0.1:0";

describe("strangers on TCP who never become peers", () => {
  const CROWD = 500;
  const kinds: { what: string; attack: (raw: RawPeer, id: Uint8Array) => Promise<unknown> }[] = [
    { what: "say nothing", attack: () => Promise.resolve() },
    { what: "stop after the encryption handshake", attack: (raw, id) => raw.initiate(id) },
    {
      what: "trickle",
      attack: async (raw) => {
        for (let i = 0; i < 5; i += 1) {
          raw.stream.write(Uint8Array.of(1));
          await turn();
        }
      },
    },
  ];

  test.each(kinds)(
    "500 that $what hold no more than the pending slots, and an honest peer gets in",
    async ({ attack }) => {
      const escaped = watchEscapes();
      const server = await startServer({ listen, protocols: [idle()] });
      const crowd: RawPeer[] = [];
      for (let i = 0; i < CROWD; i += 1) {
        const raw = await dialRaw(server, keyOf(5_000 + i));
        crowd.push(raw);
        await attack(raw, server.id);
        // The other half comes while the honest one knocks.
        if (i !== CROWD / 2) continue;
        const honest = await startServer({ protocols: [idle()] });
        await within("an honest dial", honest.dial(server.enode));
      }
      await until("the honest peer is in", () => server.peers.length === 1);
      const open = () => crowd.filter(({ isClosed, isEnded }) => !isClosed && !isEnded).length;
      await until("the slots are what is left", () => {
        return open() <= DEFAULT_LIMITS.maxPendingHandshakes;
      });
      const honest = await startServer({ protocols: [idle()] });
      await within("another honest dial", honest.dial(server.enode));
      await until("both are in", () => server.peers.length === 2);
      await server.stop();
      await until("nobody is left", () => open() === 0);
      expect(escaped).toEqual([]);
    },
  );
});

test("garbage without end is cut at the first bad header, whatever follows", async () => {
  const server = await startServer({ listen, protocols: [idle()] });
  const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
  await raw.greet();
  await until("a peer", () => server.peers.length === 1);
  const garbage = crypto.getRandomValues(new Uint8Array(64 * 1024));
  for (let i = 0; i < 100 && !raw.isClosed; i += 1) {
    raw.stream.write(garbage.slice());
    await turn();
  }
  await until("the peer is gone", () => server.peers.length === 0);
});

test("a Hello of nested lists as large as a frame may be costs nothing", async () => {
  const server = await startServer({ listen, protocols: [idle()] });
  const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
  raw.send(0, new Uint8Array(2_048).fill(0xc1));
  expect(await raw.readDisconnect()).toBe(0x02);
});

test("1 GiB offered to a protocol that never reads is not taken in", async () => {
  const near = { lazy: new Scripted("lazy"), busy: new Scripted("busy") };
  const far = { lazy: new Scripted("lazy"), busy: new Scripted("busy") };
  const server = await startServer({ listen, protocols: [far.lazy, far.busy] });
  const dialer = await startServer({ protocols: [near.lazy, near.busy] });
  await within("a dial", dialer.dial(server.enode));
  const lazy = await near.lazy.next();
  await far.lazy.next();
  const message = new Uint8Array(1024 * 1024);
  for (let at = 0; at < message.length; at += 64 * 1024) {
    crypto.getRandomValues(message.subarray(at, at + 64 * 1024));
  }
  let accepted = 0;
  const offer = (async () => {
    for (let i = 0; i < 1024; i += 1) {
      await lazy.rw.sendEncoded(0, message);
      accepted += 1;
    }
  })();
  offer.catch(() => undefined);
  const [asker, answerer] = [await near.busy.next(), await far.busy.next()];
  for (let i = 1; i <= 50; i += 1) {
    await asker.rw.send(0, i);
    expect((await within("beside the flood", answerer.rw.read())).payload).toEqual(encodeRlp(i));
  }
  await settle();
  expect(accepted).toBeLessThan(8);
  const bytes = server.counters.protocols["lazy/1"]?.in[0]?.bytes ?? 0;
  expect(bytes).toBeLessThanOrEqual(8 * 1024 * 1024);
});

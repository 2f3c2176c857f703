import { concatBytes } from "@heddle/identity";

import type { Case } from "../case.ts";
import { accepted, refused, silent, wrong } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import type { Probe } from "../probe.ts";
import { every } from "./every.ts";
import { PATIENCE_MS, TRICKLE } from "./patience.ts";

const INITIAL = "devp2p rlpx.md §Initial Handshake";
const ECIES = "devp2p rlpx.md §ECIES Encryption";

/** What every ECIES packet has beside its plaintext, in bytes. */
const OVERHEAD = 113;

const sizes: readonly Case[] = [
  {
    name: "handshake/oversize-prefix",
    asks: "a size over 2048 is refused by its two bytes, before anything else arrives",
    source: "go-ethereum #30029: the specification leaves the bound open",
    expects: {
      kind: "refused",
    },
    run: (probe) => probe.sooner("open", () => probe.offerAuth(Uint8Array.of(0x08, 0x01))),
  },
  {
    name: "handshake/undersize-prefix",
    asks: "a size that ECIES alone exceeds is refused, and nothing is read before its start",
    source: ECIES,
    expects: { kind: "refused" },
    run: (probe) => everyLength(probe, 0, OVERHEAD),
  },
  {
    name: "handshake/every-length",
    asks: "an auth cut short to any length, its size saying so, is refused",
    source: ECIES,
    expects: { kind: "refused" },
    run: (probe) => everyLength(probe, OVERHEAD, Infinity),
  },
  {
    name: "handshake/every-truncation",
    asks: "a connection that ends inside the auth, after any number of bytes, is let go of",
    source: INITIAL,
    expects: { kind: "refused" },
    run: (probe) => {
      const auth = probe.auth().packet;
      return every({
        inputs: range(0, auth.length),
        expected: "refused",
        label: (length) => `${length} bytes`,
        attempt: (length) =>
          probe.sooner("open", () => probe.offerAuth(auth.subarray(0, length), "end")),
      });
    },
  },
];

/** Every packet of `length` bytes and a matching size, cut from a valid auth. */
function everyLength(probe: Probe, from: number, to: number): Promise<Outcome> {
  const auth = probe.auth().packet;
  return every({
    inputs: range(from, Math.min(to, auth.length - 2)),
    expected: "refused",
    label: (length) => `size ${length}`,
    attempt: (length) => {
      const packet = auth.slice(0, 2 + length);
      packet.set([length >> 8, length & 0xff]);
      return probe.sooner("open", () => probe.offerAuth(packet));
    },
  });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

const pace: readonly Case[] = [
  {
    name: "handshake/trickled",
    asks: "an auth that arrives byte by byte is taken like any other",
    source: INITIAL,
    expects: { kind: "accepted" },
    async run(probe) {
      const auth = probe.auth();
      const wire = await probe.wire();
      for (const byte of auth.packet) await wire.write(Uint8Array.of(byte));
      await probe.readHello(await probe.session(auth, wire));
      return accepted(`ack and Hello after ${auth.packet.length} writes`);
    },
  },
  {
    name: "handshake/hello-behind-auth",
    asks: "bytes right behind a valid auth are the first frame, which nobody can seal yet: refused",
    source: INITIAL,
    expects: { kind: "refused" },
    run: (probe) =>
      probe.sooner("session", async () => {
        const wire = await probe.wire();
        await wire.write(concatBytes(probe.auth().packet, new Uint8Array(32).fill(0x55)));
        for (;;) {
          const answer = await wire.read(probe.waitMs);
          if (answer === undefined) return silent(probe.waitMs);
          if (!(answer instanceof Uint8Array)) return refused(answer);
        }
      }),
  },
  {
    name: "handshake/silence",
    asks: "a connection on which nothing arrives is let go of within 30 s",
    source: "devp2p rlpx.md §Initial Handshake leaves the time open; go-ethereum takes 5 s",
    expects: { kind: "refused" },
    isSlow: true,
    run: (probe) => waitEnd(probe, new Uint8Array(0)),
  },
  {
    name: "handshake/silence-after-size",
    asks: "a connection that announces an auth and sends none is let go of within 30 s",
    source: "devp2p rlpx.md §Initial Handshake leaves the time open; go-ethereum takes 5 s",
    expects: { kind: "refused" },
    isSlow: true,
    run: (probe) => waitEnd(probe, Uint8Array.of(0x01, 0x90)),
  },
  {
    name: "handshake/trickled-for-ever",
    asks: "an auth that would take minutes to arrive is given up within 30 s, although bytes keep coming",
    source: "devp2p rlpx.md §Initial Handshake leaves the time open; go-ethereum takes 5 s",
    expects: { kind: "refused" },
    isSlow: true,
    async run(probe) {
      const wire = await probe.wire();
      const ms = await wire.trickle(probe.auth().packet, TRICKLE);
      if (ms === undefined) return accepted(`still read after ${PATIENCE_MS} ms`);
      return { kind: "refused", detail: `closed after ${Math.round(ms / 1000)} s` };
    },
  },
];

async function waitEnd(probe: Probe, first: Uint8Array): Promise<Outcome> {
  const wire = await probe.wire();
  await wire.write(first);
  const startedAt = Date.now();
  const answer = await wire.read(PATIENCE_MS);
  if (answer === undefined) return silent(PATIENCE_MS);
  if (answer instanceof Uint8Array) return wrong(`answered ${answer.length} bytes`);
  return {
    kind: "refused",
    detail: `closed after ${Math.round((Date.now() - startedAt) / 1000)} s`,
  };
}

/** How the node takes an auth that is too long, too short, slow, or never comes. */
export const handshakePaceCases: readonly Case[] = [...sizes, ...pace];

import { bytesEqual } from "@heddle/identity";

import type { Case } from "../case.ts";
import { EMPTY_LIST, token } from "../link.ts";
import type { Link } from "../link.ts";
import { accepted, hex, wrong } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import type { Probe } from "../probe.ts";
import { stall } from "./base.ts";
import { every } from "./every.ts";

const OFFSETS = "devp2p rlpx.md §Message ID-based Multiplexing";

const SILENT_CLOSE = "it ends the connection without saying why, which nobody must";

/** A message that was sent, and what must come back. */
interface Sent {
  readonly answerId: number;
  readonly payload: Uint8Array;
}

/** Waits for every answer, those of one protocol in the order in which it was asked; nothing else may come. */
async function allReturned(link: Link, sent: readonly Sent[]): Promise<Outcome> {
  const waiting = [...sent];
  while (waiting.length > 0) {
    const strays: string[] = [];
    const outcome = await link.outcome(({ msgId, payload }) => {
      if (msgId < 0x10) return false;
      const at = waiting.findIndex(({ answerId }) => answerId === msgId);
      const next = waiting[at];
      if (next === undefined) strays.push(`${hex(msgId)} came, which was not asked for`);
      else if (bytesEqual(next.payload, payload)) waiting.splice(at, 1);
      else strays.push(`under ${hex(msgId)} came another payload than the next one`);
      return true;
    }, "");
    const [stray] = strays;
    if (stray !== undefined) return wrong(stray);
    if (outcome.kind !== "accepted") {
      return { ...outcome, detail: `${waiting.length} answers missing, then ${outcome.detail}` };
    }
  }
  return accepted(sent.length === 1 ? "returned" : `all ${sent.length} returned in order`);
}

const together: readonly Case[] = [
  {
    name: "mux/interleaved",
    asks: "200 messages of two protocols in turn reach each its own, in order",
    source: OFFSETS,
    expects: { kind: "accepted" },
    needs: ["echo", "wide"],
    async run(probe) {
      const link = await probe.link();
      const offsets = [link.echoPlace.offset, link.place("wide").offset];
      const sent: Sent[] = [];
      const frames: Uint8Array[] = [];
      for (let i = 0; i < 200; i += 1) {
        const msgId = offsets[i % 2] ?? 0;
        const payload = token(1 + ((i * 37) % 2000));
        sent.push({ answerId: msgId + 1, payload });
        frames.push(link.peer.seal(msgId, payload));
      }
      await link.peer.wire.write(Buffer.concat(frames));
      return allReturned(link, sent);
    },
  },
  {
    name: "mux/large-between-small",
    asks: "a message of 4 MiB of one protocol harms none of another's around it",
    source: OFFSETS,
    expects: { kind: "accepted" },
    needs: ["echo", "wide"],
    async run(probe) {
      const link = await probe.link();
      const [echo, wide] = [link.echoPlace.offset, link.place("wide").offset];
      const small = [token(), token()] as const;
      const sent = [
        { answerId: wide + 1, payload: small[0] },
        { answerId: echo + 1, payload: token(1 << 22) },
        { answerId: wide + 1, payload: small[1] },
      ];
      const frames = sent.map(({ answerId, payload }) => link.peer.seal(answerId - 1, payload));
      // Not waited for: we read while we write, as the node may do, too.
      const written = link.peer.wire.write(Buffer.concat(frames));
      const outcome = await allReturned(link, sent);
      await written;
      return outcome;
    },
  },
  {
    name: "mux/one-stalled",
    asks: "a protocol that does not read 64 messages does not keep another one from its own",
    source: OFFSETS,
    expects: {
      kind: "accepted",
      opposite: "it ends the session, as it may when a protocol does not read",
    },
    needs: ["echo", "hold"],
    async run(probe) {
      const link = await probe.link();
      stall(link);
      return link.echo(token());
    },
  },
];

const ids: readonly Case[] = [
  {
    name: "mux/ids-above-0x7f",
    asks: "message ids that take two and three bytes in RLP are understood, and written",
    source: "devp2p rlpx.md §Framing: msg-id is an RLP integer",
    expects: { kind: "accepted" },
    needs: ["wide"],
    async run(probe) {
      const link = await probe.link();
      const { offset, length } = link.place("wide");
      const highest = (length - 2) & ~1;
      const codes = [0x7e - offset, 0x80 - offset, 0xfe - offset, 0x100 - offset, highest]
        .map((code) => code & ~1)
        .filter((code) => code >= 0 && code <= highest);
      for (const code of codes) {
        const outcome = await link.echo(token(), "wide", code);
        if (outcome.kind !== "accepted") {
          return { ...outcome, detail: `${hex(offset + code)}: ${outcome.detail}` };
        }
      }
      return accepted(`returned under ${codes.map((code) => hex(offset + code + 1)).join(", ")}`);
    },
  },
  {
    name: "mux/neighbours",
    asks: "the last code of a protocol is its own; the next id is its neighbour's first",
    source: OFFSETS,
    expects: { kind: "accepted" },
    needs: ["echo", "wide"],
    async run(probe) {
      const { echo, lengths } = probe;
      const both = probe.offer.filter(({ name }) => name === echo || name === "wide");
      const link = await probe.link({ offer: both });
      const { offset } = link.echoPlace;
      const next = offset + (lengths[echo] ?? 0);
      const last = next + link.place("wide").length - 2;
      const sent = [next, last].map((msgId) => ({ answerId: msgId + 1, payload: token() }));
      // Nobody answers this one: a neighbour who took it for its own would.
      link.peer.sendRaw(next - 1, token());
      for (const { answerId, payload } of sent) link.peer.sendRaw(answerId - 1, payload);
      const outcome = await allReturned(link, sent);
      return outcome.kind === "accepted"
        ? accepted(`the neighbour begins at ${hex(next)}`)
        : outcome;
    },
  },
];

/** The first id behind every shared protocol. */
function endOfIds(link: Link): number {
  const last = link.places.at(-1);
  return last === undefined ? 0x10 : last.offset + last.length;
}

/** Sends ids that belong to nobody, on a connection each; a Pong behind them would show that they were taken. */
function outOfRange(
  name: string,
  asks: string,
  idsOf: (link: Link) => readonly (number | bigint)[],
): Case {
  return {
    name: `mux/${name}`,
    asks,
    source: OFFSETS,
    expects: { kind: "refused", reasons: [0x02], otherwise: SILENT_CLOSE },
    needs: ["echo"],
    run: (probe) => probe.sooner("active", () => refuseAll(probe, idsOf)),
  };
}

async function refuseAll(
  probe: Probe,
  idsOf: (link: Link) => readonly (number | bigint)[],
): Promise<Outcome> {
  const inputs = idsOf(await probe.link());
  return every({
    inputs,
    expected: "refused",
    label: (msgId) => `id 0x${msgId.toString(16)}`,
    attempt: (msgId) =>
      probe.briefly(async (link) => {
        link.peer.sendRaw(msgId, EMPTY_LIST);
        return link.end();
      }),
  });
}

const ranges: readonly Case[] = [
  outOfRange("beyond-last", "the first id behind the last protocol is refused", (link) => [
    endOfIds(link),
    endOfIds(link) + 1,
  ]),
  outOfRange("far-beyond", "ids far beyond every protocol, up to 64 bits, are refused", (link) => [
    endOfIds(link) + 256,
    endOfIds(link) + 65_536,
    2 ** 31,
    2n ** 32n,
    // The lowest byte, or two, or four, are those of a message that the node would answer.
    2n ** 32n + BigInt(link.echoPlace.offset),
    2n ** 63n + 2n,
    2n ** 64n - 1n,
  ]),
];

/** How messages of several protocols share one connection. */
export const muxCases: readonly Case[] = [...together, ...ids, ...ranges];

import { encodeRlp } from "@heddle/identity";
import { BaseMessage } from "@heddle/p2p";
import type { ScriptedMessage } from "@heddle/testing";

import type { Case } from "../case.ts";
import { EMPTY_LIST, token } from "../link.ts";
import type { Link } from "../link.ts";
import { accepted, hex, refused, silent, wrong } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import type { Probe } from "../probe.ts";
import { every } from "./every.ts";

const PING = "devp2p rlpx.md §Ping (0x02)";
const PONG = "devp2p rlpx.md §Pong (0x03)";
const BASE = 'devp2p rlpx.md §"p2p" Capability';
const ID_BASED = "devp2p rlpx.md §Message ID-based Multiplexing";

const isPong = ({ msgId }: ScriptedMessage): boolean => msgId === BaseMessage.pong;

/** Waits for so many Pongs, and for an answer behind them. */
async function pongs(link: Link, count: number): Promise<Outcome> {
  const outcome = await link.pongs(count);
  if (outcome.kind !== "accepted") return outcome;
  const last = await link.answers();
  return last.kind === "accepted" ? accepted(`${count} Pongs, and the session goes on`) : last;
}

/** Seals so many Pings into one write. */
function flood(link: Link, count: number): Uint8Array {
  return Buffer.concat(
    Array.from({ length: count }, () => link.peer.seal(BaseMessage.ping, EMPTY_LIST)),
  );
}

/** Sends a message of the base protocol that means nothing here: the session goes on. */
function ignored(name: string, asks: string, source: string, send: (link: Link) => void): Case {
  return {
    name: `base/${name}`,
    asks,
    source,
    expects: { kind: "accepted", opposite: "it disconnects, which the specification leaves open" },
    async run(probe) {
      const link = await probe.link();
      send(link);
      return link.answers();
    },
  };
}

const pings: readonly Case[] = [
  {
    name: "base/ping",
    asks: "Ping is answered by Pong at once",
    source: PING,
    expects: { kind: "accepted" },
    run: async (probe) => (await probe.link()).alive("Pong"),
  },
  {
    name: "base/pong-payload",
    asks: "Pong is an empty list",
    source: PONG,
    expects: { kind: "accepted" },
    async run(probe) {
      const link = await probe.link();
      link.ping();
      const answer = await link.next(isPong);
      if (answer === undefined) return silent(link.waitMs);
      if (typeof answer === "string") return refused(answer);
      if ("reason" in answer) return refused("disconnect", answer.reason);
      const payload = Buffer.from(answer.payload).toString("hex");
      return payload === "c0"
        ? accepted("Pong with c0")
        : wrong(`Pong with ${payload || "nothing"}`);
    },
  },
  {
    name: "base/ping-with-elements",
    asks: "list elements in a Ping, of which none is known, are ignored",
    source: "EIP-8 §Specification",
    expects: { kind: "accepted", opposite: "it takes no Ping but the empty list" },
    async run(probe) {
      const link = await probe.link();
      link.peer.sendRaw(BaseMessage.ping, encodeRlp([1, "later"]));
      return link.outcome(isPong, "Pong");
    },
  },
  {
    name: "base/ping-flood",
    asks: "1,000 Pings in one write are all answered",
    source: PING,
    expects: { kind: "accepted", opposite: "it limits how often it may be pinged" },
    async run(probe) {
      const link = await probe.link();
      await link.peer.wire.write(flood(link, 1000));
      return pongs(link, 1000);
    },
  },
  {
    name: "base/ping-flood-unread",
    asks: "10,000 Pings from a peer that reads no answer: they wait, or the peer is dropped",
    source: "CVE-2023-40591: answers that nobody reads must not pile up",
    expects: { kind: "accepted", opposite: "it drops who does not read" },
    async run(probe) {
      const link = await probe.link();
      link.peer.pause();
      // Not waited for: where the node stops reading, it ends only when we read again.
      const written = link.peer.wire.write(flood(link, 10_000));
      await (await probe.link()).answers();
      link.peer.resume();
      await written;
      return pongs(link, 10_000);
    },
  },
  {
    name: "base/ping-while-stalled",
    asks: "Ping is answered while a subprotocol does not read",
    source: PING,
    expects: { kind: "accepted" },
    needs: ["hold"],
    async run(probe) {
      const link = await probe.link();
      stall(link);
      return link.alive("Pong, with 64 messages unread");
    },
  },
];

/** Sends messages to a protocol that never reads. */
export function stall(link: Link): void {
  const { offset } = link.place("hold");
  for (let i = 0; i < 64; i += 1) link.peer.sendRaw(offset, token(1024));
}

const reserved: readonly Case[] = [
  ignored("unsolicited-pong", "a Pong that answers nothing is ignored", PONG, (link) =>
    link.peer.sendRaw(BaseMessage.pong, EMPTY_LIST),
  ),
  {
    name: "base/reserved-ids",
    asks: "ids 0x04 to 0x0f, which mean nothing yet, are ignored",
    source: ID_BASED,
    expects: { kind: "accepted", opposite: "it disconnects, which the specification leaves open" },
    run: (probe) =>
      every({
        inputs: Array.from({ length: 12 }, (_, i) => 0x04 + i),
        expected: "accepted",
        label: hex,
        attempt: (msgId) =>
          probe.briefly(async (link) => {
            link.peer.sendRaw(msgId, EMPTY_LIST);
            const outcome = await link.answers();
            return outcome.kind === "accepted" ? accepted("the session goes on") : outcome;
          }),
      }),
  },
];

/** Longer than any node may be silent without being taken for dead. */
const IDLE_MS = 40_000;

const keepalive: readonly Case[] = [
  {
    name: "base/keepalive",
    asks: "a connection without traffic but Ping and Pong lives on after 40 s",
    source: BASE,
    expects: { kind: "accepted" },
    isSlow: true,
    async run(probe) {
      const link = await probe.link();
      let pinged = 0;
      const answer = await link.next(({ msgId }) => {
        if (msgId === BaseMessage.ping) pinged += 1;
        return false;
      }, IDLE_MS);
      if (typeof answer === "string") return refused(answer);
      if (answer !== undefined && "reason" in answer) return refused("disconnect", answer.reason);
      return link.alive(`lives after 40 s, in which it sent ${pinged} Pings`);
    },
  },
  {
    name: "base/keepalive-unanswered",
    asks: "a peer that answers no Ping and sends nothing is let go of within 60 s",
    source: "devp2p rlpx.md leaves the time open; go-ethereum takes 30 s",
    expects: { kind: "refused" },
    isSlow: true,
    run: (probe) => mute(probe),
  },
];

const MUTE_MS = 60_000;

async function mute(probe: Probe): Promise<Outcome> {
  const { peer } = await probe.link();
  const startedAt = Date.now();
  let pinged = 0;
  for (;;) {
    const message = await peer.next(Math.max(0, startedAt + MUTE_MS - Date.now()));
    if (message === undefined) return silent(MUTE_MS);
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    if (typeof message === "string" || message.msgId === BaseMessage.disconnect) {
      return { kind: "refused", detail: `ended after ${seconds} s and ${pinged} Pings` };
    }
    if (message.msgId === BaseMessage.ping) pinged += 1;
  }
}

/** Ping, Pong, and what else the base protocol's ids are for. */
export const baseCases: readonly Case[] = [...pings, ...reserved, ...keepalive];

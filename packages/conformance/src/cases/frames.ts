import { encodeRlp } from "@heddle/identity";
import { BaseMessage } from "@heddle/p2p";
import type { FrameOptions } from "@heddle/testing";

import type { Case } from "../case.ts";
import { EMPTY_LIST, token } from "../link.ts";
import type { Link } from "../link.ts";
import { accepted } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import type { Probe } from "../probe.ts";
import { every } from "./every.ts";

const FRAMING = "devp2p rlpx.md §Framing";
const MAC = "devp2p rlpx.md §MAC";
const RLP = "devp2p rlpx.md §Framing: msg-id is an RLP integer";

const CHECKED = "it insists on what the specification fixes";

/** Bytes of a Ping's frame: header, header MAC, one block, frame MAC. */
const PING_FRAME = 64;

/** Sends a Ping in a frame that differs in what a reader need not look at: it is answered all the same. */
function reads(name: string, asks: string, options: readonly FrameOptions[]): Case {
  return {
    name: `frames/${name}`,
    asks,
    source: FRAMING,
    expects: { kind: "accepted", opposite: CHECKED },
    async run(probe) {
      const link = await probe.link();
      for (const option of options) link.peer.sendRaw(BaseMessage.ping, EMPTY_LIST, option);
      return link.pongs(options.length);
    },
  };
}

/** Sends bytes that must end the session, sooner than sending none; a Pong would show that they were taken. */
function refuses(
  name: string,
  asks: string,
  source: string,
  write: (link: Link) => void,
  opposite?: string,
): Case {
  return {
    name: `frames/${name}`,
    asks,
    source,
    expects: { kind: "refused", ...(opposite === undefined ? {} : { opposite }) },
    run: (probe) =>
      probe.sooner("active", async () => {
        const link = await probe.link();
        write(link);
        return endOrPong(link);
      }),
  };
}

const endOrPong = (link: Link): Promise<Outcome> =>
  link.outcome(({ msgId }) => msgId === BaseMessage.pong, "Pong: the frame was taken");

/** Flips one bit of a Ping's frame, in every byte of a part of it, on a connection each. */
function flips(name: string, asks: string, from: number, to: number): Case {
  return {
    name: `frames/${name}`,
    asks,
    source: MAC,
    expects: { kind: "refused" },
    run: (probe) =>
      probe.sooner("active", () =>
        every({
          inputs: Array.from({ length: to - from }, (_, i) => from + i),
          expected: "refused",
          label: (at) => `a bit of byte ${at}`,
          attempt: (at) =>
            probe.briefly(async (link) => {
              link.peer.sendRaw(BaseMessage.ping, EMPTY_LIST, {
                damage: (frame) => frame.with(at, (frame[at] ?? 0) ^ (1 << (at % 8))),
              });
              return endOrPong(link);
            }),
        }),
      ),
  };
}

const macs: readonly Case[] = [
  flips("bad-header", "a header with any bit changed is refused", 0, 16),
  flips("bad-header-mac", "a header MAC with any byte wrong is refused", 16, 32),
  flips("bad-data", "frame-data with any bit changed are refused", 32, 48),
  flips("bad-frame-mac", "a frame MAC with any byte wrong is refused", 48, PING_FRAME),
  refuses("replayed", "a frame that comes a second time is refused", MAC, ({ peer }) => {
    // An answer to the first one shows nothing: a message that nobody answers is replayed.
    const frame = peer.seal(BaseMessage.pong, EMPTY_LIST);
    peer.sendBytes(Buffer.concat([frame, frame, peer.seal(BaseMessage.ping, EMPTY_LIST)]));
  }),
  refuses("reordered", "frames that change places are refused", MAC, ({ peer }) => {
    const first = peer.seal(BaseMessage.ping, EMPTY_LIST);
    peer.sendBytes(Buffer.concat([peer.seal(BaseMessage.ping, EMPTY_LIST), first]));
  }),
  refuses("dropped", "a frame behind one that is missing is refused", MAC, ({ peer }) => {
    peer.seal(BaseMessage.pong, EMPTY_LIST);
    peer.sendRaw(BaseMessage.ping, EMPTY_LIST);
  }),
  refuses("another-session", "a frame of another session is refused", MAC, ({ peer }) =>
    peer.sendBytes(crypto.getRandomValues(new Uint8Array(PING_FRAME))),
  ),
];

/** Frame-data that no message id can be read from, or not in the one way that RLP has for it. */
const BAD_IDS: readonly { readonly name: string; readonly id: readonly number[] }[] = [
  { name: "zero byte", id: [0x00] },
  { name: "one byte in two", id: [0x81, 0x02] },
  { name: "leading zero", id: [0x82, 0x00, 0x02] },
  { name: "long form", id: [0xb8, 0x01, 0x02] },
  { name: "list", id: [0xc1, 0x02] },
  { name: "empty list", id: [0xc0] },
  { name: "9 bytes", id: [0x89, 1, 2, 3, 4, 5, 6, 7, 8, 9] },
  { name: "cut off", id: [0x84] },
];

const contents: readonly Case[] = [
  {
    name: "frames/non-canonical-ids",
    asks: "a message id that is no canonical RLP integer is refused",
    source: RLP,
    expects: { kind: "refused" },
    run: (probe) =>
      probe.sooner("active", () =>
        every({
          inputs: BAD_IDS,
          expected: "refused",
          label: ({ name }) => name,
          attempt: ({ id }) =>
            probe.briefly(async (link) => {
              // The Ping's payload, compressed.
              const payload = id[0] === 0x84 ? [] : [0x01, 0x00, 0xc0];
              link.peer.sendBytes(link.peer.frames.sealData(Uint8Array.of(...id, ...payload)));
              return endOrPong(link);
            }),
        }),
      ),
  },
  refuses(
    "zero-size",
    "a frame without data, in which no message id is, is refused",
    FRAMING,
    ({ peer }) => peer.sendBytes(peer.frames.sealData(new Uint8Array(0))),
  ),
  refuses("zero-size-with-data", "a frame-size of 0 before data is refused", FRAMING, (link) =>
    link.peer.sendRaw(BaseMessage.ping, EMPTY_LIST, { frameSize: 0 }),
  ),
  refuses(
    "size-too-small",
    "a frame-size smaller than the frame puts the MAC in the wrong place: refused",
    FRAMING,
    (link) =>
      link.peer.sendRaw(BaseMessage.pong, encodeRlp(new Uint8Array(64).fill(1)), { frameSize: 4 }),
  ),
  {
    name: "frames/maximal-size",
    asks: "a frame of 2^24-1 bytes, the most that frame-size can say, is read whole",
    source: FRAMING,
    expects: { kind: "accepted", opposite: "its own limit is lower, as the specification advises" },
    needs: ["echo"],
    run: (probe) => largest(probe),
  },
];

/** In frame-data of 2^24-1 bytes: message id, Snappy's length, the tag of one literal, and the literal. */
async function largest(probe: Probe): Promise<Outcome> {
  const link = await probe.link();
  // What is returned already needs no answer: 16 MiB in one direction are enough.
  const msgId = link.echoPlace.offset + 1;
  const size = 0xffffff - 1 - 4 - 5;
  const data = new Uint8Array(0xffffff);
  data[0] = msgId;
  data.set([(size & 0x7f) | 0x80, ((size >> 7) & 0x7f) | 0x80, ((size >> 14) & 0x7f) | 0x80], 1);
  data.set([size >> 21, 0xfc], 4);
  new DataView(data.buffer).setUint32(6, size - 1, true);
  // An RLP string that fills the literal.
  data.set([0xba, ((size - 4) >> 16) & 0xff, ((size - 4) >> 8) & 0xff, (size - 4) & 0xff], 10);
  await link.peer.wire.write(link.peer.frames.sealData(data));
  return link.echo(token());
}

const layout: readonly Case[] = [
  reads("header-data", "header-data other than two zeros is not looked at", [
    { headerData: new Uint8Array(0) },
    { headerData: Uint8Array.of(0xc2, 0x01, 0x02) },
    { headerData: Uint8Array.of(0xc5, 0x80, 0x80, 0x82, 0x01, 0x00) },
    { headerData: Uint8Array.of(0xcc, ...new Uint8Array(12).fill(0x80)) },
    { headerData: new Uint8Array(13).fill(0xff) },
  ]),
  reads("header-padding", "header padding other than zero is not looked at", [
    { headerPadding: 0xff },
  ]),
  reads("frame-padding", "frame padding other than zero is not looked at", [{ padding: 0xff }]),
];

const splits: readonly Case[] = [
  {
    name: "frames/every-split",
    asks: "a frame that arrives in two parts, cut anywhere, is read like any other",
    source: FRAMING,
    expects: { kind: "accepted" },
    async run(probe) {
      const link = await probe.link();
      const beside = await probe.link();
      const { peer } = link;
      for (let at = 1; at < PING_FRAME; at += 1) {
        const frame = peer.seal(BaseMessage.ping, EMPTY_LIST);
        await peer.wire.write(frame.subarray(0, at));
        // A round trip of another session lies between the parts: the first has arrived alone.
        await beside.alive();
        await peer.wire.write(frame.subarray(at));
        const outcome = await link.pongs(1);
        if (outcome.kind !== "accepted") {
          return { ...outcome, detail: `cut after ${at} bytes: ${outcome.detail}` };
        }
      }
      return accepted(`${PING_FRAME - 1} Pongs`);
    },
  },
  {
    name: "frames/byte-by-byte",
    asks: "a frame that arrives byte by byte is read like any other",
    source: FRAMING,
    expects: { kind: "accepted" },
    async run(probe) {
      const link = await probe.link();
      const frame = link.peer.seal(BaseMessage.ping, EMPTY_LIST);
      for (const byte of frame) await link.peer.wire.write(Uint8Array.of(byte));
      return link.pongs(1);
    },
  },
  {
    name: "frames/many-at-once",
    asks: "frames that arrive together are all read, also one whose end comes later",
    source: FRAMING,
    expects: { kind: "accepted" },
    async run(probe) {
      const link = await probe.link();
      // Nothing of the exchange before is on its way any more: these frames share their packets with no others.
      await link.alive();
      const frames = Array.from({ length: 50 }, () => link.peer.seal(BaseMessage.ping, EMPTY_LIST));
      const bytes = Buffer.concat(frames);
      await link.peer.wire.write(bytes.subarray(0, -10));
      const outcome = await link.pongs(49);
      if (outcome.kind !== "accepted") return outcome;
      await link.peer.wire.write(bytes.subarray(-10));
      const last = await link.pongs(1);
      return last.kind === "accepted" ? accepted("50 Pongs") : last;
    },
  },
];

/** How frames are read, whole and in parts, and what of them is authenticated. */
export const frameCases: readonly Case[] = [...splits, ...macs, ...contents, ...layout];

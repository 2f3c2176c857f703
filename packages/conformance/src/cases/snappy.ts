import { concatBytes } from "@heddle/identity";
import { BaseMessage } from "@heddle/p2p";

import type { Case } from "../case.ts";
import type { Link } from "../link.ts";
import { accepted } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";

const EIP_706 = "EIP-706 §Specification";
const FORMAT = "Snappy format_description.txt";
const PREAMBLE = "Snappy format_description.txt §1";
const ELEMENTS = "Snappy format_description.txt §2";

/** The declared length, seven bits to a byte. */
function preamble(length: number): Uint8Array {
  const bytes: number[] = [];
  let rest = length;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Uint8Array.of(...bytes, rest);
}

/** A literal, whose length stands in 0 to 4 bytes behind the tag. */
function literal(bytes: Uint8Array, width = 0): Uint8Array {
  if (width === 0) return concatBytes(Uint8Array.of((bytes.length - 1) << 2), bytes);
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, bytes.length - 1, true);
  return concatBytes(Uint8Array.of((59 + width) << 2), size.subarray(0, width), bytes);
}

/** A copy whose offset stands in 1, 2 or 4 bytes. */
function copy(width: 1 | 2 | 4, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(5);
  new DataView(bytes.buffer).setUint32(1, offset, true);
  if (width === 1)
    return Uint8Array.of(((offset >> 8) << 5) | ((length - 4) << 2) | 1, offset & 0xff);
  bytes[0] = ((length - 1) << 2) | (width === 2 ? 2 : 3);
  return bytes.slice(0, 1 + width);
}

const bytesOf = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + 1) & 0xff);

/** One valid block and what it stands for. */
interface Block {
  readonly block: Uint8Array;
  readonly plain: Uint8Array;
}

/** A valid block must come back as what it stands for. */
function decodes(name: string, asks: string, { block, plain }: Block): Case {
  return {
    name: `snappy/${name}`,
    asks,
    source: ELEMENTS,
    expects: { kind: "accepted" },
    needs: ["echo"],
    async run(probe) {
      const link = await probe.link();
      const { offset } = link.echoPlace;
      link.peer.sendRaw(offset, block, { isRaw: true });
      return link.returned(plain, offset + 1);
    },
  };
}

/** Twenty bytes, and some of them again. */
function withCopy(width: 1 | 2 | 4, offset: number, length: number): Block {
  const first = bytesOf(20);
  const plain = new Uint8Array(20 + length);
  plain.set(first);
  for (let i = 20; i < plain.length; i += 1) plain[i] = plain[i - offset] ?? 0;
  return {
    block: concatBytes(preamble(plain.length), literal(first), copy(width, offset, length)),
    plain,
  };
}

const stored = (plain: Uint8Array, width: number): Block => ({
  block: concatBytes(preamble(plain.length), literal(plain, width)),
  plain,
});

const valid: readonly Case[] = [
  decodes("literal-only", "a block of one literal is decoded", stored(bytesOf(40), 0)),
  ...[1, 2, 3, 4].map((width) =>
    decodes(
      `literal-length-${width}`,
      `a literal whose length stands in ${width} further byte(s) is decoded, needed or not`,
      stored(bytesOf(100), width),
    ),
  ),
  ...([1, 2, 4] as const).map((width) =>
    decodes(
      `copy-${width}`,
      `a copy with an offset of ${width} byte(s) is decoded`,
      withCopy(width, 15, 8),
    ),
  ),
  decodes(
    "copy-overlapping",
    "a copy longer than its offset repeats what it has just written",
    withCopy(2, 3, 60),
  ),
  decodes("empty", "a message without payload is a block of length 0, and is decoded", {
    block: preamble(0),
    plain: new Uint8Array(0),
  }),
];

const SHORT = bytesOf(20);
const good = concatBytes(preamble(20), literal(SHORT));

/** Blocks that are none, for any decoder. */
const BROKEN: readonly { name: string; what: string; block: Uint8Array; source?: string }[] = [
  { name: "no-bytes", what: "a payload of no bytes", block: new Uint8Array(0) },
  {
    name: "uncompressed",
    what: "a payload that is not compressed",
    block: Uint8Array.of(0xc0),
    source: EIP_706,
  },
  {
    name: "length-cut-off",
    what: "a declared length that is cut off",
    block: Uint8Array.of(0x94, 0x80),
    source: PREAMBLE,
  },
  {
    name: "length-over-32-bits",
    what: "a declared length of 2^32",
    block: concatBytes(preamble(2 ** 32), literal(SHORT)),
    source: PREAMBLE,
  },
  {
    name: "length-in-6-bytes",
    what: "a declared length of more than 5 bytes",
    block: concatBytes(Uint8Array.of(0x94, 0x80, 0x80, 0x80, 0x80, 0x00), literal(SHORT)),
    source: PREAMBLE,
  },
  {
    name: "length-too-small",
    what: "a block that is longer than it says",
    block: concatBytes(preamble(19), literal(SHORT)),
  },
  {
    name: "length-too-large",
    what: "a block that is shorter than it says",
    block: concatBytes(preamble(21), literal(SHORT)),
  },
  { name: "literal-cut-off", what: "a literal that is cut off", block: good.slice(0, -1) },
  {
    name: "tag-cut-off",
    what: "a copy without its offset",
    block: concatBytes(preamble(30), literal(SHORT), Uint8Array.of(0x26)),
  },
  {
    name: "copy-offset-zero",
    what: "a copy with an offset of 0",
    block: concatBytes(preamble(28), literal(SHORT), copy(2, 0, 8)),
  },
  {
    name: "copy-beyond-window",
    what: "a copy from before the start",
    block: concatBytes(preamble(28), literal(SHORT), copy(2, 21, 8)),
  },
  {
    name: "copy-first",
    what: "a copy before anything was written",
    block: concatBytes(preamble(8), copy(1, 1, 8)),
  },
  {
    name: "copy-far-beyond-window",
    what: "a copy from 4 GiB before the start",
    block: concatBytes(preamble(28), literal(SHORT), copy(4, 0xffffffff, 8)),
  },
  {
    name: "copy-too-long",
    what: "a copy past the declared length",
    block: concatBytes(preamble(24), literal(SHORT), copy(2, 10, 8)),
  },
];

/** Sends a bad block as a Pong, which would be ignored, and asks for a sign of life behind it. */
function refuses(name: string, asks: string, source: string, block: () => Uint8Array): Case {
  return {
    name: `snappy/${name}`,
    asks,
    source,
    expects: { kind: "refused" },
    run: (probe) =>
      probe.sooner("active", async () => {
        const link = await probe.link();
        link.peer.sendRaw(BaseMessage.pong, block(), { isRaw: true });
        return link.alive("Ping behind it is answered: the block was taken");
      }),
  };
}

/** As many zeros as asked for, a literal and copies of 64. */
function zeros(length: number): Uint8Array {
  const copies = Math.floor((length - 1) / 64);
  const first = length - copies * 64;
  const block = new Uint8Array(copies * 3);
  for (let i = 0; i < block.length; i += 3) block.set(copy(2, 1, 64), i);
  return concatBytes(preamble(length), literal(new Uint8Array(first), 1), block);
}

const bombs: readonly Case[] = [
  refuses("bomb-declared", "a length of 2^24 or more is refused, by what it says", EIP_706, () =>
    concatBytes(preamble(2 ** 24), literal(SHORT)),
  ),
  refuses("bomb-4-gib", "a length of 2^32-1 in a message of 26 bytes is refused", EIP_706, () =>
    concatBytes(preamble(2 ** 32 - 1), literal(SHORT)),
  ),
  refuses(
    "bomb-whole",
    "a valid block of 2^24 zeros, 768 KiB compressed, is refused",
    EIP_706,
    () => zeros(2 ** 24),
  ),
  {
    name: "snappy/largest",
    asks: "a block of 2^24-1 zeros, the most that is allowed, is decoded",
    source: EIP_706,
    expects: { kind: "accepted", opposite: "its own limit is lower, as the specification advises" },
    async run(probe) {
      const link = await probe.link();
      link.peer.sendRaw(BaseMessage.pong, zeros(2 ** 24 - 1), { isRaw: true });
      return link.answers();
    },
  },
];

const versions: readonly Case[] = [
  {
    name: "snappy/answers-are-compressed",
    asks: "from version 5 on what the node sends is compressed, Pong included",
    source: EIP_706,
    expects: { kind: "accepted" },
    run: async (probe) => pongAs(await probe.link(), "0100c0"),
  },
  {
    name: "snappy/not-with-version-4",
    asks: "with a peer of version 4 what the node sends is not compressed",
    source: EIP_706,
    expects: { kind: "accepted" },
    run: async (probe) => pongAs(await probe.link({ hello: { protocolVersion: 4 } }), "c0"),
  },
];

/** The Pong as it stands in its frame; an empty list has one shortest form, and longer ones are allowed. */
async function pongAs(link: Link, expected: string): Promise<Outcome> {
  link.ping();
  let raw = "";
  const outcome = await link.outcome((message) => {
    if (message.msgId === BaseMessage.pong) raw = Buffer.from(message.raw).toString("hex");
    return message.msgId === BaseMessage.pong;
  }, "");
  if (outcome.kind !== "accepted") return outcome;
  return raw === expected
    ? accepted(`Pong is ${raw}`)
    : { kind: "wrong", detail: `Pong is ${raw}, not ${expected}` };
}

/** How compressed messages are read, and what no decoder may take. */
export const snappyCases: readonly Case[] = [
  ...versions,
  ...valid,
  ...BROKEN.map(({ name, what, block, source = FORMAT }) =>
    refuses(name, `${what} is refused`, source, () => block),
  ),
  ...bombs,
];

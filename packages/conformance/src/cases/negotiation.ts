import type { RlpInput } from "@heddle/identity";

import type { Case } from "../case.ts";
import { token } from "../link.ts";
import { accepted, hex } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import type { Probe } from "../probe.ts";

const MATCHING = "devp2p rlpx.md §Capability Messaging";
const OFFSETS = "devp2p rlpx.md §Message ID-based Multiplexing";
const USELESS = "devp2p rlpx.md §Disconnect (0x01)";

/** What we offer: names and versions, in the order of our Hello. */
type Offer = readonly (readonly [name: string, version: number | bigint])[];

/** A protocol that must be found by its message ids, at this offset. */
interface Expected {
  /** `echo` stands for the protocol that returns what it gets. */
  readonly name: string;
  readonly offset: number;
}

/** What is offered, given what the node says it has, and where protocols must then be. */
interface Agreement {
  readonly offer: Offer;
  readonly expected: readonly Expected[];
}

interface Negotiation {
  readonly name: string;
  readonly asks: string;
  readonly source?: string;
  readonly needs: readonly string[];
  readonly agree: (echo: string, lengths: Probe["lengths"]) => Agreement;
}

/** Every expected protocol must return a payload under the ids that the rules give it. */
function agrees({ name, asks, source = MATCHING, needs, agree }: Negotiation): Case {
  return {
    name: `negotiation/${name}`,
    asks,
    source,
    expects: { kind: "accepted" },
    needs,
    async run(probe) {
      const { offer, expected } = agree(probe.echo, probe.lengths);
      const link = await probe.link({ hello: { capabilities: encodeOffer(offer) } });
      for (const found of expected) {
        for (const msgId of tellingIds(found, probe)) {
          const payload = token();
          link.peer.sendRaw(msgId, payload);
          const outcome = await link.returned(payload, msgId + 1);
          if (outcome.kind === "accepted") continue;
          return { ...outcome, detail: `${found.name} by ${hex(msgId)}: ${outcome.detail}` };
        }
      }
      return accepted(expected.map((found) => `${found.name} at ${hex(found.offset)}`).join(", "));
    },
  };
}

/**
 * The ids that show where a protocol is. Only code 0 of `echo` is answered; `wide` answers every second one, so that
 * its last is asked for, too: two places further down that is no code any more.
 */
function tellingIds({ name, offset }: Expected, { lengths }: Probe): readonly number[] {
  return name === "wide" ? [offset, offset + lengthOf(lengths, name) - 2] : [offset];
}

const encodeOffer = (offer: Offer): RlpInput => offer.map(([name, version]) => [name, version]);

/** The first id of a subprotocol. */
const FIRST = 0x10;

const lengthOf = (lengths: Probe["lengths"], name: string): number => lengths[name] ?? 0;

const versions: readonly Case[] = [
  agrees({
    name: "one",
    asks: "the one shared protocol begins at 0x10",
    agree: (echo) => ({ offer: [[echo, 1]], expected: [{ name: echo, offset: FIRST }] }),
    needs: ["echo/1"],
  }),
  agrees({
    name: "highest-shared",
    asks: "of several shared versions the highest runs, once, and takes its ids once",
    needs: ["echo/1", "echo/2", "wide/1"],
    agree: (echo, lengths) => ({
      offer: [
        [echo, 1],
        [echo, 2],
        ["wide", 1],
      ],
      expected: [
        { name: echo, offset: FIRST },
        { name: "wide", offset: FIRST + lengthOf(lengths, echo) },
      ],
    }),
  }),
  agrees({
    name: "versions-in-disorder",
    asks: "the order in which versions are named does not matter",
    needs: ["echo/1", "echo/2", "wide/1"],
    agree: (echo, lengths) => ({
      offer: [
        [echo, 2],
        ["wide", 1],
        [echo, 9],
        [echo, 1],
      ],
      expected: [
        { name: "wide", offset: FIRST + lengthOf(lengths, echo) },
        { name: echo, offset: FIRST },
      ],
    }),
  }),
  agrees({
    name: "higher-unshared",
    asks: "a version that only we have does not hide the one that both have",
    needs: ["echo/1"],
    agree: (echo) => ({
      offer: [
        [echo, 1],
        [echo, 200],
        [echo, 2n ** 40n],
      ],
      expected: [{ name: echo, offset: FIRST }],
    }),
  }),
];

const order: readonly Case[] = [
  agrees({
    name: "byte-order",
    asks: "names are ordered by their bytes: upper case comes before lower case",
    source: OFFSETS,
    needs: ["MyProtocol/1", "bench/1", "echo/1"],
    agree: (echo, lengths) => ({
      offer: [
        ["bench", 1],
        [echo, 1],
        ["MyProtocol", 1],
      ],
      expected: [
        {
          name: echo,
          offset: FIRST + lengthOf(lengths, "MyProtocol") + lengthOf(lengths, "bench"),
        },
      ],
    }),
  }),
  agrees({
    name: "upper-case-first",
    asks: "a name in upper case that is shared comes before the others",
    source: OFFSETS,
    needs: ["MyProtocol/1", "echo/1"],
    agree: (echo, lengths) => ({
      offer: [
        [echo, 1],
        ["MyProtocol", 1],
      ],
      expected: [{ name: echo, offset: FIRST + lengthOf(lengths, "MyProtocol") }],
    }),
  }),
  agrees({
    name: "reverse-order",
    asks: "the order of our Hello gives no protocol its place",
    source: OFFSETS,
    needs: ["bench/1", "echo/1", "wide/1"],
    agree: (echo, lengths) => ({
      offer: [
        ["wide", 1],
        [echo, 1],
        ["bench", 1],
      ],
      expected: [
        { name: echo, offset: FIRST + lengthOf(lengths, "bench") },
        { name: "wide", offset: FIRST + lengthOf(lengths, "bench") + lengthOf(lengths, echo) },
      ],
    }),
  }),
  agrees({
    name: "unshared-between",
    asks: "protocols that only one side has take no ids, wherever they stand",
    source: OFFSETS,
    needs: ["echo/1", "wide/1"],
    agree: (echo, lengths) => ({
      offer: [
        ["aaa", 1],
        [echo, 1],
        [`${echo}a`, 1],
        ["snap", 1],
        ["wide", 1],
        ["zzz", 1],
      ],
      expected: [
        { name: echo, offset: FIRST },
        { name: "wide", offset: FIRST + lengthOf(lengths, echo) },
      ],
    }),
  }),
  agrees({
    name: "duplicates",
    asks: "a capability that is named three times counts once",
    needs: ["echo/1", "wide/1"],
    agree: (echo, lengths) => ({
      offer: [
        [echo, 1],
        [echo, 1],
        ["wide", 1],
        [echo, 1],
      ],
      expected: [
        { name: echo, offset: FIRST },
        { name: "wide", offset: FIRST + lengthOf(lengths, echo) },
      ],
    }),
  }),
];

const names: readonly Case[] = [
  agrees({
    name: "strange-names",
    asks: "names that are empty, long, or no ASCII are not shared, and disturb nothing",
    agree: (echo) => ({
      offer: [
        ["", 1],
        ["\u0000", 1],
        ["ech\u00f6", 1],
        ["n".repeat(300), 1],
        [echo, 1],
      ],
      expected: [{ name: echo, offset: FIRST }],
    }),
    needs: ["echo/1"],
  }),
  useless("none-shared", "with nothing in common the node says 0x03", () => [["none", 1]]),
  useless("nothing-offered", "an empty list of capabilities is answered with 0x03", () => []),
  useless("case-matters", "a name in another case is another name", (echo) => [
    [echo.toUpperCase(), 1],
  ]),
  useless("prefix-is-no-name", "a part of a name is another name", (echo) => [
    [echo.slice(0, -1), 1],
    [`${echo}\u0000`, 1],
  ]),
  useless("version-not-cut", "a version is compared whole, not its last byte or bytes", (echo) => [
    [echo, 257],
    [echo, 2 ** 16 + 1],
    [echo, 2n ** 32n + 1n],
  ]),
  useless("version-zero", "version 0 is a version like others, and not shared", (echo) => [
    [echo, 0],
  ]),
];

/** Offers what is not shared: the node must have no use for us. */
function useless(name: string, asks: string, offer: (echo: string) => Offer): Case {
  return {
    name: `negotiation/${name}`,
    asks,
    source: USELESS,
    expects: {
      kind: "refused",
      reasons: [0x03],
      otherwise: "it closes without saying why, or gives another reason",
    },
    // A node without any protocol has no reason to refuse.
    needs: ["echo"],
    run: (probe) => probe.sooner("active", () => greetWith(probe, offer(probe.echo))),
  };
}

async function greetWith(probe: Probe, offer: Offer): Promise<Outcome> {
  const peer = await probe.session();
  peer.sendHello({ capabilities: encodeOffer(offer) });
  return probe.endOf(peer);
}

/** Which protocols are shared, and which message ids they get; shown by what comes back under them. */
export const negotiationCases: readonly Case[] = [...versions, ...order, ...names];

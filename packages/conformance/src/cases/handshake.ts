import {
  concatBytes,
  curve,
  encodeRlp,
  fromHex,
  generateSecretKey,
  nodeIdOf,
} from "@heddle/identity";
import { sealHandshake } from "@heddle/rlpx";

import type { Case } from "../case.ts";
import { AuthMaker } from "../handshake.ts";
import type { AuthOptions } from "../handshake.ts";
import { accepted, refused, silent, wrong } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import type { Probe } from "../probe.ts";

const INITIAL = "devp2p rlpx.md §Initial Handshake";
const ECIES = "devp2p rlpx.md §ECIES Encryption";
const EIP_8 = "EIP-8 §Specification, RLPx Handshake";

/** What every ECIES packet has beside its plaintext, in bytes. */
const OVERHEAD = 113;
const PLAIN = 2048 - OVERHEAD;

/** The node must answer with an ack for this auth, and go on to its Hello. */
async function completes(probe: Probe, options: AuthOptions): Promise<Outcome> {
  const { clientId } = await probe.readHello(await probe.session(probe.auth(options)));
  return accepted(`ack and Hello, from ${clientId.slice(0, 40)}`);
}

function takes(name: string, asks: string, source: string, options: AuthOptions): Case {
  return {
    name: `handshake/${name}`,
    asks,
    source,
    expects: { kind: "accepted" },
    run: (probe) => completes(probe, options),
  };
}

function refuses(
  name: string,
  asks: string,
  source: string,
  bytes: (probe: Probe) => Uint8Array,
): Case {
  return {
    name: `handshake/${name}`,
    asks,
    source,
    expects: { kind: "refused" },
    run: (probe) => probe.offerAuth(bytes(probe)),
  };
}

/** An auth whose ECIES ephemeral key is replaced by 65 other bytes. */
const withPoint =
  (point: Uint8Array) =>
  (probe: Probe): Uint8Array => {
    const { auth } = probe.auth();
    auth.set(point, 2);
    return auth;
  };

const P = fromHex("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f");

/** A point given by coordinates that are off by P: the same residue, and not the canonical one. */
function beyondP(coordinate: "x" | "y"): Uint8Array {
  // Small enough that adding P stays under 2^256: x = 1 has the y below; for y no small one is known to be on the
  // curve, so that the all-ones coordinate stands in for it.
  const y = fromHex("4218f20ae6c646b363db68605822fb14264ca8d2587fdd6fbc750d587e76a7ee");
  const one = new Uint8Array(32);
  one[31] = 1;
  const beyond = P.slice();
  beyond[31] = (beyond[31] ?? 0) + 1;
  return coordinate === "x"
    ? concatBytes(Uint8Array.of(4), beyond, y)
    : concatBytes(Uint8Array.of(4), one, new Uint8Array(32).fill(0xff));
}

function offCurve(): Uint8Array {
  const point = new Uint8Array(65).fill(0x11);
  point[0] = 4;
  return point;
}

/** Replaces one field of the auth list by other bytes. */
const withField = (index: number, value: Uint8Array): AuthOptions => ({
  fields: (fields) => fields.map((field, i) => (i === index ? value : field)),
});

const accepting: readonly Case[] = [
  takes("plain", "a valid auth is answered with a valid ack, then Hello", INITIAL, {}),
  takes("extra-elements", "list elements behind auth-vsn are ignored", EIP_8, {
    extra: [1, "extra", [2, [3]], new Uint8Array(40)],
  }),
  takes("version-56", "an auth-vsn other than 4 is ignored", EIP_8, { version: 56 }),
  takes("version-0", "an auth-vsn of 0 is ignored", EIP_8, { version: 0 }),
  takes("no-padding", "padding is not required of the other side", EIP_8, {
    padding: new Uint8Array(0),
  }),
  takes("random-padding", "bytes behind the list are ignored, whatever they are", EIP_8, {
    padding: crypto.getRandomValues(new Uint8Array(251)),
  }),
  takes("size-2048", "an auth of 2048 bytes, the most that is common, is taken", EIP_8, {
    plaintext: (plaintext) => concatBytes(plaintext, new Uint8Array(PLAIN - plaintext.length)),
  }),
];

const points: readonly Case[] = [
  refuses(
    "point-off-curve",
    "an ephemeral key off the curve is refused",
    ECIES,
    withPoint(offCurve()),
  ),
  refuses(
    "point-x-over-p",
    "an x coordinate of P or more is refused",
    ECIES,
    withPoint(beyondP("x")),
  ),
  refuses(
    "point-y-over-p",
    "a y coordinate of P or more is refused",
    ECIES,
    withPoint(beyondP("y")),
  ),
  refuses(
    "point-zero",
    "an ephemeral key of all zeros is refused",
    ECIES,
    withPoint(new Uint8Array(65)),
  ),
  refuses(
    "point-infinity",
    "0x04 and zero coordinates, which is no point, are refused",
    ECIES,
    withPoint(concatBytes(Uint8Array.of(4), new Uint8Array(64))),
  ),
  refuses("point-compressed", "a compressed ephemeral key is refused", ECIES, (probe) => {
    const { auth } = probe.auth();
    const key = curve.compress(nodeIdOf(generateSecretKey()));
    auth.set(key, 2);
    return auth;
  }),
  refuses("point-prefix", "a valid point without its prefix 0x04 is refused", ECIES, (probe) => {
    const { auth } = probe.auth();
    auth[2] = 0x06;
    return auth;
  }),
  ...[
    {
      name: "static-key-off-curve",
      what: "a static key off the curve",
      options: withField(1, offCurve().subarray(1)),
    },
    {
      name: "static-key-zero",
      what: "a static key of zeros",
      options: withField(1, new Uint8Array(64)),
    },
    {
      name: "static-key-short",
      what: "a static key of 63 bytes",
      options: withField(1, new Uint8Array(63).fill(1)),
    },
    {
      name: "signature-zero",
      what: "a signature of zeros",
      options: withField(0, new Uint8Array(65)),
    },
    {
      name: "signature-recovery-id",
      what: "a recovery id over 3",
      options: withField(0, new Uint8Array(65).fill(0x05)),
    },
    {
      name: "signature-short",
      what: "a signature of 64 bytes",
      options: withField(0, new Uint8Array(64).fill(1)),
    },
    { name: "nonce-short", what: "a nonce of 31 bytes", options: withField(2, new Uint8Array(31)) },
    {
      name: "fields-missing",
      what: "an auth without nonce and version",
      options: { fields: (fields: AuthFields) => fields.slice(0, 2) },
    },
    {
      name: "not-a-list",
      what: "an auth that is a byte string",
      options: { plaintext: () => encodeRlp(new Uint8Array(180)) },
    },
    {
      name: "nested",
      what: "an auth of 500 nested lists",
      options: { plaintext: () => new Uint8Array(500).fill(0xf7) },
    },
    {
      name: "empty",
      what: "an auth with an empty plaintext",
      options: { plaintext: () => new Uint8Array(0) },
    },
  ].map(({ name, what, options }) =>
    refuses(name, `${what} is refused`, INITIAL, (probe) => probe.auth(options).auth),
  ),
];

type AuthFields = Parameters<NonNullable<AuthOptions["fields"]>>[0];

const authenticity: readonly Case[] = [
  refuses("bad-mac", "an auth whose MAC does not match is refused", ECIES, (probe) => {
    const { auth } = probe.auth();
    auth[auth.length - 1] = (auth.at(-1) ?? 0) ^ 1;
    return auth;
  }),
  refuses("bad-ciphertext", "an auth with one flipped bit is refused", ECIES, (probe) => {
    const { auth } = probe.auth();
    auth[100] = (auth[100] ?? 0) ^ 0x80;
    return auth;
  }),
  refuses(
    "bad-size",
    "the size is authenticated: one byte more, and a size to match",
    EIP_8,
    (probe) => {
      const { auth } = probe.auth();
      const longer = concatBytes(auth, Uint8Array.of(0));
      const size = longer.length - 2;
      longer.set([size >> 8, size & 0xff]);
      return longer;
    },
  ),
  refuses(
    "foreign",
    "an auth sealed for another node is refused",
    ECIES,
    () => new AuthMaker(generateSecretKey(), nodeIdOf(generateSecretKey())).auth,
  ),
  refuses("http", "another protocol's first bytes are refused", INITIAL, () =>
    new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
  ),
  refuses("ack-for-auth", "an ack in place of an auth is refused", INITIAL, (probe) =>
    sealHandshake(
      probe.node.id,
      concatBytes(
        encodeRlp([nodeIdOf(generateSecretKey()), new Uint8Array(32).fill(7), 4]),
        new Uint8Array(120),
      ),
    ),
  ),
];

const replay: Case = {
  name: "handshake/replayed-auth",
  asks: "whoever replays an auth gets no session out of it: without the ephemeral key its frames are refused",
  source: INITIAL,
  expects: { kind: "refused" },
  async run(probe) {
    const { auth } = probe.auth();
    const first = await probe.wire();
    await first.write(auth);
    const original = await first.read(probe.waitMs);
    const second = await probe.wire();
    await second.write(auth);
    const answer = await second.read(probe.waitMs);
    if (answer === undefined) return silent(probe.waitMs);
    if (!(answer instanceof Uint8Array)) return refused(answer);
    if (original instanceof Uint8Array && Buffer.compare(original, answer) === 0) {
      return wrong("the replay got the same ack as the original");
    }
    // Bytes of a session that the replayer cannot have.
    await second.write(crypto.getRandomValues(new Uint8Array(64)));
    for (;;) {
      const more = await second.read(probe.waitMs);
      if (more === undefined) return silent(probe.waitMs);
      if (!(more instanceof Uint8Array)) return refused(more);
    }
  },
};

const sizes: readonly Case[] = [
  {
    name: "handshake/oversize-prefix",
    asks: "a size over 2048 is refused by its two bytes, before anything else arrives",
    source: EIP_8,
    expects: {
      kind: "refused",
    },
    async run(probe) {
      // A second connection with a size in bounds is the measure: the first must end while it still waits.
      const control = await probe.wire();
      await control.write(Uint8Array.of(0x01, 0x90));
      const wire = await probe.wire();
      await wire.write(Uint8Array.of(0x08, 0x01));
      const outcome = await probe.firstAnswer(wire);
      if (outcome.kind !== "refused" || control.end === undefined) return outcome;
      return wrong("ended no sooner than a connection whose size was in bounds");
    },
  },
  {
    name: "handshake/undersize-prefix",
    asks: "a size that ECIES alone exceeds is refused, and nothing is read before its start",
    source: ECIES,
    expects: { kind: "refused" },
    run: (probe) => everyLength(probe, OVERHEAD),
  },
  {
    name: "handshake/every-length",
    asks: "an auth cut short to any length, its size saying so, is refused",
    source: ECIES,
    expects: { kind: "refused" },
    run: (probe) => everyLength(probe, Infinity),
  },
  {
    name: "handshake/every-truncation",
    asks: "a connection that ends inside the auth, after any number of bytes, is let go of",
    source: INITIAL,
    expects: { kind: "refused" },
    async run(probe) {
      const { auth } = probe.auth();
      const lengths = Array.from({ length: auth.length }, (_, i) => i);
      return allRefused(lengths, (length) => probe.offerAuth(auth.subarray(0, length), "end"));
    },
  },
];

/** Every packet of `length` bytes and a matching size, cut from a valid auth; up to `limit` or its own length. */
function everyLength(probe: Probe, limit: number): Promise<Outcome> {
  const { auth } = probe.auth();
  const lengths = Array.from({ length: Math.min(limit, auth.length - 2) }, (_, i) => i);
  return allRefused(lengths, (length) => {
    const packet = auth.slice(0, 2 + length);
    packet.set([length >> 8, length & 0xff]);
    return probe.offerAuth(packet);
  });
}

/** Some at a time, so that no limit on handshakes under way is what ends them. */
async function allRefused<T>(
  inputs: readonly T[],
  attempt: (input: T) => Promise<Outcome>,
): Promise<Outcome> {
  const rest = [...inputs];
  let exception: Outcome | undefined;
  const work = async (): Promise<void> => {
    for (let input = rest.shift(); input !== undefined; input = rest.shift()) {
      const outcome = await attempt(input);
      if (outcome.kind === "refused") continue;
      exception ??= wrong(`${String(input)}: ${outcome.detail}`);
      return;
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return exception ?? { kind: "refused", detail: `all ${inputs.length} connections closed` };
}

const pace: readonly Case[] = [
  {
    name: "handshake/trickled",
    asks: "an auth that arrives byte by byte is taken like any other",
    source: INITIAL,
    expects: { kind: "accepted" },
    async run(probe) {
      const maker = probe.auth();
      const wire = await probe.wire();
      for (const byte of maker.auth) await wire.write(Uint8Array.of(byte));
      await probe.readHello(await probe.session(maker, wire));
      return accepted(`ack and Hello after ${maker.auth.length} writes`);
    },
  },
  {
    name: "handshake/frames-behind-auth",
    asks: "bytes right behind a valid auth are read as frames, and end the connection when they are none",
    source: INITIAL,
    expects: { kind: "refused" },
    async run(probe) {
      const maker = probe.auth();
      const wire = await probe.wire();
      await wire.write(concatBytes(maker.auth, new Uint8Array(32).fill(0x55)));
      for (;;) {
        const answer = await wire.read(probe.waitMs);
        if (answer === undefined) return silent(probe.waitMs);
        if (!(answer instanceof Uint8Array)) return refused(answer);
      }
    },
  },
  {
    name: "handshake/silence",
    asks: "a connection on which nothing arrives is let go of within 30 s",
    source: INITIAL,
    expects: { kind: "refused" },
    isSlow: true,
    run: async (probe) => waitEnd(probe, new Uint8Array(0)),
  },
  {
    name: "handshake/silence-after-size",
    asks: "a connection that announces an auth and sends none is let go of within 30 s",
    source: INITIAL,
    expects: { kind: "refused" },
    isSlow: true,
    run: async (probe) => waitEnd(probe, Uint8Array.of(0x01, 0x90)),
  },
];

async function waitEnd(probe: Probe, first: Uint8Array): Promise<Outcome> {
  const wire = await probe.wire();
  await wire.write(first);
  const startedAt = Date.now();
  const answer = await wire.read(32_000);
  if (answer === undefined) return silent(32_000);
  if (answer instanceof Uint8Array) return wrong(`answered ${answer.length} bytes`);
  return {
    kind: "refused",
    detail: `closed after ${((Date.now() - startedAt) / 1000).toFixed(1)} s`,
  };
}

/** How the node takes, and refuses, the first packet of a connection. */
export const handshakeCases: readonly Case[] = [
  ...accepting,
  ...points,
  ...authenticity,
  replay,
  ...sizes,
  ...pace,
];

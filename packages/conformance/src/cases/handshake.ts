import {
  bytesEqual,
  concatBytes,
  curve,
  encodeRlp,
  fromHex,
  generateSecretKey,
  nodeIdOf,
} from "@heddle/identity";
import { sealHandshake } from "@heddle/rlpx";
import { ScriptedAuth } from "@heddle/testing";
import type { ScriptedAuthOptions } from "@heddle/testing";

import type { Case } from "../case.ts";
import { accepted, refused, silent, wrong } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import type { Probe } from "../probe.ts";

const INITIAL = "devp2p rlpx.md §Initial Handshake";
const ECIES = "devp2p rlpx.md §ECIES Encryption";
const EIP_8 = "EIP-8 §Specification, RLPx Handshake";

/** What a packet of 2048 bytes has room for beside what ECIES adds, in bytes. */
const PLAIN = 2048 - 113;

/** The node must answer with an ack for this auth, and go on to its Hello. */
async function completes(probe: Probe, options: ScriptedAuthOptions): Promise<Outcome> {
  const { clientId } = await probe.readHello(await probe.session(probe.auth(options)));
  return accepted(`ack and Hello, from ${clientId.slice(0, 40)}`);
}

function takes(name: string, asks: string, source: string, options: ScriptedAuthOptions): Case {
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
    run: (probe) => probe.sooner("open", () => probe.offerAuth(bytes(probe))),
  };
}

/** An auth whose ECIES ephemeral key is replaced by 65 other bytes. */
const withPoint =
  (point: Uint8Array) =>
  (probe: Probe): Uint8Array => {
    const auth = probe.auth().packet;
    auth.set(point, 2);
    return auth;
  };

const P = fromHex("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f");

/** A point on the curve with one coordinate of 1, which is written as P + 1: the same residue, not canonical. */
function beyondP(coordinate: "x" | "y"): Uint8Array {
  const beyond = P.slice();
  beyond[31] = (beyond[31] ?? 0) + 1;
  // y² = x³ + 7: the y of x = 1, and an x of y = 1.
  const y = fromHex("4218f20ae6c646b363db68605822fb14264ca8d2587fdd6fbc750d587e76a7ee");
  const x = fromHex("1fe1e5ef3fceb5c135ab7741333ce5a6e80d68167653f6b2b24bcbcfaaaff507");
  const prefix = Uint8Array.of(4);
  return coordinate === "x" ? concatBytes(prefix, beyond, y) : concatBytes(prefix, x, beyond);
}

function offCurve(): Uint8Array {
  const point = new Uint8Array(65).fill(0x11);
  point[0] = 4;
  return point;
}

/** Replaces one field of the auth list by other bytes. */
const withField = (index: number, value: Uint8Array): ScriptedAuthOptions => ({
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
    const auth = probe.auth().packet;
    const key = curve.compress(nodeIdOf(generateSecretKey()));
    auth.set(key, 2);
    return auth;
  }),
  refuses("point-prefix", "a valid point without its prefix 0x04 is refused", ECIES, (probe) => {
    const auth = probe.auth().packet;
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
    refuses(name, `${what} is refused`, INITIAL, (probe) => probe.auth(options).packet),
  ),
];

type AuthFields = Parameters<NonNullable<ScriptedAuthOptions["fields"]>>[0];

const authenticity: readonly Case[] = [
  refuses("bad-mac", "an auth whose MAC does not match is refused", ECIES, (probe) => {
    const auth = probe.auth().packet;
    auth[auth.length - 1] = (auth.at(-1) ?? 0) ^ 1;
    return auth;
  }),
  refuses("bad-ciphertext", "an auth with one flipped bit is refused", ECIES, (probe) => {
    const auth = probe.auth().packet;
    auth[100] = (auth[100] ?? 0) ^ 0x80;
    return auth;
  }),
  refuses(
    "bad-size",
    "the size is authenticated: one byte more, and a size to match",
    EIP_8,
    (probe) => {
      const auth = probe.auth().packet;
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
    () => new ScriptedAuth(nodeIdOf(generateSecretKey())).packet,
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
  run: (probe) => probe.sooner("session", () => replayAuth(probe)),
};

async function replayAuth(probe: Probe): Promise<Outcome> {
  const auth = probe.auth().packet;
  const first = await probe.wire();
  await first.write(auth);
  const original = await first.read(probe.waitMs);
  const second = await probe.wire();
  await second.write(auth);
  const answer = await second.read(probe.waitMs);
  if (answer === undefined) return silent(probe.waitMs);
  if (!(answer instanceof Uint8Array)) return refused(answer);
  if (original instanceof Uint8Array && bytesEqual(original, answer)) {
    return wrong("the replay got the same ack as the original");
  }
  // Bytes of a session that the replayer cannot have.
  await second.write(crypto.getRandomValues(new Uint8Array(64)));
  for (;;) {
    const more = await second.read(probe.waitMs);
    if (more === undefined) return silent(probe.waitMs);
    if (!(more instanceof Uint8Array)) return refused(more);
  }
}

/** How the node takes, and refuses, the first packet of a connection. */
export const handshakeCases: readonly Case[] = [...accepting, ...points, ...authenticity, replay];

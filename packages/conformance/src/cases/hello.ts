import { concatBytes, encodeRlp, generateSecretKey, nodeIdOf } from "@heddle/identity";
import type { RlpInput } from "@heddle/identity";
import { compress } from "@heddle/rlpx";

import type { Case } from "../case.ts";
import { Base, encodeHello } from "../hello.ts";
import type { HelloFields } from "../hello.ts";
import { EMPTY_LIST } from "../link.ts";
import { accepted } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import type { Probe } from "../probe.ts";
import type { RawSession } from "../session.ts";
import { disconnectForms } from "./disconnect-forms.ts";
import { every } from "./every.ts";

const HELLO = "devp2p rlpx.md §Hello (0x00)";
const EIP_8 = "EIP-8 §Specification, devp2p Hello";
const EIP_706 = "EIP-706 §Specification";
const DISCONNECT = "devp2p rlpx.md §Disconnect (0x01)";

const SILENT_CLOSE = "it ends the connection without saying why, which nobody must";
const UNBOUNDED = "the specification sets no bound";

/** A Hello with these fields must be taken: the session goes on and answers. */
function takes(
  name: string,
  asks: string,
  source: string,
  fields: (probe: Probe) => HelloFields,
): Case {
  return {
    name: `hello/${name}`,
    asks,
    source,
    expects: { kind: "accepted" },
    async run(probe) {
      const link = await probe.link({ hello: fields(probe) });
      // A Pong shows whether it compresses, an echo where it has put the protocol.
      const outcome = await link.alive();
      return outcome.kind === "accepted" ? link.answers() : outcome;
    },
  };
}

type Sender = (probe: Probe, session: RawSession, ourId: Uint8Array) => Promise<void>;

/** Something in place of Hello must end the connection, sooner than sending nothing does. */
function refusesFirst(
  name: string,
  asks: string,
  { source, expects, send }: { source: string; expects: Case["expects"]; send: Sender },
): Case {
  return {
    name: `hello/${name}`,
    asks,
    source,
    expects,
    run: (probe) => probe.sooner("session", () => sendFirst(probe, send)),
  };
}

/** Nothing is sent behind it: unread input could turn the node's last words into a reset. */
async function sendFirst(probe: Probe, send: Sender): Promise<Outcome> {
  const maker = probe.auth();
  const session = await probe.session(maker);
  await send(probe, session, maker.nodeId);
  const outcome = await probe.endOf(session);
  session.wire.close();
  return outcome;
}

const refuse = (
  name: string,
  what: string,
  payload: (probe: Probe, id: Uint8Array) => Uint8Array,
) =>
  refusesFirst(name, `${what} is refused`, {
    source: HELLO,
    expects: { kind: "refused", reasons: [0x02], otherwise: SILENT_CLOSE },
    send: (probe, session, id) => session.send(Base.hello, payload(probe, id)),
  });

const filler = (length: number): string => "x".repeat(length);

/** Fields that make the whole Hello so many bytes long. */
function ofSize(probe: Probe, size: number): HelloFields {
  const id = nodeIdOf(generateSecretKey());
  const sizeWith = (length: number): number =>
    encodeHello(id, probe.offer, { clientId: filler(length) }).length;
  return { clientId: filler(1000 + size - sizeWith(1000)) };
}

const accepting: readonly Case[] = [
  takes("plain", "Hellos are exchanged and the session is active", HELLO, () => ({})),
  takes("extra-elements", "list elements behind nodeKey are ignored", EIP_8, () => ({
    extra: [1, "extra", [2, [3]], new Uint8Array(40)],
  })),
  takes("version-4", "version 4 is taken, and nothing is compressed", EIP_706, () => ({
    version: 4,
  })),
  takes("version-6", "a later version is taken, and messages are compressed", EIP_8, () => ({
    version: 6,
  })),
  takes("version-22", "a much later version is taken, too", EIP_8, () => ({ version: 22 })),
  takes("unsorted-capabilities", "capabilities may come in any order", HELLO, ({ offer }) => ({
    capabilities: offer.map(({ name, version }) => [name, version]).toReversed(),
  })),
  takes(
    "duplicate-capabilities",
    "a capability that is named twice counts once",
    HELLO,
    (probe) => ({
      capabilities: [...probe.offer, ...probe.offer].map(({ name, version }) => [name, version]),
    }),
  ),
  takes(
    "unknown-capabilities",
    "capabilities that it does not know are ignored",
    HELLO,
    (probe) => ({
      capabilities: [
        ...Array.from({ length: 100 }, (_, i): RlpInput => [`none${i}`, i]),
        ...probe.offer.map(({ name, version }): RlpInput => [name, version]),
      ],
    }),
  ),
  takes("listen-port", "listenPort is legacy and ignored", HELLO, () => ({ listenPort: 30_303 })),
  takes("empty-client-id", "clientId is free text, none included", HELLO, () => ({ clientId: "" })),
  takes("binary-client-id", "clientId is free text, whatever bytes it has", HELLO, () => ({
    clientId: Uint8Array.of(0x1b, 0x5b, 0x32, 0x4a, 0xff, 0xfe, 0x00, 0x0a),
  })),
  takes("size-2048", "a Hello of 2048 bytes, the most that is common, is taken", HELLO, (probe) =>
    ofSize(probe, 2048),
  ),
  {
    name: "hello/unprompted",
    asks: "its Hello is sent at once, and does not wait for ours",
    source: HELLO,
    expects: { kind: "accepted" },
    async run(probe) {
      const { clientId } = await probe.readHello(await probe.session());
      return accepted(`Hello from ${clientId.slice(0, 40)}`);
    },
  },
  {
    name: "hello/message-behind",
    asks: "a compressed message in the same packet as our Hello is understood",
    source: EIP_706,
    expects: { kind: "accepted" },
    async run(probe) {
      const maker = probe.auth();
      const session = await probe.session(maker);
      const hello = session.seal(Base.hello, encodeHello(maker.nodeId, probe.offer));
      const ping = session.seal(Base.ping, compress(EMPTY_LIST));
      await session.wire.write(concatBytes(hello, ping));
      const link = await probe.greet(session);
      return link.pongs(1);
    },
  },
  {
    name: "hello/second",
    asks: "Hello is sent once: another one changes nothing",
    source: HELLO,
    expects: { kind: "accepted", opposite: "it disconnects, as it may after a breach" },
    async run(probe) {
      const maker = probe.auth();
      const link = await probe.link({ maker });
      // What it says, version 4 and no compression, must not come into force.
      const second = encodeHello(maker.nodeId, probe.offer, { version: 4 });
      await link.session.send(Base.hello, second);
      // No echo: what is neither compressed nor decompressed comes back the same.
      return link.alive();
    },
  },
];

const identity: readonly Case[] = [
  refusesFirst(
    "wrong-id",
    "an id other than the one proven in the handshake is refused with 0x09",
    {
      source: DISCONNECT,
      expects: { kind: "refused", reasons: [0x09], otherwise: SILENT_CLOSE },
      send: ({ offer }, session) =>
        session.send(Base.hello, encodeHello(nodeIdOf(generateSecretKey()), offer)),
    },
  ),
  ...[
    { name: "zero-id", what: "an id of 64 zeros", nodeId: () => new Uint8Array(64) },
    { name: "empty-id", what: "an empty id", nodeId: () => new Uint8Array(0) },
    { name: "short-id", what: "an id of 63 bytes", nodeId: (id: Uint8Array) => id.slice(0, 63) },
    {
      name: "long-id",
      what: "an id of 65 bytes",
      nodeId: (id: Uint8Array) => Uint8Array.of(...id, 1),
    },
  ].map(({ name, what, nodeId }) =>
    refusesFirst(name, `${what} is refused with 0x07`, {
      source: DISCONNECT,
      expects: { kind: "refused", reasons: [0x07], otherwise: SILENT_CLOSE },
      send: ({ offer }, session, id) =>
        session.send(Base.hello, encodeHello(id, offer, { nodeId: nodeId(id) })),
    }),
  ),
];

const malformed: readonly Case[] = [
  refuse("not-a-list", "a Hello that is a byte string", () =>
    encodeRlp(new Uint8Array(60).fill(1)),
  ),
  refuse("empty", "a Hello without payload", () => new Uint8Array(0)),
  refuse("not-rlp", "a Hello that is no RLP", () => new Uint8Array(60).fill(0xff)),
  refuse("missing-id", "a Hello without nodeKey", ({ offer }) =>
    encodeRlp([5, "short", offer.map(({ name, version }) => [name, version]), 0]),
  ),
  refuse("cut-off", "a Hello whose list is longer than the frame", ({ offer }, id) =>
    encodeHello(id, offer).slice(0, -1),
  ),
  refuse("version-is-list", "a version that is a list", ({ offer }, id) =>
    encodeHello(id, offer, { version: [5] }),
  ),
  refuse("version-leading-zero", "a version with a leading zero", ({ offer }, id) =>
    encodeHello(id, offer, { version: Uint8Array.of(0, 5) }),
  ),
  refuse("version-too-large", "a version of 9 bytes", ({ offer }, id) =>
    encodeHello(id, offer, { version: new Uint8Array(9).fill(5) }),
  ),
  refuse("capabilities-not-a-list", "capabilities that are a byte string", ({ offer }, id) =>
    encodeHello(id, offer, { capabilities: "echo" }),
  ),
  refuse("capability-not-a-pair", "a capability that is a byte string", ({ offer }, id) =>
    encodeHello(id, offer, { capabilities: ["echo"] }),
  ),
  refuse("nested", "a Hello of 2000 nested lists", () => new Uint8Array(2000).fill(0xc1)),
];

const order: readonly Case[] = [
  ...[
    { name: "ping", what: "a Ping", msgId: Base.ping },
    { name: "pong", what: "a Pong", msgId: Base.pong },
    { name: "subprotocol", what: "a message of a subprotocol", msgId: 0x10 },
    { name: "reserved", what: "a message with a reserved id", msgId: 0x0f },
  ].map(({ name, what, msgId }) =>
    refusesFirst(`${name}-first`, `${what} before Hello is refused`, {
      source: HELLO,
      expects: { kind: "refused", reasons: [0x02], otherwise: SILENT_CLOSE },
      send: (_probe, session) => session.send(msgId, EMPTY_LIST),
    }),
  ),
  {
    name: "hello/disconnect-first",
    asks: "a Disconnect may come before Hello, in every one of 28 encodings, and ends the connection",
    source: DISCONNECT,
    expects: { kind: "refused" },
    run: (probe) =>
      every({
        inputs: disconnectForms(),
        expected: "refused",
        label: ({ name }) => name,
        attempt: ({ payload }) =>
          probe.sooner("session", () =>
            sendFirst(probe, (_probe, session) => session.send(Base.disconnect, payload)),
          ),
      }),
  },
];

const bounds: readonly Case[] = [
  refusesFirst("size-2049", "a Hello of 2049 bytes is refused", {
    source: "go-ethereum p2p/peer.go, baseProtocolMaxMsgSize; the specification sets no bound",
    expects: { kind: "refused", opposite: UNBOUNDED },
    send: (probe, session, id) =>
      session.send(Base.hello, encodeHello(id, probe.offer, ofSize(probe, 2049))),
  }),
  {
    name: "hello/size-16-mib",
    asks: "a first frame of 2^24-1 bytes is refused by its header, and not read to its end",
    source:
      "devp2p rlpx.md §Hello (0x00): no bound is set, and yet memory is not for strangers to take",
    expects: { kind: "refused", opposite: UNBOUNDED },
    run: (probe) => probe.sooner("session", () => oversizeFirst(probe)),
  },
  {
    name: "hello/silence",
    asks: "whoever shakes hands and says no Hello is let go of within 30 s",
    source: "devp2p rlpx.md §Hello (0x00) leaves the time open; go-ethereum takes 30 s",
    expects: { kind: "refused" },
    isSlow: true,
    run: async (probe) => probe.endOf(await probe.session(), PATIENCE_MS),
  },
  {
    name: "hello/trickled-for-ever",
    asks: "a Hello that would take minutes to arrive is given up within 30 s, although bytes keep coming",
    source: "devp2p rlpx.md §Hello (0x00) leaves the time open; go-ethereum takes 30 s",
    expects: { kind: "refused" },
    isSlow: true,
    async run(probe) {
      const maker = probe.auth();
      const session = await probe.session(maker);
      const hello = session.seal(Base.hello, encodeHello(maker.nodeId, probe.offer));
      const ms = await probe.trickle(session.wire, hello, PATIENCE_MS);
      if (ms === undefined) return accepted(`still read after ${PATIENCE_MS} ms`);
      return { kind: "refused", detail: `ended after ${Math.round(ms / 1000)} s` };
    },
  },
];

/** Above the 30 s that a node may take, by what a busy machine may add. */
const PATIENCE_MS = 35_000;

/** How long a node gets to refuse a header before the data follow. */
const HEADER_WAIT_MS = 3_000;

async function oversizeFirst(probe: Probe): Promise<Outcome> {
  const session = await probe.session();
  const frame = session.sealFrame(new Uint8Array(16), { frameSize: 0xffffff });
  await session.wire.write(frame.subarray(0, 32));
  const outcome = await probe.endOf(session, Math.min(HEADER_WAIT_MS, probe.waitMs));
  if (outcome.kind !== "silent") return outcome;
  // More than the buffers between us hold: whoever takes it all has read on.
  await session.wire.write(new Uint8Array(1 << 24));
  if (session.wire.isEnded) return probe.endOf(session);
  return accepted("read on for 16 MiB");
}

/** What the node makes of Hello, of what comes in its place, and of nothing. */
export const helloCases: readonly Case[] = [
  ...accepting,
  ...identity,
  ...malformed,
  ...order,
  ...bounds,
];

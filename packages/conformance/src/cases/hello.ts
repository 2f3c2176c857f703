import { concatBytes, encodeRlp, generateSecretKey, nodeIdOf } from "@heddle/identity";
import type { RlpInput } from "@heddle/identity";
import { BaseMessage } from "@heddle/p2p";
import { compress } from "@heddle/rlpx";
import type { ScriptedHello, ScriptedPeer } from "@heddle/testing";

import type { Case } from "../case.ts";
import { EMPTY_LIST } from "../link.ts";
import { accepted } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import type { Probe } from "../probe.ts";
import { disconnectForms } from "./disconnect-forms.ts";
import { every } from "./every.ts";
import { PATIENCE_MS, TRICKLE } from "./patience.ts";

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
  fields: (probe: Probe) => ScriptedHello,
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

type Sender = (probe: Probe, peer: ScriptedPeer) => void;

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
  const peer = await probe.session();
  send(probe, peer);
  const outcome = await probe.endOf(peer);
  peer.destroy();
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
    send: (probe, peer) => peer.sendRaw(BaseMessage.hello, payload(probe, peer.id)),
  });

const filler = (length: number): string => "x".repeat(length);

/** Fields that make the whole Hello so many bytes long. */
function ofSize(probe: Probe, size: number): ScriptedHello {
  const id = nodeIdOf(generateSecretKey());
  const sizeWith = (length: number): number => probe.hello(id, { clientId: filler(length) }).length;
  return { clientId: filler(1000 + size - sizeWith(1000)) };
}

const accepting: readonly Case[] = [
  takes("plain", "Hellos are exchanged and the session is active", HELLO, () => ({})),
  takes("extra-elements", "list elements behind nodeKey are ignored", EIP_8, () => ({
    extra: [1, "extra", [2, [3]], new Uint8Array(40)],
  })),
  takes("version-4", "version 4 is taken, and nothing is compressed", EIP_706, () => ({
    protocolVersion: 4,
  })),
  takes("version-6", "a later version is taken, and messages are compressed", EIP_8, () => ({
    protocolVersion: 6,
  })),
  takes("version-22", "a much later version is taken, too", EIP_8, () => ({ protocolVersion: 22 })),
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
      const peer = await probe.session();
      const hello = peer.sealHello();
      const ping = peer.seal(BaseMessage.ping, compress(EMPTY_LIST), { isRaw: true });
      peer.sendBytes(concatBytes(hello, ping));
      const link = await probe.greet(peer);
      return link.pongs(1);
    },
  },
  {
    name: "hello/second",
    asks: "Hello is sent once: another one changes nothing",
    source: HELLO,
    expects: { kind: "accepted", opposite: "it disconnects, as it may after a breach" },
    async run(probe) {
      const link = await probe.link();
      // What it says, version 4 and no compression, must not come into force.
      link.peer.sendHello({ protocolVersion: 4 });
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
      send: (_probe, peer) => peer.sendHello({ nodeId: nodeIdOf(generateSecretKey()) }),
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
      send: (_probe, peer) => peer.sendHello({ nodeId: nodeId(peer.id) }),
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
  refuse("cut-off", "a Hello whose list is longer than the frame", (probe, id) =>
    probe.hello(id).slice(0, -1),
  ),
  refuse("version-is-list", "a version that is a list", (probe, id) =>
    probe.hello(id, { protocolVersion: [5] }),
  ),
  refuse("version-leading-zero", "a version with a leading zero", (probe, id) =>
    probe.hello(id, { protocolVersion: Uint8Array.of(0, 5) }),
  ),
  refuse("version-too-large", "a version of 9 bytes", (probe, id) =>
    probe.hello(id, { protocolVersion: new Uint8Array(9).fill(5) }),
  ),
  refuse("capabilities-not-a-list", "capabilities that are a byte string", (probe, id) =>
    probe.hello(id, { capabilities: "echo" }),
  ),
  refuse("capability-not-a-pair", "a capability that is a byte string", (probe, id) =>
    probe.hello(id, { capabilities: ["echo"] }),
  ),
  refuse("nested", "a Hello of 2000 nested lists", () => new Uint8Array(2000).fill(0xc1)),
];

const order: readonly Case[] = [
  ...[
    { name: "ping", what: "a Ping", msgId: BaseMessage.ping },
    { name: "pong", what: "a Pong", msgId: BaseMessage.pong },
    { name: "subprotocol", what: "a message of a subprotocol", msgId: 0x10 },
    { name: "reserved", what: "a message with a reserved id", msgId: 0x0f },
  ].map(({ name, what, msgId }) =>
    refusesFirst(`${name}-first`, `${what} before Hello is refused`, {
      source: HELLO,
      expects: { kind: "refused", reasons: [0x02], otherwise: SILENT_CLOSE },
      send: (_probe, peer) => peer.sendRaw(msgId, EMPTY_LIST),
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
            sendFirst(probe, (_probe, peer) => peer.sendRaw(BaseMessage.disconnect, payload)),
          ),
      }),
  },
];

const bounds: readonly Case[] = [
  refusesFirst("size-2049", "a Hello of 2049 bytes is refused", {
    source: "go-ethereum p2p/peer.go, baseProtocolMaxMsgSize; the specification sets no bound",
    expects: { kind: "refused", opposite: UNBOUNDED },
    send: (probe, peer) => peer.sendHello(ofSize(probe, 2049)),
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
      const peer = await probe.session();
      const ms = await peer.wire.trickle(peer.sealHello(), TRICKLE);
      if (ms === undefined) return accepted(`still read after ${PATIENCE_MS} ms`);
      return { kind: "refused", detail: `ended after ${Math.round(ms / 1000)} s` };
    },
  },
];

/** How long a node gets to refuse a header before the data follow. */
const HEADER_WAIT_MS = 3_000;

async function oversizeFirst(probe: Probe): Promise<Outcome> {
  const peer = await probe.session();
  const frame = peer.frames.sealData(new Uint8Array(16), { frameSize: 0xffffff });
  await peer.wire.write(frame.subarray(0, 32));
  const outcome = await probe.endOf(peer, Math.min(HEADER_WAIT_MS, probe.waitMs));
  if (outcome.kind !== "silent") return outcome;
  // More than the buffers between us hold: whoever takes it all has read on.
  await peer.wire.write(new Uint8Array(1 << 24));
  if (peer.ending !== undefined) return probe.endOf(peer);
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

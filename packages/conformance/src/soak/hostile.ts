import { encodeRlp, nodeIdOf } from "@heddle/identity";
import { BaseMessage } from "@heddle/p2p";
import type { Server } from "@heddle/p2p";
import { compress } from "@heddle/rlpx";
import { ScriptedAuth, scriptedPeer } from "@heddle/testing";
import type { ScriptedPeer, ScriptedWire, SeededRandom } from "@heddle/testing";

import { MAX_ECHO, Talk1, THROWING_NUMBER } from "./talk.ts";

/** One thing that a peer may do to a host; ends with the connection, whoever ends it. */
export type HostileAct = (host: Server, random: SeededRandom) => Promise<void>;

/** More than any deadline of the host's, in milliseconds. */
const PATIENCE_MS = 20_000;

const options = { protocols: [Talk1], timeoutMs: PATIENCE_MS };
const ended = { skipOthers: true };
const FIRST = 0x10;

/** What is done to the host of a soak, by name. */
export const HOSTILE_ACTS: Readonly<Record<string, HostileAct>> = {
  "garbage in place of a handshake": (host, random) =>
    strange(host, (wire) => wire.write(random.bytes(1 + random.integer(4_000)))),
  silence: (host) => strange(host, () => undefined),
  "half a handshake": (host, random) =>
    strange(host, (wire) => wire.write(auth(host, random).subarray(0, 200))),
  "a handshake with a bit flipped": (host, random) =>
    strange(host, (wire) => wire.write(flip(auth(host, random), random))),
  "a byte now and then": (host) =>
    strange(host, (wire) => wire.trickle(BYTES, { pauseMs: 100, limitMs: PATIENCE_MS })),
  "silence behind the handshake": (host) => shaken(host, () => undefined),
  "a Hello of nested lists": (host) =>
    shaken(host, (peer) => peer.sendRaw(BaseMessage.hello, new Uint8Array(2_048).fill(0xc1))),
  "a Hello in another's name": (host, random) =>
    shaken(host, (peer) => peer.sendHello({ nodeId: nodeIdOf(random.secretKey()) })),
  "a Hello with nothing to share": (host) =>
    shaken(host, (peer) => peer.sendHello({ capabilities: [{ name: "none", version: 1 }] })),
  "a message before Hello": (host) => shaken(host, (peer) => peer.send(FIRST, [1, [1, ""]])),
  "a wrong MAC": (host, random) =>
    greeted(host, (peer) => {
      peer.sendRaw(FIRST, encodeRlp([1]), { damage: (frame) => flip(frame, random) });
      // A flipped size may ask for more: then it is our end that decides.
      peer.wire.finish();
    }),
  "a code out of range": (host) => greeted(host, (peer) => peer.send(0x7f, [])),
  "no Snappy": (host, random) => uncompressed(host, random.bytes(1 + random.integer(100))),
  "a Snappy bomb": (host) => uncompressed(host, BOMB),
  "RLP that is none": (host) => greeted(host, (peer) => peer.sendRaw(FIRST, BAD_RLP)),
  "an answer to nothing": (host) =>
    greeted(host, (peer) => peer.send(FIRST + 1, [77, [1, new Uint8Array(9)]])),
  "a question that makes the handler throw": (host) =>
    greeted(host, (peer) => peer.send(FIRST, [1, [THROWING_NUMBER, ""]])),
  "a Disconnect of rubbish": (host, random) =>
    greeted(host, (peer) => peer.sendRaw(BaseMessage.disconnect, random.bytes(40))),
  "Hello again and again": (host) =>
    greeted(host, (peer) => {
      for (let i = 0; i < 50; i += 1) peer.sendHello();
      peer.disconnect();
    }),
  "pings without reading": (host) => flood(host, BaseMessage.ping, Uint8Array.of(0xc0), 20_000),
  "questions without reading": (host) =>
    flood(host, FIRST, encodeRlp([1, [1, new Uint8Array(MAX_ECHO)]]), 300),
  "an end in the middle of a message": (host) => cut(host, (wire) => wire.finish()),
  "a reset in the middle of a message": (host) => cut(host, (wire) => wire.reset()),
};

/** More than come before the host has had enough. */
const BYTES = new Uint8Array(1_000).fill(1);

const BAD_RLP = Uint8Array.of(0xf8, 0x01, 0xc0, 0xff);
const BOMB = compress(new Uint8Array(17 * 1024 * 1024));

function auth(host: Server, random: SeededRandom): Uint8Array {
  return new ScriptedAuth(host.id, { key: random.secretKey() }).packet;
}

function flip(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const at = random.integer(bytes.length);
  return bytes.with(at, (bytes[at] ?? 0) ^ (1 << random.integer(8)));
}

/** Connects without a handshake, and waits for the host to end it. */
async function strange(
  host: Server,
  act: (wire: ScriptedWire) => Promise<unknown> | undefined,
): Promise<void> {
  if (host.address === undefined) return;
  await using wire = await scriptedPeer.wire(host, options);
  void act(wire);
  for (let got = await wire.read(); got instanceof Uint8Array;) got = await wire.read();
}

/** Shakes hands, acts, and waits for the end. */
async function shaken(host: Server, act: (peer: ScriptedPeer) => void): Promise<void> {
  await using peer = await scriptedPeer.handshake(host, options);
  act(peer);
  await peer.expectEnd(ended);
}

/** Exchanges Hellos, acts, and waits for the end. */
async function greeted(host: Server, act: (peer: ScriptedPeer) => void): Promise<void> {
  await using peer = await scriptedPeer(host, options);
  act(peer);
  await peer.expectEnd(ended);
}

/** Sends bytes as they are where compressed ones are expected. */
function uncompressed(host: Server, payload: Uint8Array): Promise<void> {
  return greeted(host, (peer) => peer.sendRaw(FIRST, payload, { isRaw: true }));
}

/** Sends and reads nothing, then goes. */
async function flood(
  host: Server,
  msgId: number,
  payload: Uint8Array,
  count: number,
): Promise<void> {
  await using peer = await scriptedPeer(host, options);
  peer.pause();
  for (let i = 0; i < count; i += 1) {
    peer.sendRaw(msgId, payload);
    if (i % 100 === 99) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** Goes with half of a message sent. */
async function cut(host: Server, go: (wire: ScriptedWire) => void): Promise<void> {
  await using peer = await scriptedPeer(host, options);
  const bytes = peer.seal(FIRST, encodeRlp([1, [1, new Uint8Array(30_000)]]));
  peer.sendBytes(bytes.subarray(0, bytes.length >> 1));
  go(peer.wire);
  await peer.expectEnd(ended);
}

import { concatBytes, encodeRlp, generateSecretKey, nodeIdOf } from "@heddle/identity";
import { sealHandshake } from "@heddle/rlpx";
import type { HandshakePacketOptions } from "@heddle/testing";

import type { Case } from "../case.ts";
import type { Dialed } from "../dialed.ts";
import { accepted, refused, silent } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import type { Probe } from "../probe.ts";
import { PATIENCE_MS } from "./patience.ts";

const INITIAL = "devp2p rlpx.md §Initial Handshake";
const ECIES = "devp2p rlpx.md §ECIES Encryption";
const EIP_8 = "EIP-8 §Specification, RLPx Handshake";
const DISCONNECT = "devp2p rlpx.md §Disconnect (0x01)";
const OPEN = "leaves the time open; go-ethereum takes";

/** The node must take this ack, and say its Hello in the session. */
function takes(name: string, asks: string, source: string, ack: HandshakePacketOptions): Case {
  return {
    name: `dialer/${name}`,
    asks,
    source,
    isDialed: true,
    expects: { kind: "accepted" },
    async run(probe) {
      const { clientId } = await probe.readHello(await probe.answer(await probe.dialed(), ack));
      return accepted(`Hello from ${clientId.slice(0, 40)}`);
    },
  };
}

/** The node must end the connection after these bytes, sooner than after none. */
function refuses(
  name: string,
  asks: string,
  source: string,
  answer: (dialed: Dialed) => Uint8Array,
): Case {
  return {
    name: `dialer/${name}`,
    asks,
    source,
    isDialed: true,
    expects: { kind: "refused" },
    run: (probe) =>
      probe.sooner("dialed", async () => {
        const dialed = await probe.dialed();
        await dialed.wire.write(answer(dialed));
        return probe.firstAnswer(dialed.wire);
      }),
  };
}

/** A packet cut to so many bytes, with a size to match. */
function cut(packet: Uint8Array, length: number): Uint8Array {
  const size = length - 2;
  return concatBytes(Uint8Array.of(size >> 8, size & 0xff), packet.subarray(2, length));
}

/** 64 bytes that are no point of the curve. */
const OFF_CURVE = new Uint8Array(64).fill(0x11);

const acks: readonly Case[] = [
  takes("plain", "an auth that we can read, and a valid ack is taken", INITIAL, {}),
  takes("ack-extra-elements", "list elements behind ack-vsn are ignored", EIP_8, {
    extra: [1, "extra", [2, [3]], new Uint8Array(40)],
  }),
  takes("ack-version-56", "an ack-vsn other than 4 is ignored", EIP_8, { version: 56 }),
  takes("ack-no-padding", "padding is not required of the other side", EIP_8, {
    padding: new Uint8Array(0),
  }),
  refuses("ack-cut-short", "an ack cut short, its size saying so, is refused", ECIES, ({ ack }) => {
    const { packet } = ack();
    return cut(packet, packet.length - 40);
  }),
  refuses("ack-bad-mac", "an ack whose MAC does not match is refused", ECIES, ({ ack }) => {
    const { packet } = ack();
    packet[packet.length - 1] = (packet.at(-1) ?? 0) ^ 1;
    return packet;
  }),
  refuses(
    "ack-off-curve",
    "an ephemeral key off the curve is refused",
    INITIAL,
    ({ ack }) => ack({ fields: (fields) => fields.with(0, OFF_CURVE) }).packet,
  ),
  refuses(
    "ack-nonce-short",
    "a nonce of 31 bytes is refused",
    INITIAL,
    ({ ack }) => ack({ fields: (fields) => fields.with(1, new Uint8Array(31)) }).packet,
  ),
  refuses("ack-foreign", "an ack sealed for another node is refused", ECIES, () =>
    sealHandshake(
      nodeIdOf(generateSecretKey()),
      concatBytes(
        encodeRlp([nodeIdOf(generateSecretKey()), new Uint8Array(32).fill(7), 4]),
        new Uint8Array(120),
      ),
    ),
  ),
  refuses(
    "oversize-prefix",
    "a size over 2048 is refused by its two bytes, before anything else arrives",
    "go-ethereum #30029: the specification leaves the bound open",
    () => Uint8Array.of(0x08, 0x01),
  ),
  {
    name: "dialer/ack-unfinished",
    asks: "a connection that ends inside the ack is let go of",
    source: INITIAL,
    isDialed: true,
    expects: { kind: "refused" },
    run: (probe) =>
      probe.sooner("dialed", async () => {
        const { wire, ack } = await probe.dialed();
        await wire.write(ack().packet.subarray(0, 200));
        wire.finish();
        return probe.firstAnswer(wire);
      }),
  },
];

const hellos: readonly Case[] = [
  {
    name: "dialer/wrong-id",
    asks: "a Hello with an id other than the one that was dialed is refused with 0x09",
    source: DISCONNECT,
    isDialed: true,
    expects: {
      kind: "refused",
      reasons: [0x09],
      otherwise: "it ends the connection without saying why, which nobody must",
    },
    run: (probe) =>
      probe.sooner("answered", async () => {
        const peer = await probe.answer(await probe.dialed());
        peer.sendHello({ nodeId: nodeIdOf(generateSecretKey()) });
        return probe.endOf(peer);
      }),
  },
  waits("silence", "a node that sends no ack is given up within 30 s", {
    source: `${INITIAL} ${OPEN} 5 s`,
    async wait(_probe, { wire }) {
      const answer = await wire.read(PATIENCE_MS);
      if (answer === undefined) return silent(PATIENCE_MS);
      if (answer instanceof Uint8Array) return accepted(`went on with ${answer.length} bytes`);
      return refused(answer);
    },
  }),
  waits("silence-behind-ack", "a node that says no Hello is given up within 30 s", {
    source: `devp2p rlpx.md §Hello (0x00) ${OPEN} 30 s`,
    wait: async (probe, dialed) => probe.endOf(await probe.answer(dialed), PATIENCE_MS),
  }),
];

interface Waiting {
  readonly source: string;
  readonly wait: (probe: Probe, dialed: Dialed) => Promise<Outcome>;
}

function waits(name: string, asks: string, { source, wait }: Waiting): Case {
  return {
    name: `dialer/${name}`,
    asks,
    source,
    isDialed: true,
    isSlow: true,
    expects: { kind: "refused" },
    run: async (probe) => wait(probe, await probe.dialed()),
  };
}

/** What the node makes of whom it dials; for those who can make it dial. */
export const dialerCases: readonly Case[] = [...acks, ...hellos];

import { concatBytes, curve, nodeIdOf } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import { FrameReader } from "../src/frame.ts";
import { Recipient } from "../src/handshake.ts";
import { openHandshake, RawFrameWriter, sealHandshake } from "../src/raw.ts";
import { eip8AtoB, eip8BtoA, hex } from "./frame.fixtures.ts";
import { recipientKey, replay, thrown } from "./sessions.ts";
import eip8 from "./vectors/eip-8.json" with { type: "json" };
import geth from "./vectors/session-geth.json" with { type: "json" };

const reader = (secrets = eip8AtoB): FrameReader =>
  new FrameReader({ ...secrets, maxFrameSize: 0xffffff });

function open(wire: Uint8Array): Uint8Array | undefined {
  const frames = reader();
  frames.feed(wire);
  return frames.next();
}

describe("raw frames", () => {
  test("are go-ethereum's, both Hellos", () => {
    const hellos = [
      { secrets: eip8AtoB, frame: geth.aToB[0] },
      { secrets: eip8BtoA, frame: geth.bToA[0] },
    ];
    for (const { secrets, frame } of hellos) {
      const data = concatBytes(Uint8Array.of(0x80), hex(frame!.payload));
      expect(new RawFrameWriter(secrets).seal(data)).toEqual(hex(frame!.wire));
    }
  });

  test("go on from one to the next, and are read whatever stands beside the size", () => {
    const writer = new RawFrameWriter(eip8AtoB);
    const frames = reader();
    const data = Uint8Array.of(0x10, 0xc0);
    for (const options of [
      {},
      { headerData: new Uint8Array(0) },
      { headerData: new Uint8Array(13).fill(0xff) },
      { headerPadding: 0xff },
      { padding: 0xff },
    ]) {
      frames.feed(writer.seal(data, options));
      expect(frames.next()).toEqual(data);
    }
  });

  test("may be empty or lie about their size, which the reader refuses", () => {
    const empty = new RawFrameWriter(eip8AtoB).seal(new Uint8Array(0));
    expect(empty).toHaveLength(48);
    expect(thrown(() => open(empty))).toMatchObject({ code: "ERR_RLPX_FRAME_SIZE" });
    const short = new RawFrameWriter(eip8AtoB).seal(new Uint8Array(32), { frameSize: 1 });
    expect(thrown(() => open(short))).toMatchObject({ code: "ERR_RLPX_BAD_FRAME_MAC" });
  });

  test("have a header of 16 bytes and a size of three", () => {
    const writer = new RawFrameWriter(eip8AtoB);
    expect(() => writer.seal(new Uint8Array(1), { frameSize: 0x1000000 })).toThrow(RangeError);
    expect(() => writer.seal(new Uint8Array(1), { frameSize: -1 })).toThrow(RangeError);
    expect(() => writer.seal(new Uint8Array(1), { headerData: new Uint8Array(14) })).toThrow(
      RangeError,
    );
    // Nothing was sealed meanwhile.
    expect(open(writer.seal(Uint8Array.of(1)))).toEqual(Uint8Array.of(1));
  });
});

describe("raw handshake packets", () => {
  const { staticKeyB } = eip8;

  test("published ones are opened to what they hold", () => {
    const plain = openHandshake(hex(staticKeyB), hex(eip8.auth2.hex));
    // Of auth2 EIP-8 publishes the initiator's key and nonce.
    expect(Buffer.from(plain).includes(Buffer.from(eip8.nonceA, "hex"))).toBe(true);
    const id = nodeIdOf(hex(eip8.staticKeyA));
    expect(Buffer.from(plain).includes(Buffer.from(id))).toBe(true);
  });

  test("hold any plaintext, also none", () => {
    const id = nodeIdOf(recipientKey);
    for (const length of [0, 1, 2048 - 113, 2048, 0xffff - 113]) {
      const plaintext = new Uint8Array(length).fill(7);
      const packet = sealHandshake(id, plaintext);
      expect(packet).toHaveLength(length + 115);
      expect(openHandshake(recipientKey, packet)).toEqual(plaintext);
    }
    expect(() => sealHandshake(id, new Uint8Array(0xffff - 112))).toThrow(RangeError);
  });

  test("are reproducible, and refused by a recipient that finds no fields in them", () => {
    const make = (): Uint8Array =>
      sealHandshake(nodeIdOf(recipientKey), Uint8Array.of(0xc0), {
        curve,
        randomBytes: replay(new Uint8Array(32).fill(1), new Uint8Array(16).fill(2)),
      });
    expect(make()).toEqual(make());
    const recipient = new Recipient({ secretKey: recipientKey });
    expect(thrown(() => recipient.receive(make()))).toMatchObject({
      code: "ERR_RLPX_BAD_HANDSHAKE",
    });
  });
});

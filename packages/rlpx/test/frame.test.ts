import { describe, expect, test } from "vitest";

import { FrameReader, FrameWriter, MAX_FRAME_SIZE } from "../src/frame.ts";
import {
  eip8AtoB,
  eip8BtoA,
  helloFromInitiator,
  helloFromRecipient,
  hex,
  vectors,
} from "./frame.fixtures.ts";

const { helloFrames, gethTranscript } = vectors;
const none = new Uint8Array(0);

const readerOf = (secrets: typeof eip8AtoB, maxFrameSize = MAX_FRAME_SIZE): FrameReader =>
  new FrameReader({ ...secrets, maxFrameSize });

describe("published Hello frames", () => {
  const directions = [
    {
      from: "initiator",
      secrets: helloFromInitiator,
      wire: hex(helloFrames.initiatorPacket),
      data: hex(helloFrames.initiatorFrameData),
    },
    {
      from: "recipient",
      secrets: helloFromRecipient,
      wire: hex(helloFrames.recipientPacket),
      data: hex(helloFrames.recipientFrameData),
    },
  ];

  test.each(directions)("the $from's is read", ({ secrets, wire, data }) => {
    const reader = readerOf(secrets);
    reader.feed(wire);
    expect(reader.next()).toEqual(data);
    expect(reader.next()).toBeUndefined();
  });

  test.each(directions)("the $from's is written, byte for byte", ({ secrets, wire, data }) => {
    const writer = new FrameWriter(secrets);
    expect(writer.push(data.subarray(0, 1), data.subarray(1))).toBe(wire.length);
    expect(writer.pendingBytes).toBe(wire.length);
    expect(writer.take()).toEqual(wire);
    expect(writer.pendingBytes).toBe(0);
    expect(writer.take()).toEqual(none);
  });
});

describe("go-ethereum's frames", () => {
  const directions = [
    { way: "A to B", secrets: eip8AtoB, frames: gethTranscript.AtoB },
    { way: "B to A", secrets: eip8BtoA, frames: gethTranscript.BtoA },
  ];

  test.each(directions)("$way are read in order", ({ secrets, frames }) => {
    const reader = readerOf(secrets);
    reader.feed(hex(frames.map(({ wire }) => wire).join("")));
    for (const { frameData } of frames) expect(reader.next()).toEqual(hex(frameData));
    expect(reader.next()).toBeUndefined();
  });

  test.each(directions)("$way are written, byte for byte, in one batch", ({ secrets, frames }) => {
    const writer = new FrameWriter(secrets);
    for (const { frameData } of frames) writer.push(none, hex(frameData));
    expect(writer.take()).toEqual(hex(frames.map(({ wire }) => wire).join("")));
  });
});

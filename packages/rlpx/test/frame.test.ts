import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { createPortableEngine } from "../src/engine.portable.ts";
import { createWasmEngine } from "../src/engine.wasm.ts";
import { RemoteProtocolError } from "../src/errors.ts";
import { FrameReader, type FrameSecrets, FrameWriter, MAX_FRAME_SIZE } from "../src/frame.ts";
import { type FrameEngine, WINDOW_BYTES } from "../src/layout.ts";
import {
  eip8AtoB,
  eip8BtoA,
  helloFromInitiator,
  helloFromRecipient,
  hex,
  vectors,
} from "./frame.fixtures.ts";
import { headerOf, ReferenceWriter } from "./frame.reference.ts";

const { helloFrames, gethTranscript } = vectors;
const none = new Uint8Array(0);
const wasm = createWasmEngine()!;
const portable = createPortableEngine();
const engines = [
  { name: "wasm", engine: wasm },
  { name: "portable", engine: portable },
];

function readerOf(
  secrets: FrameSecrets,
  engine: FrameEngine = wasm,
  maxFrameSize = MAX_FRAME_SIZE,
) {
  return new FrameReader({ ...secrets, maxFrameSize }, engine);
}

/** Bytes in which every position differs from its neighbours, so that a shifted copy shows. */
function pattern(length: number, seed = 1): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0, x = seed; i < length; i++) {
    x = (Math.imul(x, 1103515245) + 12345) | 0;
    out[i] = x >>> 16;
  }
  return out;
}

function drain(reader: FrameReader): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let frame = reader.next(); frame; frame = reader.next()) frames.push(frame);
  return frames;
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const isSameList = (a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean =>
  a.length === b.length && a.every((bytes, i) => isSame(bytes, b[i]!));

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (!(error instanceof RemoteProtocolError)) throw error;
    return error.code;
  }
}

describe.each(engines)("published Hello frames, by the $name engine", ({ engine }) => {
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
    const reader = readerOf(secrets, engine);
    reader.feed(wire);
    expect(reader.next()).toEqual(data);
    expect(reader.next()).toBeUndefined();
  });

  test.each(directions)("the $from's is written, byte for byte", ({ secrets, wire, data }) => {
    const writer = new FrameWriter(secrets, engine);
    expect(writer.push(data.subarray(0, 1), data.subarray(1))).toBe(wire.length);
    expect(writer.pendingBytes).toBe(wire.length);
    expect(writer.take()).toEqual(wire);
    expect(writer.pendingBytes).toBe(0);
    expect(writer.take()).toEqual(none);
  });
});

describe.each(engines)("go-ethereum's frames, by the $name engine", ({ engine }) => {
  const directions = [
    { way: "A to B", secrets: eip8AtoB, frames: gethTranscript.AtoB },
    { way: "B to A", secrets: eip8BtoA, frames: gethTranscript.BtoA },
  ];

  test.each(directions)("$way are read in order", ({ secrets, frames }) => {
    const reader = readerOf(secrets, engine);
    reader.feed(hex(frames.map(({ wire }) => wire).join("")));
    expect(drain(reader)).toEqual(frames.map(({ frameData }) => hex(frameData)));
  });

  test.each(directions)("$way are read when split in two at every byte", ({ secrets, frames }) => {
    const wire = hex(frames.map(({ wire }) => wire).join(""));
    const expected = frames.map(({ frameData }) => hex(frameData));
    for (let at = 0; at <= wire.length; at++) {
      const reader = readerOf(secrets, engine);
      reader.feed(wire.subarray(0, at));
      const early = drain(reader);
      reader.feed(wire.subarray(at));
      expect(isSameList([...early, ...drain(reader)], expected)).toBe(true);
    }
  });

  test.each(directions)("$way are read one byte at a time", ({ secrets, frames }) => {
    const reader = readerOf(secrets, engine);
    const got: Uint8Array[] = [];
    for (const byte of hex(frames.map(({ wire }) => wire).join(""))) {
      reader.feed(Uint8Array.of(byte));
      got.push(...drain(reader));
    }
    expect(got).toEqual(frames.map(({ frameData }) => hex(frameData)));
  });

  test.each(directions)("$way are written, byte for byte, in one batch", ({ secrets, frames }) => {
    const writer = new FrameWriter(secrets, engine);
    for (const { frameData } of frames) writer.push(none, hex(frameData));
    expect(writer.take()).toEqual(hex(frames.map(({ wire }) => wire).join("")));
  });
});

describe("any frames, any batches, any chunks", () => {
  const size = fc.oneof(
    fc.integer({ min: 1, max: 100 }),
    fc.integer({ min: 900, max: 1200 }),
    fc.integer({ min: WINDOW_BYTES - 100, max: WINDOW_BYTES + 100 }),
    fc.integer({ min: 1, max: 3 * WINDOW_BYTES }),
  );

  test.each(engines)("the $name engine writes what the specification says", ({ engine }) => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(size, fc.integer({ min: 0, max: 5 }), fc.boolean()), { maxLength: 12 }),
        (frames) => {
          const writer = new FrameWriter(eip8AtoB, engine);
          const reference = new ReferenceWriter(eip8AtoB);
          const [got, expected]: [Uint8Array[], Uint8Array[]] = [[], []];
          for (const [length, headLength, isTaken] of frames) {
            const data = pattern(length, length);
            writer.push(data.subarray(0, headLength), data.subarray(headLength));
            expected.push(reference.frame(data));
            if (isTaken) got.push(writer.take());
          }
          got.push(writer.take());
          expect(isSame(Buffer.concat(got), Buffer.concat(expected))).toBe(true);
        },
      ),
      { numRuns: engine === wasm ? 30 : 8 },
    );
  });

  test.each(engines)("the $name engine reads what the specification says", ({ engine }) => {
    fc.assert(
      fc.property(
        fc.array(size, { maxLength: 12 }),
        fc.array(fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 150_000 })), {
          minLength: 1,
        }),
        fc.integer({ min: 0, max: 3 }),
        (sizes, cuts, patience) => {
          const reference = new ReferenceWriter(eip8AtoB);
          const expected = sizes.map((length) => pattern(length, length));
          const wire = Buffer.concat(expected.map((data) => reference.frame(data)));
          const reader = readerOf(eip8AtoB, engine);
          const got: Uint8Array[] = [];
          for (let at = 0, i = 0; at < wire.length; i++) {
            const chunk = new Uint8Array(wire.subarray(at, at + cuts[i % cuts.length]!));
            reader.feed(chunk);
            // A chunk is copied: what its owner does with it afterwards does not matter.
            at += chunk.length;
            chunk.fill(0xee);
            // Sometimes frames are left to wait while more is fed.
            const wanted = patience === 0 ? Infinity : (i * 7) % (patience + 1);
            for (let n = 0; n < wanted; n++) {
              const data = reader.next();
              if (data === undefined) break;
              got.push(data);
            }
          }
          got.push(...drain(reader));
          expect(isSameList(got, expected)).toBe(true);
        },
      ),
      { numRuns: engine === wasm ? 40 : 8 },
    );
  });

  test("frames handed out are their owner's: later work does not touch them", () => {
    const writer = new FrameWriter(eip8AtoB, wasm);
    const reader = readerOf(eip8AtoB);
    const first = pattern(300);
    writer.push(none, first);
    const wire = writer.take();
    const wireThen = wire.slice();
    reader.feed(wire);
    const data = reader.next()!;
    writer.push(none, pattern(300, 9));
    reader.feed(writer.take());
    reader.next();
    expect(data).toEqual(first);
    expect(wire).toEqual(wireThen);
    data.fill(0);
    wire.fill(0);
    writer.push(none, first);
    reader.feed(writer.take());
    expect(reader.next()).toEqual(first);
  });
});

describe("many connections on one engine", () => {
  test.each(engines)("interleave at every step of the $name engine", ({ engine }) => {
    const count = 5;
    const secrets = Array.from({ length: count }, (_, i) => ({
      aesSecret: new Uint8Array(32).fill(i),
      macSecret: new Uint8Array(32).fill(100 + i),
      macSeed: pattern(200 + i, i),
    }));
    const writers = secrets.map((s) => new FrameWriter(s, engine));
    const readers = secrets.map((s) => readerOf(s, engine));
    const sizes = [5, 40, 1500, 17, 9000];
    const sent = secrets.map((_, i) => sizes.map((size) => pattern(size, size + i)));
    for (const [n] of sizes.entries()) writers.forEach((w, i) => w.push(none, sent[i]![n]!));
    const wires = writers.map((w) => w.take());
    const got: Uint8Array[][] = secrets.map(() => []);
    // One frame from each connection in turn, whole batches waiting behind.
    for (let at = 0; at < wires[0]!.length; at += 3000) {
      readers.forEach((reader, i) => reader.feed(wires[i]!.subarray(at, at + 3000)));
      let isIdle = false;
      while (!isIdle) {
        isIdle = true;
        for (const [i, reader] of readers.entries()) {
          const data = reader.next();
          if (data === undefined) continue;
          got[i]!.push(data);
          isIdle = false;
        }
      }
    }
    got.forEach((frames, i) => expect(isSameList(frames, sent[i]!)).toBe(true));
  });

  test("a reader in the middle of a batch is not disturbed by a writer", () => {
    const [writer, reader] = [new FrameWriter(eip8AtoB, wasm), readerOf(eip8AtoB)];
    const answers = new FrameWriter(eip8BtoA, wasm);
    const expected = new ReferenceWriter(eip8BtoA);
    for (let i = 0; i < 50; i++) writer.push(Uint8Array.of(i), pattern(i * 10));
    reader.feed(writer.take());
    for (let i = 0; i < 50; i++) {
      expect(reader.next()).toEqual(Uint8Array.of(i, ...pattern(i * 10)));
      answers.push(none, Uint8Array.of(i));
      expect(answers.take()).toEqual(expected.frame(Uint8Array.of(i)));
    }
  });
});

describe("sizes", () => {
  test.each([1, 15, 16, 17, WINDOW_BYTES - 48, WINDOW_BYTES - 47, MAX_FRAME_SIZE])(
    "%i bytes of frame-data pass",
    (size) => {
      const data = pattern(size);
      const [writer, reader] = [new FrameWriter(eip8AtoB), readerOf(eip8AtoB)];
      expect(writer.push(data.subarray(0, 1), data.subarray(1))).toBe(
        48 + Math.ceil(size / 16) * 16,
      );
      reader.feed(writer.take());
      expect(isSame(reader.next()!, data)).toBe(true);
      expect(reader.next()).toBeUndefined();
    },
  );

  test("the largest frame passes in 64 KiB chunks, with small ones around it", () => {
    const data = pattern(MAX_FRAME_SIZE);
    const [writer, reader] = [new FrameWriter(eip8AtoB), readerOf(eip8AtoB)];
    writer.push(none, Uint8Array.of(1));
    writer.push(none, data);
    writer.push(none, Uint8Array.of(2));
    const wire = writer.take();
    const got: Uint8Array[] = [];
    for (let at = 0; at < wire.length; at += 65536) {
      reader.feed(wire.subarray(at, at + 65536));
      got.push(...drain(reader));
    }
    expect(isSameList(got, [Uint8Array.of(1), data, Uint8Array.of(2)])).toBe(true);
    // No larger than it must be: frame-data is often kept.
    expect(got[1]!.buffer.byteLength).toBe(MAX_FRAME_SIZE);
  });

  test.each([0, MAX_FRAME_SIZE + 1])("pushing %i bytes is refused and changes nothing", (size) => {
    const writer = new FrameWriter(eip8AtoB);
    expect(() => writer.push(none, new Uint8Array(size))).toThrow(RangeError);
    expect(writer.pendingBytes).toBe(0);
    writer.push(none, Uint8Array.of(1));
    expect(writer.take()).toEqual(new ReferenceWriter(eip8AtoB).frame(Uint8Array.of(1)));
  });

  test("maxFrameSize counts when a header is read, and holds for the frames behind a Hello", () => {
    const [writer, reader] = [new FrameWriter(eip8AtoB), readerOf(eip8AtoB, wasm, 2049)];
    writer.push(none, pattern(2049));
    writer.push(none, pattern(2050));
    writer.push(none, pattern(2051));
    reader.feed(writer.take());
    expect(reader.next()).toHaveLength(2049);
    reader.maxFrameSize = 2050;
    expect(reader.next()).toHaveLength(2050);
    expect(codeOf(() => reader.next())).toBe("ERR_RLPX_FRAME_SIZE");
  });
});

describe("a hostile peer", () => {
  test("a frame that is too large is refused at its header, with both numbers named", () => {
    const reader = readerOf(eip8AtoB, wasm, 100);
    reader.feed(new ReferenceWriter(eip8AtoB).header(headerOf(101)));
    expect(() => reader.next()).toThrow(/frame-size 101 .* 100/);
  });

  test("an empty frame is refused", () => {
    const reader = readerOf(eip8AtoB);
    reader.feed(new ReferenceWriter(eip8AtoB).header(headerOf(0)));
    expect(codeOf(() => reader.next())).toBe("ERR_RLPX_FRAME_SIZE");
  });

  test("whatever a header carries behind its size is ignored, as go-ethereum does", () => {
    const reader = readerOf(eip8AtoB);
    const reference = new ReferenceWriter(eip8AtoB);
    reader.feed(reference.header(headerOf(3, [...pattern(13)])));
    reader.feed(reference.body(Uint8Array.of(1, 2, 3)));
    expect(reader.next()).toEqual(Uint8Array.of(1, 2, 3));
  });

  test("padding that is not zero is ignored, as go-ethereum does", () => {
    const reader = readerOf(eip8AtoB);
    const reference = new ReferenceWriter(eip8AtoB);
    reader.feed(reference.header(headerOf(3)));
    reader.feed(reference.body(pattern(16)));
    expect(reader.next()).toEqual(pattern(16).slice(0, 3));
  });

  test.each(engines)("a bit flipped in any byte is found by the $name engine", ({ engine }) => {
    const frame = new ReferenceWriter(eip8AtoB).frame(pattern(40));
    for (let at = 0; at < frame.length; at++) {
      const bad = frame.slice();
      bad[at]! ^= 1 << (at & 7);
      const reader = readerOf(eip8AtoB, engine);
      reader.feed(bad);
      const code = codeOf(() => reader.next());
      expect(code).toBe(at < 32 ? "ERR_RLPX_BAD_HEADER_MAC" : "ERR_RLPX_BAD_FRAME_MAC");
    }
  });

  test.each([0, 1000, 65536, 199_999, 200_000, 200_015])(
    "a bit flipped in byte %i of a long frame is found, and nothing of it comes out",
    (at) => {
      const frame = new ReferenceWriter(eip8AtoB).frame(pattern(200_000));
      frame[32 + at]! ^= 0x80;
      const reader = readerOf(eip8AtoB);
      const got: Uint8Array[] = [];
      const code = codeOf(() => {
        for (let from = 0; from < frame.length; from += 50_000) {
          reader.feed(frame.subarray(from, from + 50_000));
          got.push(...drain(reader));
        }
      });
      expect(code).toBe("ERR_RLPX_BAD_FRAME_MAC");
      expect(got).toEqual([]);
    },
  );

  test("a frame replayed, left out or moved is found", () => {
    const reference = new ReferenceWriter(eip8AtoB);
    const [a, b] = [reference.frame(pattern(10)), reference.frame(pattern(20))];
    for (const order of [[a, a], [b], [b, a]]) {
      const reader = readerOf(eip8AtoB);
      reader.feed(new Uint8Array(Buffer.concat(order)));
      expect(codeOf(() => drain(reader))).toBe("ERR_RLPX_BAD_HEADER_MAC");
    }
  });

  test("frames before a bad one still come out; after it the reader is dead and says so again", () => {
    const reference = new ReferenceWriter(eip8AtoB);
    const [good, bad, later] = [1, 2, 3].map((n) => reference.frame(Uint8Array.of(n)));
    bad![40]! ^= 1;
    const reader = readerOf(eip8AtoB);
    reader.feed(new Uint8Array(Buffer.concat([good!, bad!, later!])));
    expect(reader.next()).toEqual(Uint8Array.of(1));
    let first: unknown;
    try {
      reader.next();
    } catch (error) {
      first = error;
    }
    expect(first).toBeInstanceOf(RemoteProtocolError);
    reader.feed(later!);
    expect(() => reader.next()).toThrow(first);
  });

  test("a dead reader leaves the engine to others", () => {
    const bad = readerOf(eip8BtoA);
    bad.feed(new Uint8Array(64));
    expect(codeOf(() => bad.next())).toBe("ERR_RLPX_BAD_HEADER_MAC");
    const reader = readerOf(eip8AtoB);
    reader.feed(new ReferenceWriter(eip8AtoB).frame(pattern(100)));
    expect(reader.next()).toEqual(pattern(100));
  });

  test("random bytes end in an error of the peer, never in any other", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (chunks) => {
        const reader = readerOf(eip8AtoB);
        const code = codeOf(() => {
          for (const chunk of chunks) {
            reader.feed(chunk);
            drain(reader);
          }
        });
        const total = chunks.reduce((sum, { length }) => sum + length, 0);
        expect(code).toBe(total >= 32 ? "ERR_RLPX_BAD_HEADER_MAC" : undefined);
      }),
    );
  });

  test("announcing 16 MiB costs no memory until the bytes arrive", () => {
    const wire = Buffer.concat([
      new ReferenceWriter(eip8AtoB).header(headerOf(MAX_FRAME_SIZE)),
      pattern(5000),
    ]);
    const readers = Array.from({ length: 100 }, () => readerOf(eip8AtoB));
    const before = process.memoryUsage().arrayBuffers;
    for (const reader of readers) {
      reader.feed(wire);
      expect(reader.next()).toBeUndefined();
    }
    const grown = process.memoryUsage().arrayBuffers - before;
    expect(grown).toBeLessThan(readers.length * 4 * 5000 + 1024 * 1024);
  });
});

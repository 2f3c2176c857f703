import { curve } from "@heddle/identity";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { LocalProtocolError, RemoteProtocolError } from "../src/errors.ts";
import { FrameWriter } from "../src/frame.ts";
import { deriveSecrets, type SessionSecrets } from "../src/secrets.ts";
import { MAX_HELLO_SIZE, MAX_MESSAGE_SIZE, MAX_MSG_ID, RlpxSession } from "../src/session.ts";
import { compress } from "../src/snappy.ts";
import { cut, drain, hex, makeOpenSessions, makeSessions, thrown } from "./sessions.ts";
import eip8 from "./vectors/eip-8.json" with { type: "json" };
import geth from "./vectors/session-geth.json" with { type: "json" };
import older from "./vectors/session-pre-eip-8.json" with { type: "json" };

const none = new Uint8Array(0);
const remoteId = hex(eip8.derived.staticPublicKeyA);
const eip8Secrets = (role: "initiator" | "recipient"): SessionSecrets =>
  deriveSecrets(role, {
    ephemeralSharedSecret: curve.sharedSecret(
      hex(eip8.ephemeralKeyA),
      hex(eip8.derived.ephemeralPublicKeyB),
    ),
    initiatorNonce: hex(eip8.nonceA),
    recipientNonce: hex(eip8.nonceB),
    auth: hex(eip8.auth2.hex),
    ack: hex(eip8.ack2.hex),
  });

const olderSecrets = (role: "initiator" | "recipient"): SessionSecrets =>
  deriveSecrets(role, {
    ephemeralSharedSecret: hex(older.ephemeralSharedSecret),
    initiatorNonce: hex(older.initiatorNonce),
    recipientNonce: hex(older.recipientNonce),
    auth: hex(older.auth),
    ack: hex(older.ack),
  });

/** Frame-data of any content to a session, as a peer that keeps to nothing but the framing sends it. */
const feedFrame = (session: RlpxSession, writer: FrameWriter, frameData: Uint8Array): void => {
  writer.push(frameData, none);
  session.feed(writer.take());
};
const makeHostile = (isOpen: boolean): { session: RlpxSession; writer: FrameWriter } => {
  const session = new RlpxSession(remoteId, eip8Secrets("recipient"));
  if (isOpen) session.helloAccepted(5);
  return { session, writer: new FrameWriter(eip8Secrets("initiator").egress) };
};
const refusal = (code: string) => expect.objectContaining({ name: "RemoteProtocolError", code });

describe("published Hello messages of before EIP-8", () => {
  test.each([
    ["initiator", "recipient", older.initiatorHelloPacket, older.initiatorHello],
    ["recipient", "initiator", older.recipientHelloPacket, older.recipientHello],
  ] as const)("the %s's is written by it and read by the %s", (from, to, wire, hello) => {
    const sender = new RlpxSession(remoteId, olderSecrets(from));
    const payload = hex(hello).subarray(1);
    expect(sender.push(0, payload)).toBe(wire.length / 2);
    expect(sender.take()).toEqual(hex(wire));
    const receiver = new RlpxSession(remoteId, olderSecrets(to));
    receiver.feed(hex(wire));
    expect(drain(receiver)).toEqual([{ msgId: 0, payload }]);
  });
});

describe.each([
  ["A", "recipient", geth.aToB],
  ["B", "initiator", geth.bToA],
] as const)("what go-ethereum sends as %s", (_, role, messages) => {
  const expected = messages.map(({ msgId, payload }) => ({ msgId, payload: hex(payload) }));

  test.each([[[1]], [[1e6]], [[7, 100, 1, 33]]])("is read in chunks of %s", (lengths) => {
    const session = new RlpxSession(remoteId, eip8Secrets(role));
    const read = [];
    for (const chunk of cut(hex(messages.map(({ wire }) => wire).join("")), lengths)) {
      session.feed(chunk);
      for (let m = session.next(); m !== undefined; m = session.next()) {
        if (read.length === 0) session.helloAccepted(5);
        read.push(m);
      }
    }
    expect(read).toEqual(expected);
  });

  test("has message ids of 1, 2 and 3 bytes", () => {
    expect(expected.map(({ msgId }) => msgId)).toEqual([0, 2, 3, 16, 17, 17, 18, 127, 128, 300, 1]);
  });
});

describe("messages", () => {
  const anyMessage = fc.record({
    msgId: fc.oneof(fc.nat({ max: 300 }), fc.integer({ min: 0, max: MAX_MSG_ID })),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.nat({ max: 255 }), fc.nat({ max: 20_000 }))
        .map(([byte, length]) => new Uint8Array(length).fill(byte)),
      fc.nat({ max: 5000 }).map((length) => new Uint8Array(length).map((_, i) => i * i * 31)),
    ),
  });
  // A Disconnect of nothing is read as the bare reason that its Snappy block also is.
  const message = anyMessage.filter(({ msgId, payload }) => msgId !== 1 || payload.length > 0);

  test("arrive as they were sent, both ways, whatever the chunks", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(4, 5),
        fc.array(message, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 2, maxLength: 10 }),
        (version, messages, lengths) => {
          const [a, b] = makeOpenSessions(version);
          for (const [from, to] of [
            [a, b],
            [b, a],
          ] as const) {
            let bytes = 0;
            for (const { msgId, payload } of messages) bytes += from.push(msgId, payload);
            expect(from.pendingBytes).toBe(bytes);
            const wire = from.take();
            expect(wire).toHaveLength(bytes);
            expect(from.pendingBytes).toBe(0);
            const read = [];
            for (const chunk of cut(wire, lengths)) {
              const scratch = chunk.slice();
              to.feed(scratch);
              scratch.fill(0);
              read.push(...drain(to));
            }
            expect(read).toEqual(messages);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test("pushed before Hello is accepted stay plain, those after are compressed", () => {
    const [a, b] = makeSessions();
    const payload = new Uint8Array(1000);
    expect(a.push(0, payload)).toBe(32 + 1008 + 16);
    a.helloAccepted(5);
    expect(a.push(16, payload)).toBeLessThan(150);
    b.feed(a.take());
    expect(b.next()).toEqual({ msgId: 0, payload });
    b.helloAccepted(5);
    expect(b.next()).toEqual({ msgId: 16, payload });
  });

  test.each([4, 0])("stay plain with a peer of version %i", (version) => {
    const [a] = makeOpenSessions(version);
    expect(a.push(16, new Uint8Array(1000))).toBe(32 + 1008 + 16);
  });

  test.each([5, 6, 2 ** 31])("are compressed with a peer of version %i", (version) => {
    const [a] = makeOpenSessions(version);
    expect(a.push(16, new Uint8Array(1000))).toBeLessThan(150);
  });

  test("a ping takes 64 bytes", () => {
    const [a] = makeOpenSessions();
    expect(a.push(2, Uint8Array.of(0xc0))).toBe(64);
  });

  test("the payload belongs to the receiver, and was read when push returned", () => {
    const [a, b] = makeOpenSessions();
    const payload = Uint8Array.of(1, 2, 3);
    a.push(16, payload);
    a.push(16, payload);
    payload.fill(9);
    b.feed(a.take());
    b.next()!.payload.fill(7);
    expect(b.next()?.payload).toEqual(Uint8Array.of(1, 2, 3));
  });

  test("the bytes taken belong to the caller", () => {
    const [a, b] = makeOpenSessions();
    a.push(16, Uint8Array.of(1));
    const wire = a.take();
    a.push(16, Uint8Array.of(2));
    b.feed(wire);
    wire.fill(0);
    b.feed(a.take());
    expect(drain(b).map(({ payload }) => payload[0])).toEqual([1, 2]);
  });
});

describe("after messages that do not shrink", () => {
  const noise = (length: number, seed: number): Uint8Array => {
    let state = seed;
    return new Uint8Array(length).map(() => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state >>> 24;
    });
  };
  const repeats = (length: number): Uint8Array => new Uint8Array(length).fill(7);
  /** Whether a message was compressed, by what it takes on the wire. */
  const isShort = (session: RlpxSession, payload: Uint8Array): boolean =>
    session.push(0x10, payload) < payload.length;

  /** How many messages go as they are, once `before` incompressible ones have gone, until one is compressed. */
  const runAfter = (before: number): number => {
    const [session] = makeOpenSessions();
    for (let n = 0; n < before; n += 1) session.push(0x10, noise(1_000, n));
    let run = 0;
    while (!isShort(session, repeats(1_000))) run += 1;
    return run;
  };

  test.each([
    [0, 0],
    [1, 1],
    [2, 0],
    [3, 3],
    [6, 0],
    [7, 7],
    [15, 15],
    [31, 31],
    [62, 0],
    [63, 31],
    [1_000, 22],
  ])("%i of them, the next %i are stored without a try", (before, stored) => {
    expect(runAfter(before)).toBe(stored);
  });

  test("never more than 31 are stored, and whatever shrinks ends the run for good", () => {
    const [session] = makeOpenSessions();
    for (let n = 0; n < 500; n += 1) session.push(0x10, noise(1_000, n));
    let stored = 0;
    while (!isShort(session, repeats(1_000))) stored += 1;
    expect(stored).toBeLessThanOrEqual(31);
    for (let n = 0; n < 100; n += 1) expect(isShort(session, repeats(1_000))).toBe(true);
    session.push(0x10, noise(1_000, 1));
    expect([isShort(session, repeats(1_000)), isShort(session, repeats(1_000))]).toEqual([
      false,
      true,
    ]);
  });

  test("short ones, which are never searched, say nothing about the next", () => {
    const [session] = makeOpenSessions();
    for (let n = 0; n < 100; n += 1) session.push(0x10, noise(100, n));
    expect(isShort(session, repeats(1_000))).toBe(true);
  });

  test("all arrive as they were sent, whatever the mix, and take little more than their length", () => {
    const size = fc.oneof(fc.nat(600), fc.integer({ min: 60_000, max: 70_000 }));
    const message = fc.record({
      size,
      isNoise: fc.boolean(),
      count: fc.integer({ min: 1, max: 40 }),
    });
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 6 }), (mix) => {
        const [sender, receiver] = makeOpenSessions();
        for (const { size: length, isNoise, count } of mix) {
          const payload = isNoise ? noise(length, length) : repeats(length);
          for (let n = 0; n < count; n += 1) {
            // Frame header, MACs and padding; the block's preamble and tags.
            expect(sender.push(0x10, payload)).toBeLessThanOrEqual(length + (length >> 6) + 96);
            receiver.feed(sender.take());
            // Not toEqual: it looks at every one of a million bytes, slowly.
            expect(Buffer.compare(receiver.next()?.payload ?? none, payload)).toBe(0);
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe("limits on what is sent", () => {
  const refusedHere = expect.objectContaining({
    name: "LocalProtocolError",
    code: "ERR_RLPX_MESSAGE_SIZE",
  });

  test("a payload of 2^24-1 bytes goes, one more does not", () => {
    const [a, b] = makeOpenSessions();
    expect(() => a.push(16, new Uint8Array(MAX_MESSAGE_SIZE + 1))).toThrow(refusedHere);
    expect(a.pendingBytes).toBe(0);
    a.push(16, new Uint8Array(MAX_MESSAGE_SIZE));
    b.feed(a.take());
    expect(b.next()?.payload).toHaveLength(MAX_MESSAGE_SIZE);
  });

  test("what compression leaves above 2^24-1 does not go, and nothing has changed", () => {
    const [a, b] = makeOpenSessions();
    const noise = new Uint32Array(MAX_MESSAGE_SIZE >>> 2);
    for (let i = 0, x = 1; i < noise.length; i++) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      noise[i] = x;
    }
    expect(() => a.push(16, new Uint8Array(noise.buffer))).toThrow(refusedHere);
    a.push(16, Uint8Array.of(5));
    b.feed(a.take());
    expect(b.next()).toEqual({ msgId: 16, payload: Uint8Array.of(5) });
  });

  test("uncompressed, message id and payload share 2^24-1 bytes", () => {
    const [a, b] = makeOpenSessions(4);
    expect(() => a.push(128, new Uint8Array(MAX_MESSAGE_SIZE - 1))).toThrow(refusedHere);
    a.push(128, new Uint8Array(MAX_MESSAGE_SIZE - 2));
    b.feed(a.take());
    expect(b.next()?.payload).toHaveLength(MAX_MESSAGE_SIZE - 2);
  });

  test("before Hello is accepted, 2048 bytes go and 2049 do not", () => {
    const [a, b] = makeSessions();
    expect(() => a.push(0, new Uint8Array(MAX_HELLO_SIZE + 1))).toThrow(refusedHere);
    a.push(0, new Uint8Array(MAX_HELLO_SIZE));
    b.feed(a.take());
    expect(b.next()?.payload).toHaveLength(MAX_HELLO_SIZE);
  });

  test.each([-1, 0.5, 2 ** 32, Number.NaN, Number.POSITIVE_INFINITY])(
    "message id %d is a mistake of the caller",
    (msgId) => {
      const [a] = makeOpenSessions();
      expect(() => a.push(msgId, none)).toThrow(RangeError);
      expect(a.pendingBytes).toBe(0);
    },
  );
});

describe("limits on what is received", () => {
  test("before Hello is accepted, a frame of 2050 bytes is refused by its header alone", () => {
    const { session, writer } = makeHostile(false);
    writer.push(new Uint8Array(2 + MAX_HELLO_SIZE).fill(1), none);
    const wire = writer.take();
    session.feed(wire.subarray(0, 31));
    expect(session.next()).toBeUndefined();
    session.feed(wire.subarray(31, 32));
    expect(() => session.next()).toThrow(refusal("ERR_RLPX_FRAME_SIZE"));
  });

  test("once Hello is accepted, it is let in", () => {
    const { session, writer } = makeHostile(true);
    const payload = new Uint8Array(5000).map((_, i) => i * i);
    feedFrame(session, writer, Uint8Array.of(16, ...compress(payload)));
    expect(session.next()).toEqual({ msgId: 16, payload });
  });

  test.each([
    [
      "a message of 7 bytes that claims 512 MiB",
      [0x80, 0x80, 0x80, 0x80, 0x02, 0, 0],
      "ERR_RLPX_MESSAGE_SIZE",
    ],
    ["one of 7 bytes that claims 15 MiB", [0x80, 0x80, 0xc0, 0x07, 0, 0, 0], "ERR_RLPX_BAD_SNAPPY"],
    ["one that claims 2^24 bytes", [0x80, 0x80, 0x80, 0x08, 0, 0], "ERR_RLPX_MESSAGE_SIZE"],
    ["an empty one", [], "ERR_RLPX_BAD_SNAPPY"],
    ["one that is not compressed", [0xc3, 1, 2, 3], "ERR_RLPX_BAD_SNAPPY"],
  ])("%s is refused", (_, body, code) => {
    const { session, writer } = makeHostile(true);
    feedFrame(session, writer, Uint8Array.of(16, ...body));
    expect(() => session.next()).toThrow(refusal(code));
  });

  test("an empty compressed payload is a message of nothing", () => {
    const { session, writer } = makeHostile(true);
    feedFrame(session, writer, Uint8Array.of(16, 0));
    expect(session.next()).toEqual({ msgId: 16, payload: none });
  });
});

describe("message ids", () => {
  const bad: [string, string][] = [
    ["a zero byte", "00c0"],
    ["a byte below 0x80 with a header", "817fc0"],
    ["a leading zero", "820080c0"],
    ["a leading zero before three bytes", "8400ffffffc0"],
    ["five bytes", "850100000000c0"],
    ["eight bytes, in nim-eth's vector", "888888888888888888"],
    ["a header that is cut off", "8301"],
    ["a header alone", "81"],
    ["a list", "c0"],
    ["a long string", "b838"],
    ["the last byte there is", "ff"],
  ];
  test.each(bad)("%s is refused", (_, frameData) => {
    for (const isOpen of [false, true]) {
      const { session, writer } = makeHostile(isOpen);
      feedFrame(session, writer, hex(frameData));
      expect(() => session.next()).toThrow(refusal("ERR_RLPX_BAD_MSG_ID"));
    }
  });

  test.each([
    [0, "80"],
    [1, "01"],
    [0x7f, "7f"],
    [0x80, "8180"],
    [0xff, "81ff"],
    [0x100, "820100"],
    [0xffff, "82ffff"],
    [0x10000, "83010000"],
    [0xffffff, "83ffffff"],
    [0x1000000, "8401000000"],
    [0x88888888, "8488888888"],
    [MAX_MSG_ID, "84ffffffff"],
  ])("%i is %s", (msgId, encoded) => {
    const { session, writer } = makeHostile(true);
    feedFrame(session, writer, hex(`${encoded}0105`.replace(/05$/, "0005")));
    expect(session.next()).toEqual({ msgId, payload: Uint8Array.of(5) });

    const ours = new RlpxSession(remoteId, eip8Secrets("initiator"));
    const theirs = new FrameWriter(eip8Secrets("initiator").egress);
    ours.push(msgId, Uint8Array.of(0xc0));
    theirs.push(hex(encoded), Uint8Array.of(0xc0));
    expect(ours.take()).toEqual(theirs.take());
  });
});

describe("a broken peer", () => {
  test.each([
    ["header", 0, "ERR_RLPX_BAD_HEADER_MAC"],
    ["header MAC", 16, "ERR_RLPX_BAD_HEADER_MAC"],
    ["frame", 32, "ERR_RLPX_BAD_FRAME_MAC"],
    ["frame MAC", 63, "ERR_RLPX_BAD_FRAME_MAC"],
  ])("that flips a bit in the %s is found out, and stays so", (_, at, code) => {
    const [a, b] = makeOpenSessions();
    a.push(2, Uint8Array.of(0xc0));
    a.push(2, Uint8Array.of(0xc0));
    const wire = a.take();
    wire[at]! ^= 1;
    b.feed(wire);
    const error = thrown(() => b.next());
    expect(error).toBeInstanceOf(RemoteProtocolError);
    expect(error).toMatchObject({ code });
    expect(thrown(() => b.next())).toBe(error);
    expect(thrown(() => b.feed(none))).toBe(error);
  });

  test("can still be told why", () => {
    const [a, b] = makeOpenSessions();
    b.feed(new Uint8Array(32));
    expect(() => b.next()).toThrow(RemoteProtocolError);
    b.push(1, Uint8Array.of(0xc1, 2));
    a.feed(b.take());
    expect(a.next()).toEqual({ msgId: 1, payload: Uint8Array.of(0xc1, 2) });
  });

  test("with a message that is wrong inside an authentic frame is found out, and stays so", () => {
    const { session, writer } = makeHostile(true);
    feedFrame(session, writer, Uint8Array.of(16, 1));
    feedFrame(session, writer, Uint8Array.of(16, 1, 0, 5));
    const error = thrown(() => session.next());
    expect(error).toEqual(refusal("ERR_RLPX_BAD_SNAPPY"));
    expect(thrown(() => session.next())).toBe(error);
  });

  test("that sends anything at all inside its frames gets messages through, or is refused", () => {
    fc.assert(
      fc.property(fc.boolean(), fc.uint8Array({ minLength: 1, maxLength: 200 }), (isOpen, data) => {
        const { session, writer } = makeHostile(isOpen);
        feedFrame(session, writer, data);
        try {
          expect(session.next()?.payload).toBeInstanceOf(Uint8Array);
        } catch (error) {
          expect(error).toBeInstanceOf(RemoteProtocolError);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("that sends random bytes is refused at the first header", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 300 }), (bytes) => {
        const { session } = makeHostile(true);
        session.feed(bytes);
        expect(() => session.next()).toThrow(refusal("ERR_RLPX_BAD_HEADER_MAC"));
      }),
      { numRuns: 50 },
    );
  });
});

test.each(["00", "04", "80", "c100", "c104", "c110", "c0", "82c104"])(
  "a Disconnect %s that is not compressed after Hello is taken as it stands",
  (payload) => {
    const { session, writer } = makeHostile(true);
    feedFrame(session, writer, Uint8Array.of(1, ...hex(payload)));
    expect(session.next()).toEqual({ msgId: 1, payload: hex(payload) });
    feedFrame(session, writer, Uint8Array.of(1, ...compress(hex(payload))));
    expect(session.next()).toEqual({ msgId: 1, payload: hex(payload) });
  },
);

test("a second Hello is not accepted", () => {
  const [a] = makeOpenSessions();
  const error = thrown(() => a.helloAccepted(5));
  expect(error).toBeInstanceOf(LocalProtocolError);
  expect(error).toMatchObject({ code: "ERR_RLPX_HELLO_REPEATED" });
});

import { bytesEqual, concatBytes, encodeRlp } from "@heddle/identity";
import {
  compress,
  decompress,
  deriveSecrets,
  RawFrameWriter,
  RlpxSession,
  uncompressedLength,
} from "@heddle/rlpx";
import type { SeededRandom } from "@heddle/testing";

import { must, refusals, textBytes } from "../target.ts";
import type { FuzzTarget } from "../target.ts";

const MAX_LENGTH = 64 * 1024;

const PAYLOADS: readonly Uint8Array[] = [
  encodeRlp([]),
  encodeRlp("foo"),
  encodeRlp(["the same ".repeat(200)]),
  encodeRlp(Array.from({ length: 200 }, (_, i) => i * 7_919)),
  Uint8Array.from({ length: 900 }, (_, i) => (i * i * 31) & 0xff),
];

/** Snappy blocks: what is accepted has the length it declares, and within the limit. */
export const snappy: FuzzTarget = {
  name: "snappy",
  kind: "bytes",
  corpus: [...PAYLOADS.map(compress), Uint8Array.of(0), Uint8Array.of(5, 0, 0x41, 0x0d, 1)],
  dictionary: ["\x80\x80\x80\x08", "\xfe\xff\xff", "\xf0\x00", "\x00\x00", "\x01\x01"].map(
    textBytes,
  ),
  refusals: refusals("RemoteProtocolError", ["ERR_RLPX_BAD_SNAPPY", "ERR_RLPX_MESSAGE_SIZE"]),
  run(input) {
    const plain = decompress(input, MAX_LENGTH);
    must(plain.length <= MAX_LENGTH, "more was decompressed than the limit");
    must(plain.length === uncompressedLength(input), "the length is not the one declared");
    must(bytesEqual(decompress(compress(plain), MAX_LENGTH), plain), "compressing changed it");
  },
};

const secrets = {
  ephemeralSharedSecret: new Uint8Array(32).fill(1),
  initiatorNonce: new Uint8Array(32).fill(2),
  recipientNonce: new Uint8Array(32).fill(3),
  auth: new Uint8Array(32).fill(4),
  ack: new Uint8Array(32).fill(5),
};
const SENDER = deriveSecrets("initiator", secrets);
const READER = deriveSecrets("recipient", secrets);
const REMOTE_ID = new Uint8Array(64).fill(6);

const REFUSALS = refusals("RemoteProtocolError", [
  "ERR_RLPX_BAD_HEADER_MAC",
  "ERR_RLPX_BAD_FRAME_MAC",
  "ERR_RLPX_FRAME_SIZE",
  "ERR_RLPX_BAD_MSG_ID",
  "ERR_RLPX_BAD_SNAPPY",
  "ERR_RLPX_MESSAGE_SIZE",
]);

/** Reads a stream in pieces; Hello is accepted after the first message, as in life. */
function read(wire: Uint8Array, version: number, random: SeededRandom): number {
  const session = new RlpxSession(REMOTE_ID, READER);
  const pieces = 1 + random.integer(6);
  let count = 0;
  for (let at = 0; at < wire.length;) {
    const end = at + Math.max(1, Math.ceil(wire.length / pieces) - random.integer(3));
    session.feed(wire.subarray(at, end));
    at = end;
    for (let message = session.next(); message !== undefined; message = session.next()) {
      must(Number.isInteger(message.msgId) && message.msgId >= 0, "a message id is no integer");
      if (count === 0) session.helloAccepted(version);
      count += 1;
    }
  }
  return count;
}

function framed(version: number, messages: readonly Uint8Array[]): Uint8Array {
  const session = new RlpxSession(REMOTE_ID, SENDER);
  session.push(0, encodeRlp(["hello"]));
  session.helloAccepted(version);
  messages.forEach((payload, i) => session.push(0x10 + i * 100, payload));
  return session.take().slice();
}

/** Streams of frames from the wire: a changed byte is found, in front of it everything is read. */
export const frameWire: FuzzTarget = {
  name: "frames-wire",
  kind: "bytes",
  corpus: [framed(5, PAYLOADS), framed(4, PAYLOADS.slice(0, 3)), framed(5, [])],
  refusals: REFUSALS,
  run: (input, random) => void read(input, 5, random),
};

/** The data of frames that are sealed as they should be: message ids, Snappy, sizes. */
export const frameData: FuzzTarget = {
  name: "frames-data",
  kind: "bytes",
  corpus: [
    ...PAYLOADS.map((payload) => concatBytes(Uint8Array.of(0x10), compress(payload))),
    concatBytes(Uint8Array.of(0x82, 0x01, 0x2c), compress(encodeRlp([]))),
    concatBytes(Uint8Array.of(0x01), encodeRlp([4])),
  ],
  dictionary: ["\x81\x80", "\x82\x01\x2c", "\x80", "\x84\xff\xff\xff\xff", "\x85"].map(textBytes),
  refusals: REFUSALS,
  run(input, random) {
    const writer = new RawFrameWriter(SENDER.egress);
    const hello = writer.seal(Uint8Array.of(0x80, 0xc0));
    const isOdd = random.integer(4) === 0;
    const frame = writer.seal(
      input,
      isOdd ? { headerData: random.bytes(random.integer(14)), padding: 0xff } : {},
    );
    const count = read(concatBytes(hello, frame), 4 + random.integer(2), random);
    must(count === 2, "a whole frame gave neither a message nor an error");
  },
};

/** Headers of any content that are authentic: the size is all that counts. */
export const frameHeader: FuzzTarget = {
  name: "frames-header",
  kind: "bytes",
  corpus: [Uint8Array.of(0, 0, 1, 0xc2, 0x80, 0x80), Uint8Array.of(0xff, 0xff, 0xff, 0xc0)],
  refusals: REFUSALS,
  run(input, random) {
    const [high = 0, middle = 0, low = 0] = input;
    const frameSize = high * 65_536 + middle * 256 + low;
    const headerData = input.subarray(3, 16);
    const writer = new RawFrameWriter(SENDER.egress);
    const data = new Uint8Array(random.integer(64)).fill(0x10);
    read(writer.seal(data, { frameSize, headerData }), 5, random);
  },
};

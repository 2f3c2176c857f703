import { createHash } from "node:crypto";

import { nodeIdOf } from "@heddle/identity";
import { SchemaError } from "@heddle/protocol";
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { MAX_PAYLOAD_BYTES, MAX_TOPIC_BYTES, messageId, signMessage } from "../src/index.ts";
import { isAuthentic, signedContent } from "../src/message.ts";
import { KEYS, sample, START } from "./samples.ts";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));

test("the id is the SHA-256 of a prefix and the RLP list of the signed fields", () => {
  const origin = new Uint8Array(64).fill(0x11);
  const content = {
    origin,
    topic: "news",
    epoch: 1,
    sequence: 0,
    time: 0x0400,
    payload: hex("00"),
  };
  // By hand after the Yellow Paper, appendix B: origin, topic, 1, 0, 0x0400, the byte 0x00.
  const list = ["b840" + "11".repeat(64), "846e657773", "01", "80", "820400", "00"].join("");
  const rlp = `f8${(list.length / 2).toString(16)}${list}`;
  const prefix = Buffer.from("heddle gossip/1 message\n").toString("hex");
  const expected = createHash("sha256")
    .update(hex(prefix + rlp))
    .digest("hex");
  expect(Buffer.from(messageId(content)).toString("hex")).toBe(expected);
});

test("a message survives the wire, and what is read is a copy of its bytes", () => {
  fc.assert(
    fc.property(
      fc.record({
        topic: fc.string({ minLength: 1, maxLength: 16, unit: "grapheme" }),
        epoch: fc.maxSafeNat(),
        sequence: fc.maxSafeNat(),
        time: fc.maxSafeNat(),
        payload: fc.uint8Array({ maxLength: 300 }),
      }),
      (content) => {
        fc.pre(new TextEncoder().encode(content.topic).length <= MAX_TOPIC_BYTES);
        const { id, ...sent } = sample({ ...content, author: 1 });
        const wire = signedContent.encode(sent);
        const read = signedContent.decode(wire);
        wire.fill(0xff);
        expect(read).toEqual(sent);
        expect(messageId(read)).toEqual(id);
        expect(isAuthentic(read, id)).toBe(true);
      },
    ),
    { numRuns: 50 },
  );
});

test.each([
  ["origin", { origin: nodeIdOf(KEYS[1]!) }],
  ["topic", { topic: "u" }],
  ["epoch", { epoch: START + 1 }],
  ["sequence", { sequence: 1_000_000 }],
  ["time", { time: START + 1 }],
  ["payload", { payload: Uint8Array.of(1, 2) }],
])("a message with another %s has another id, and is not authentic", (_name, change) => {
  const message = sample();
  const altered = { ...message, ...change };
  const id = messageId(altered);
  expect(id).not.toEqual(message.id);
  expect(isAuthentic(altered, id)).toBe(false);
});

test("no flipped bit of a signature is authentic", () => {
  const message = sample();
  for (let bit = 0; bit < message.signature.length * 8; bit += 7) {
    const signature = message.signature.slice();
    signature[bit >> 3]! ^= 1 << (bit & 7);
    expect(isAuthentic({ ...message, signature }, message.id)).toBe(false);
  }
});

test("the signature does not count for the id: whoever signs anew makes no other message", () => {
  const { id, signature, ...content } = sample();
  expect(signMessage(content, KEYS[0]!).signature).toEqual(signature);
  expect(messageId({ ...content })).toEqual(id);
});

test.each<[string, Partial<Parameters<typeof signedContent.encode>[0]>]>([
  ["a payload over 64 KiB", { payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1) }],
  ["an empty topic", { topic: "" }],
  ["a topic over 64 bytes", { topic: "x".repeat(MAX_TOPIC_BYTES + 1) }],
  ["a short signature", { signature: new Uint8Array(64) }],
  ["a short origin", { origin: new Uint8Array(63) }],
])("%s fits neither on the way out nor on the way in", (_name, change) => {
  const message = { ...sample(), ...change };
  expect(() => signedContent.encode(message)).toThrow();
});

test("what is no message is a SchemaError", () => {
  const wire = signedContent.encode(sample());
  for (let length = 0; length < wire.length; length += 3) {
    expect(() => signedContent.decode(wire.subarray(0, length))).toThrow(SchemaError);
  }
});

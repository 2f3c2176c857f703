import { encodeRlp, fromHex, toHex } from "@heddle/identity";
import type { RlpInput } from "@heddle/identity";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { RemoteProtocolError } from "../src/errors.ts";
import { decodeHello, encodeHello, MAX_HELLO_SIZE, PROTOCOL_VERSION } from "../src/hello.ts";
import type { Hello } from "../src/hello.ts";
import published from "./vectors/hello.json" with { type: "json" };

const nodeId = Uint8Array.from({ length: 64 }, (_, i) => i + 1);
const eth68 = { name: "eth", version: 68 };

const hello: Hello = {
  protocolVersion: PROTOCOL_VERSION,
  clientId: "demo/1.0",
  capabilities: [eth68, { name: "snap", version: 1 }],
  listenPort: 0,
  nodeId,
};

/** A Hello with some of its five elements replaced, and more behind them. */
function payloadWith(replaced: Record<number, RlpInput>, ...more: RlpInput[]): Uint8Array {
  const fields: RlpInput[] = [5, "demo/1.0", [["eth", 68]], 0, nodeId];
  for (const [at, value] of Object.entries(replaced)) fields[Number(at)] = value;
  return encodeRlp([...fields, ...more]);
}

function refusal(payload: Uint8Array): RemoteProtocolError {
  try {
    decodeHello(payload);
  } catch (error) {
    if (error instanceof RemoteProtocolError) return error;
    throw error;
  }
  throw new Error("the payload was accepted");
}

describe("decodeHello", () => {
  test.each(published.vectors)("reads the published $name", ({ payload, hello }) => {
    const { nodeId, ...rest } = decodeHello(fromHex(payload));
    expect({ ...rest, nodeId: toHex(nodeId) }).toEqual(hello);
  });

  test.each(published.vectors)("refuses every truncation of $name", ({ payload }) => {
    const bytes = fromHex(payload);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(refusal(bytes.subarray(0, length))).toMatchObject({
        code: "ERR_P2P_BAD_HELLO",
        reason: 0x02,
      });
    }
  });

  test("ignores elements behind those it knows, of any kind (EIP-8)", () => {
    const extended = payloadWith({ 2: [["eth", 68, "more", ["yet more"]]] }, 7, [["deep", []]], "");
    expect(decodeHello(extended)).toEqual(decodeHello(payloadWith({})));
  });

  test("keeps what is none of our business: versions, ports, unsorted and repeated capabilities", () => {
    const capabilities = [
      ["snap", 1],
      ["eth", 68],
      ["eth", 68],
      ["eth", 0],
    ];
    const decoded = decodeHello(payloadWith({ 0: 4, 2: capabilities, 3: 2n ** 40n }));
    expect(decoded.protocolVersion).toBe(4);
    expect(decoded.listenPort).toBe(2 ** 40);
    expect(decoded.capabilities).toEqual(
      capabilities.map(([name, version]) => ({ name, version })),
    );
  });

  test.each([
    ["an empty name", ["", 1]],
    ["a name with a space", ["e th", 1]],
    ["a name with a terminal escape", ["\u001b[2J", 1]],
    ["a name that is not ASCII", ["ética", 1]],
    ["a version over 2^53", ["eth", 2n ** 64n - 1n]],
  ])("drops a capability with %s, and keeps the others", (_name, odd) => {
    expect(decodeHello(payloadWith({ 2: [odd, ["eth", 68]] })).capabilities).toEqual([eth68]);
  });

  test.each([
    ["of 63 bytes", nodeId.subarray(1)],
    ["of 65 bytes", new Uint8Array(65).fill(1)],
    ["of 0 bytes", new Uint8Array()],
    ["of zeros", new Uint8Array(64)],
  ])("calls a node id %s a null identity, 0x07", (_name, id) => {
    expect(refusal(payloadWith({ 4: id }))).toMatchObject({
      code: "ERR_P2P_NULL_IDENTITY",
      reason: 0x07,
    });
  });

  test.each([
    ["nothing", new Uint8Array()],
    ["a byte string", encodeRlp("hello")],
    ["an empty list", encodeRlp([])],
    ["four elements", encodeRlp([5, "demo", [], 0])],
    ["bytes behind the list", Uint8Array.of(...payloadWith({}), 0)],
    ["a version that is a list", payloadWith({ 0: [] })],
    ["a version with a leading zero", payloadWith({ 0: Uint8Array.of(0, 5) })],
    ["a version of 9 bytes", payloadWith({ 0: new Uint8Array(9).fill(1) })],
    ["a client id that is a list", payloadWith({ 1: ["demo"] })],
    ["capabilities that are a byte string", payloadWith({ 2: "eth/68" })],
    ["a capability that is a byte string", payloadWith({ 2: ["eth"] })],
    ["a capability without a version", payloadWith({ 2: [["eth"]] })],
    ["a capability whose name is a list", payloadWith({ 2: [[[], 68]] })],
    ["a capability whose version is a list", payloadWith({ 2: [["eth", []]] })],
    ["a listen port that is a list", payloadWith({ 3: [] })],
    ["a node id that is a list", payloadWith({ 4: [nodeId] })],
    ["lists nested without end", new Uint8Array(2_000).fill(0xc1)],
  ])("refuses %s as a protocol error, 0x02", (_name, payload) => {
    expect(refusal(payload)).toMatchObject({ code: "ERR_P2P_BAD_HELLO", reason: 0x02 });
  });

  test("takes the largest payload allowed, and not one byte more", () => {
    const filled = (size: number): Uint8Array => payloadWith({}, "x".repeat(size));
    const overhead = filled(1_000).length - 1_000;
    const largest = filled(MAX_HELLO_SIZE - overhead);
    expect(largest).toHaveLength(2_048);
    expect(decodeHello(largest).clientId).toBe("demo/1.0");
    expect(refusal(filled(MAX_HELLO_SIZE - overhead + 1)).message).toContain(
      "2049 bytes exceed 2048",
    );
  });

  test("keeps nothing of the buffer it was given", () => {
    const payload = encodeHello(hello);
    const decoded = decodeHello(payload);
    payload.fill(0xff);
    expect(decoded).toEqual(hello);
  });

  test("never throws anything but a RemoteProtocolError, whatever the bytes", () => {
    const valid = fc
      .record({ at: fc.nat(), byte: fc.nat(255) })
      .map(({ at, byte }) =>
        payloadWith({}).map((old, i, all) => (i === at % all.length ? byte : old)),
      );
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), valid), (payload) => {
        try {
          expect(decodeHello(payload).nodeId).toHaveLength(64);
        } catch (error) {
          expect(error).toBeInstanceOf(RemoteProtocolError);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

test("what encodeHello writes, decodeHello reads", () => {
  const name = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCodePoint(code)),
    minLength: 1,
    maxLength: 8,
  });
  const anyHello: fc.Arbitrary<Hello> = fc.record({
    protocolVersion: fc.nat(255),
    clientId: fc.string({ unit: "grapheme", maxLength: 50 }).filter((id) => !/\p{Cs}/u.test(id)),
    capabilities: fc.array(fc.record({ name, version: fc.nat(255) }), { maxLength: 50 }),
    listenPort: fc.nat(65_535),
    nodeId: fc
      .uint8Array({ minLength: 64, maxLength: 64 })
      .filter((id) => id.some((byte) => byte !== 0)),
  });
  fc.assert(
    fc.property(anyHello, (hello) => {
      expect(decodeHello(encodeHello(hello))).toEqual(hello);
    }),
  );
});

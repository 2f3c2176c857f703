import { keccak_256 } from "@noble/hashes/sha3.js";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concatBytes, curve, encodeRlp, Enr, ENR_MAX_SIZE, fromHex, toHex } from "../src/index.ts";
import type { RlpInput } from "../src/index.ts";
import vectors from "./vectors/enr.json" with { type: "json" };

const example = vectors.valid[0]!;
const KEY = fromHex(example.private_key);
const PUBLIC = fromHex(example.derived.kv.secp256k1);
const code = (suffix: string) =>
  expect.objectContaining({ name: "EnrError", code: `ERR_ENR_${suffix}` });

/** Signs any items at all as a record, so that only the fault under test is in it. */
function sealed(items: readonly RlpInput[]): Uint8Array {
  const signature = curve.sign(keccak_256(encodeRlp(items)), KEY).subarray(0, 64);
  return encodeRlp([signature, ...items]);
}

const filled = (length: number) => Enr.create(KEY, { pairs: { x: new Uint8Array(length) } });

const ID_PAIR = ["id", "v4"];
const KEY_PAIR = ["secp256k1", PUBLIC];

describe.each(vectors.valid)("$name", (vector) => {
  test("is parsed and verified", () => {
    const record = Enr.parse(vector.text);
    expect(record).toMatchObject({ seq: BigInt(vector.seq), ip: vector.ip, udp: vector.udp });
    expect(toHex(record.nodeHash)).toBe(vector.derived.node_id);
    expect(toHex(curve.compress(record.id))).toBe(vector.derived.kv.secp256k1);
    expect(record.keys).toEqual(Object.keys(vector.derived.kv));
    for (const [key, hex] of Object.entries(vector.derived.kv)) {
      expect(record.get(key)).toEqual(fromHex(hex));
    }
  });

  test("keeps its bytes and text", () => {
    const record = Enr.parse(vector.text);
    expect(toHex(record.encode())).toBe(vector.derived.rlp);
    expect(record.toString()).toBe(vector.text);
    expect(Enr.decode(fromHex(vector.derived.rlp)).toString()).toBe(vector.text);
  });

  test("is created from its parts, signature included", () => {
    const { seq, ip, udp } = vector;
    expect(Enr.create(fromHex(vector.private_key), { seq, ip, udp }).toString()).toBe(vector.text);
  });
});

test.each(vectors.invalid.texts)("refuses the published invalid record %s", (text) => {
  expect(() => Enr.parse(text)).toThrow(expect.objectContaining({ name: "EnrError" }));
});

describe("creating", () => {
  test("carries every part and further pairs, sorted by key", () => {
    const record = Enr.create(KEY, {
      seq: 2n ** 64n - 1n,
      ip: "192.0.2.1",
      tcp: 1,
      udp: 2,
      ip6: "2001:DB8::1",
      tcp6: 3,
      udp6: 65535,
      pairs: { zebra: [1, "x"], eth: new Uint8Array(3), Upper: 7 },
    });
    expect(Enr.parse(record.toString())).toMatchObject({
      seq: 2n ** 64n - 1n,
      ip: "192.0.2.1",
      tcp: 1,
      udp: 2,
      ip6: "2001:db8::1",
      tcp6: 3,
      udp6: 65535,
      keys: ["Upper", "eth", "id", "ip", "ip6", "secp256k1", "tcp", "tcp6", "udp", "udp6", "zebra"],
    });
    expect(record.get("zebra")).toEqual([Uint8Array.of(1), Uint8Array.of(0x78)]);
    expect(record.get("eth")).toEqual(new Uint8Array(3));
    expect(record.get("none")).toBeUndefined();
  });

  test("needs nothing but a key", () => {
    const record = Enr.create(KEY);
    expect(record).toMatchObject({
      seq: 1n,
      ip: undefined,
      tcp: undefined,
      ip6: undefined,
      udp6: undefined,
    });
    expect(record.id).toEqual(curve.publicKey(KEY));
  });

  test("takes 300 bytes and no more", () => {
    // From 160 on, neither the list nor the value changes the size of its header.
    const most = 160 + ENR_MAX_SIZE - filled(160).encode().length;
    const full = filled(most);
    expect(full.encode()).toHaveLength(ENR_MAX_SIZE);
    expect(Enr.parse(full.toString()).encode()).toEqual(full.encode());
    expect(() => filled(most + 1)).toThrow(code("TOO_LARGE"));
  });

  test.each([
    [{ ip: "::1" }],
    [{ ip6: "1.2.3.4" }],
    [{ ip: "example.org" }],
    [{ tcp: 65536 }],
    [{ udp: -1 }],
    [{ udp6: 1.5 }],
    [{ seq: -1n }],
    [{ seq: 2n ** 64n }],
    [{ seq: 0.5 }],
    [{ pairs: { id: "v5" } }],
    [{ pairs: { tcp: 1 } }],
    [{ pairs: { "a b": 1 } }],
    [{ pairs: { "": 1 } }],
    [{ pairs: { é: 1 } }],
  ])("refuses case %#", (content) => {
    expect(() => Enr.create(KEY, content)).toThrow(RangeError);
  });

  test("refuses what is no secret key", () => {
    expect(() => Enr.create(new Uint8Array(32))).toThrow(
      expect.objectContaining({ code: "ERR_CURVE_BAD_KEY" }),
    );
  });
});

describe("decoding", () => {
  test.each<[string, Uint8Array, string]>([
    ["more than 300 bytes", new Uint8Array(301), "TOO_LARGE"],
    ["nothing", new Uint8Array(0), "BAD_RLP"],
    ["trailing bytes", concatBytes(fromHex(example.derived.rlp), Uint8Array.of(0)), "BAD_RLP"],
    ["a byte string", encodeRlp(new Uint8Array(64)), "BAD_STRUCTURE"],
    ["an empty list", encodeRlp([]), "BAD_STRUCTURE"],
    ["a signature alone", encodeRlp([new Uint8Array(64)]), "BAD_STRUCTURE"],
    ["a key without a value", sealed([1, ...ID_PAIR, "secp256k1"]), "BAD_STRUCTURE"],
    ["a list for a key", sealed([1, [], 1, ...ID_PAIR, ...KEY_PAIR]), "BAD_STRUCTURE"],
    ["unsorted keys", sealed([1, ...KEY_PAIR, ...ID_PAIR]), "BAD_KEY_ORDER"],
    ["a key twice", sealed([1, ...ID_PAIR, ...ID_PAIR, ...KEY_PAIR]), "BAD_KEY_ORDER"],
    ["a sequence number of 9 bytes", sealed([2n ** 64n, ...ID_PAIR, ...KEY_PAIR]), "BAD_VALUE"],
    [
      "a sequence number with a leading zero",
      sealed([Uint8Array.of(0, 1), ...ID_PAIR, ...KEY_PAIR]),
      "BAD_VALUE",
    ],
    ["a list for a sequence number", sealed([[], ...ID_PAIR, ...KEY_PAIR]), "BAD_VALUE"],
    ["no scheme", sealed([1, ...KEY_PAIR]), "UNKNOWN_SCHEME"],
    ["another scheme", sealed([1, "id", "v5", ...KEY_PAIR]), "UNKNOWN_SCHEME"],
    ["a list for a scheme", sealed([1, "id", ["v4"], ...KEY_PAIR]), "UNKNOWN_SCHEME"],
    ["no public key", sealed([1, ...ID_PAIR]), "BAD_PUBLIC_KEY"],
    ["a list for a public key", sealed([1, ...ID_PAIR, "secp256k1", []]), "BAD_PUBLIC_KEY"],
    [
      "a public key off the curve",
      sealed([1, ...ID_PAIR, "secp256k1", fromHex(`02${"05".padStart(64, "0")}`)]),
      "BAD_PUBLIC_KEY",
    ],
    [
      "a public key that is not compressed",
      sealed([1, ...ID_PAIR, "secp256k1", curve.decompress(PUBLIC)]),
      "BAD_PUBLIC_KEY",
    ],
    [
      "an ip of 3 bytes",
      sealed([1, ...ID_PAIR, "ip", new Uint8Array(3), ...KEY_PAIR]),
      "BAD_VALUE",
    ],
    [
      "an ip6 of 4 bytes",
      sealed([1, ...ID_PAIR, "ip6", new Uint8Array(4), ...KEY_PAIR]),
      "BAD_VALUE",
    ],
    ["a list for an ip", sealed([1, ...ID_PAIR, "ip", [], ...KEY_PAIR]), "BAD_VALUE"],
    ["a port over 65535", sealed([1, ...ID_PAIR, ...KEY_PAIR, "tcp", 65536]), "BAD_VALUE"],
    [
      "a port with a leading zero",
      sealed([1, ...ID_PAIR, ...KEY_PAIR, "udp", Uint8Array.of(0, 1)]),
      "BAD_VALUE",
    ],
    ["a list for a port", sealed([1, ...ID_PAIR, ...KEY_PAIR, "udp6", []]), "BAD_VALUE"],
    ["a list for a signature", encodeRlp([[], 1, ...ID_PAIR, ...KEY_PAIR]), "BAD_SIGNATURE"],
    [
      "a signature of 65 bytes",
      encodeRlp([new Uint8Array(65), 1, ...ID_PAIR, ...KEY_PAIR]),
      "BAD_SIGNATURE",
    ],
    [
      "a signature of zeros",
      encodeRlp([new Uint8Array(64), 1, ...ID_PAIR, ...KEY_PAIR]),
      "BAD_SIGNATURE",
    ],
  ])("refuses %s", (_what, bytes, suffix) => {
    expect(() => Enr.decode(bytes)).toThrow(code(suffix));
  });

  test("accepts keys that are no text, in byte order", () => {
    const record = Enr.decode(sealed([1, ...ID_PAIR, ...KEY_PAIR, Uint8Array.of(0xff, 0x80), 1]));
    expect(record.keys).toEqual(["id", "secp256k1", "\u00ff\u0080"]);
  });

  test("refuses every record with one bit flipped", () => {
    const bytes = fromHex(example.derived.rlp);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => Enr.decode(flipped)).toThrow(expect.objectContaining({ name: "EnrError" }));
    }
  });

  test("refuses every truncation", () => {
    const bytes = fromHex(example.derived.rlp);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => Enr.decode(bytes.subarray(0, length))).toThrow(code("BAD_RLP"));
    }
  });

  test("throws nothing but EnrError on any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 310 }), (bytes) => {
        expect(() => Enr.decode(bytes)).toThrow(expect.objectContaining({ name: "EnrError" }));
      }),
    );
  });

  test("shares no bytes with the input or the results", () => {
    const bytes = fromHex(example.derived.rlp);
    const record = Enr.decode(bytes);
    bytes.fill(0);
    record.encode().fill(0);
    record.id.fill(0);
    const ip = record.get("ip");
    if (ip instanceof Uint8Array) ip.fill(9);
    expect(record).toMatchObject({ ip: "127.0.0.1", id: curve.publicKey(KEY) });
    expect(record.toString()).toBe(example.text);
  });
});

describe("text", () => {
  test.each([
    ["no prefix", example.text.slice(4), "BAD_TEXT"],
    ["padding", `${example.text}=`, "BAD_TEXT"],
    ["the other base64 alphabet", example.text.replace("_", "/"), "BAD_TEXT"],
    ["a space", `${example.text} `, "BAD_TEXT"],
    ["an impossible length", "enr:AAAAA", "BAD_TEXT"],
    ["unused bits that are set", "enr:wB", "BAD_TEXT"],
    ["too many characters", `enr:${"A".repeat(401)}`, "TOO_LARGE"],
    ["an empty record", "enr:", "BAD_RLP"],
  ])("refuses %s", (_what, text, suffix) => {
    expect(() => Enr.parse(text)).toThrow(code(suffix));
  });

  test("refuses what is not a string", () => {
    const wrong: any = 7;
    expect(() => Enr.parse(wrong)).toThrow(TypeError);
  });
});

describe("enode of a record", () => {
  const id = curve.publicKey(KEY);
  test.each([
    [
      { ip: "192.0.2.1", tcp: 1, udp: 2, ip6: "::1", tcp6: 3 },
      { id, host: "192.0.2.1", tcpPort: 1, udpPort: 2 },
    ],
    [{ ip: "192.0.2.1" }, { id, host: "192.0.2.1", tcpPort: 0, udpPort: 0 }],
    [
      { ip6: "::1", tcp: 1, udp: 2 },
      { id, host: "::1", tcpPort: 1, udpPort: 2 },
    ],
    [
      { ip6: "::1", tcp: 1, udp: 2, tcp6: 3, udp6: 4 },
      { id, host: "::1", tcpPort: 3, udpPort: 4 },
    ],
    [{ tcp: 1 }, undefined],
  ])("is that of case %#", (content, enode) => {
    expect(Enr.create(KEY, content).toEnode()).toEqual(enode);
  });
});

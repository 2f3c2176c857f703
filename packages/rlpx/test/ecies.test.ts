import { curve, fromHex, portableCurve, type Curve } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import {
  concatKdf,
  ECIES_OVERHEAD,
  makeSecretKey,
  openEcies,
  sealEcies,
  STAND_IN_POINT,
} from "../src/ecies.ts";
import { LocalProtocolError, RemoteProtocolError } from "../src/errors.ts";
import { hex, recipientKey, replay, thrown } from "./sessions.ts";
import eip8 from "./vectors/eip-8.json" with { type: "json" };
import vectors from "./vectors/ecies.json" with { type: "json" };

const none = new Uint8Array(0);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** P of secp256k1, and points of which one coordinate is so small that with P added it fits 32 bytes. */
const FIELD_SIZE = 2n ** 256n - 2n ** 32n - 977n;
const bytes32 = (n: bigint): Uint8Array => fromHex(n.toString(16).padStart(64, "0"));
const X_ONE = 1n;
const SMALL_Y = 1n;
const X_OF_SMALL_Y = 0x1fe1e5ef3fceb5c135ab7741333ce5a6e80d68167653f6b2b24bcbcfaaaff507n;
const Y_OF_X_ONE = 0x4218f20ae6c646b363db68605822fb14264ca8d2587fdd6fbc750d587e76a7een;

describe("published vectors", () => {
  test.each(vectors.concatKdf)("stretches a secret to $length bytes", (vector) => {
    expect(concatKdf(hex(vector.sharedSecret), vector.length)).toEqual(hex(vector.out));
  });

  test.each(vectors.open)("opens $plaintext", ({ secretKey, sealed, plaintext }) => {
    expect(text(openEcies(curve, hex(secretKey), hex(sealed), none))).toBe(plaintext);
    expect(text(openEcies(portableCurve, hex(secretKey), hex(sealed), none))).toBe(plaintext);
  });

  test.each(["auth1", "ack1"] as const)("opens the packet of before EIP-8, %s", (name) => {
    const key = hex(name === "auth1" ? eip8.staticKeyB : eip8.staticKeyA);
    const sealed = hex(eip8[name].hex);
    expect(openEcies(curve, key, sealed, none)).toHaveLength(sealed.length - ECIES_OVERHEAD);
  });
});

test("the stretched key goes on past one hash", () => {
  const secret = recipientKey;
  expect(concatKdf(secret, 70).subarray(0, 32)).toEqual(concatKdf(secret, 32));
  expect(concatKdf(secret, 70)).toHaveLength(70);
});

describe("sealing", () => {
  const publicKey = curve.publicKey(recipientKey);
  const sharedInfo = Uint8Array.of(1, 2);

  test.each([0, 1, 15, 16, 17, 1000])("%i bytes come back", (length) => {
    const plaintext = new Uint8Array(length).fill(7);
    const sealed = sealEcies(curve, publicKey, plaintext, { sharedInfo, randomBytes: replay() });
    expect(sealed).toHaveLength(length + ECIES_OVERHEAD);
    expect(openEcies(curve, recipientKey, sealed, sharedInfo)).toEqual(plaintext);
  });

  test("takes key and iv from the entropy it is given", () => {
    const key = new Uint8Array(32).fill(9);
    const iv = new Uint8Array(16).fill(8);
    const randomBytes = replay(key, iv);
    const sealed = sealEcies(curve, publicKey, none, { sharedInfo, randomBytes });
    expect(sealed.subarray(1, 65)).toEqual(curve.publicKey(key));
    expect(sealed.subarray(65, 81)).toEqual(iv);
  });

  test("draws again when the first draw is no key", () => {
    const good = new Uint8Array(32).fill(3);
    const pair = makeSecretKey(curve, replay(new Uint8Array(32), good));
    expect(pair.secretKey).toEqual(good);
  });

  test("gives up on an entropy source that is stuck", () => {
    const error = thrown(() => makeSecretKey(curve, (length) => new Uint8Array(length)));
    expect(error).toBeInstanceOf(LocalProtocolError);
    expect(error).toMatchObject({ code: "ERR_RLPX_NO_ENTROPY" });
  });
});

describe("refusing", () => {
  const packet = hex(eip8.auth2.hex);
  const key = hex(eip8.staticKeyB);
  const sharedInfo = packet.subarray(0, 2);
  const withBytes = (at: number, ...parts: Uint8Array[]): Uint8Array => {
    const sealed = packet.slice(2);
    for (const part of parts) {
      sealed.set(part, at);
      at += part.length;
    }
    return sealed;
  };
  const cases = [
    { what: "the point (0, 0)", sealed: withBytes(1, new Uint8Array(64)) },
    { what: "a point off the curve", sealed: withBytes(64, Uint8Array.of(packet[66]! ^ 1)) },
    {
      what: "x that is P too large",
      sealed: withBytes(1, bytes32(X_ONE + FIELD_SIZE), bytes32(Y_OF_X_ONE)),
    },
    {
      what: "y that is P too large",
      sealed: withBytes(1, bytes32(X_OF_SMALL_Y), bytes32(SMALL_Y + FIELD_SIZE)),
    },
    { what: "the prefix of a compressed point", sealed: withBytes(0, Uint8Array.of(2)) },
    { what: "prefix 0", sealed: withBytes(0, Uint8Array.of(0)) },
    { what: "a hybrid point", sealed: withBytes(0, Uint8Array.of(6)) },
    { what: "another iv", sealed: withBytes(65, Uint8Array.of(packet[67]! ^ 1)) },
    { what: "another ciphertext", sealed: withBytes(100, Uint8Array.of(packet[102]! ^ 1)) },
    { what: "another mac", sealed: withBytes(434, Uint8Array.of(packet[436]! ^ 1)) },
    { what: "one byte less than the overhead", sealed: packet.subarray(2, 2 + 112) },
    { what: "nothing at all", sealed: none },
  ];

  test.each(cases)("$what, with an error like all others", ({ sealed }) => {
    for (const each of [curve, portableCurve]) {
      const error = thrown(() => openEcies(each, key, sealed, sharedInfo));
      expect(error).toBeInstanceOf(RemoteProtocolError);
      expect(error).toMatchObject({
        code: "ERR_RLPX_BAD_HANDSHAKE",
        message: "handshake packet refused",
        cause: expect.any(Error),
      });
    }
  });

  test("another size prefix, which is authenticated though not encrypted", () => {
    const error = thrown(() => openEcies(curve, key, packet.slice(2), Uint8Array.of(1, 0xb4)));
    expect(error).toMatchObject({ code: "ERR_RLPX_BAD_HANDSHAKE" });
  });

  test("never hands a secret key and a bad point to the curve, yet multiplies once all the same", () => {
    const agreed: Uint8Array[] = [];
    const watched: Curve = {
      ...curve,
      sharedSecret(secretKey, publicKey) {
        agreed.push(publicKey.slice());
        return curve.sharedSecret(secretKey, publicKey);
      },
    };
    for (const { sealed } of cases.slice(0, 7)) {
      thrown(() => openEcies(watched, key, sealed, sharedInfo));
    }
    expect(agreed).toEqual(Array.from({ length: 7 }, () => STAND_IN_POINT));
  });

  test("the stand-in point is on the curve, and is twice the generator", () => {
    expect(STAND_IN_POINT).toEqual(curve.publicKey(bytes32(2n)));
  });

  test.each([
    [X_ONE, Y_OF_X_ONE],
    [X_OF_SMALL_Y, SMALL_Y],
  ])("the point (%i, %i) that a case starts from is one", (x, y) => {
    expect(curve.isPoint(Uint8Array.of(...bytes32(x), ...bytes32(y)))).toBe(true);
  });
});

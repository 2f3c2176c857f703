import { curve } from "@heddle/identity";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { describe, expect, test } from "vitest";

import { deriveSecrets } from "../src/secrets.ts";
import { hex } from "./sessions.ts";
import eip8 from "./vectors/eip-8.json" with { type: "json" };
import older from "./vectors/session-pre-eip-8.json" with { type: "json" };

const ephemeralSharedSecret = curve.sharedSecret(
  hex(eip8.ephemeralKeyB),
  hex(eip8.derived.ephemeralPublicKeyA),
);
const nonces = { initiatorNonce: hex(eip8.nonceA), recipientNonce: hex(eip8.nonceB) };

describe("EIP-8", () => {
  const secrets = deriveSecrets("recipient", {
    ephemeralSharedSecret,
    ...nonces,
    auth: hex(eip8.auth2.hex),
    ack: hex(eip8.ack2.hex),
  });

  test("the published secrets come out at B", () => {
    expect(secrets.ingress.aesSecret).toEqual(hex(eip8.expected.aesSecret));
    expect(secrets.ingress.macSecret).toEqual(hex(eip8.expected.macSecret));
    expect(secrets.egress.aesSecret).toEqual(hex(eip8.expected.aesSecret));
    expect(secrets.egress.macSecret).toEqual(hex(eip8.expected.macSecret));
  });

  test("B's ingress MAC continues to the published digest after foo", () => {
    const state = keccak_256.create().update(secrets.ingress.macSeed).update(Buffer.from("foo"));
    expect(state.digest()).toEqual(hex(eip8.expected.ingressMacAfterFoo));
  });

  test("A sees the directions swapped", () => {
    const atA = deriveSecrets("initiator", {
      ephemeralSharedSecret,
      ...nonces,
      auth: hex(eip8.auth2.hex),
      ack: hex(eip8.ack2.hex),
    });
    expect(atA).toEqual({ egress: secrets.ingress, ingress: secrets.egress });
  });

  test.each([
    ["auth2", "ack2", eip8.derivedInitialMacs.auth2_ack2],
    ["auth3", "ack3", eip8.derivedInitialMacs.auth3_ack3],
  ] as const)("the MACs start from the packets %s and %s as sent", (auth, ack, macs) => {
    const atA = deriveSecrets("initiator", {
      ephemeralSharedSecret,
      ...nonces,
      auth: hex(eip8[auth].hex),
      ack: hex(eip8[ack].hex),
    });
    expect(keccak_256(atA.egress.macSeed)).toEqual(hex(macs.fromInitiator));
    expect(keccak_256(atA.ingress.macSeed)).toEqual(hex(macs.fromRecipient));
  });
});

test("the session of before EIP-8 gets its published secrets and MACs", () => {
  const publicKey = curve.publicKey(hex(older.recipientEphemeralKey));
  const shared = curve.sharedSecret(hex(older.initiatorEphemeralKey), publicKey);
  expect(shared).toEqual(hex(older.ephemeralSharedSecret));
  const secrets = deriveSecrets("initiator", {
    ephemeralSharedSecret: shared,
    initiatorNonce: hex(older.initiatorNonce),
    recipientNonce: hex(older.recipientNonce),
    auth: hex(older.auth),
    ack: hex(older.ack),
  });
  expect(secrets.egress.aesSecret).toEqual(hex(older.aesSecret));
  expect(secrets.egress.macSecret).toEqual(hex(older.macSecret));
  expect(keccak_256(secrets.egress.macSeed)).toEqual(hex(older.initiatorEgressMac));
  expect(keccak_256(secrets.ingress.macSeed)).toEqual(hex(older.initiatorIngressMac));
});

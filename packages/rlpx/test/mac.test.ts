import { expect, test } from "vitest";

import { RollingMac } from "../src/mac.ts";
import {
  eip8AtoB,
  helloFromInitiator,
  helloFromRecipient,
  hex,
  vectors,
} from "./frame.fixtures.ts";

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("absorbs the handshake and a text as EIP-8's recipient does", () => {
  const mac = new RollingMac(eip8AtoB.macSecret, eip8AtoB.macSeed);
  mac.update(new TextEncoder().encode("foo"));
  expect(toHex(mac.digest())).toBe(vectors.eip8.ingressMacAfterFoo);
});

test("starts both directions of a published session as published", () => {
  const { initialEgressMac, initialIngressMac } = vectors.helloFrames;
  const egress = new RollingMac(helloFromInitiator.macSecret, helloFromInitiator.macSeed);
  const ingress = new RollingMac(helloFromRecipient.macSecret, helloFromRecipient.macSeed);
  expect(toHex(egress.digest())).toBe(initialEgressMac);
  expect(toHex(ingress.digest())).toBe(initialIngressMac);
});

test.each(vectors.ethereumjsMac.steps)("agrees with EthereumJS after $ops", ({ ops, digest }) => {
  const mac = new RollingMac(hex(vectors.ethereumjsMac.macSecret), new Uint8Array(0));
  for (const [op, text] of ops) {
    if (op === "updateHeader") mac.headerTag(hex(vectors.ethereumjsMac.header));
    else mac.update(new TextEncoder().encode(text));
    if (op === "updateBody") mac.frameTag();
  }
  expect(toHex(mac.digest().subarray(0, 16))).toBe(digest);
});

test("asking for a digest does not disturb the state", () => {
  const mac = new RollingMac(eip8AtoB.macSecret, eip8AtoB.macSeed);
  expect(mac.digest()).toEqual(mac.digest());
});

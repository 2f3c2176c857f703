import { Enr } from "@heddle/identity";
import { contract, fuzzProtocol } from "@heddle/testing";
import type { ProtocolOwner, Speaker, Surroundings } from "@heddle/testing";
import { describe, expect, test } from "vitest";

import { createPeerExchange } from "../src/index.ts";

function createSubject({ key, clock, random }: Surroundings): ProtocolOwner {
  return createPeerExchange({ key, clock, random });
}

/** Records must be of whoever sends them, or signed by somebody. */
const samples = {
  introduce: [
    ({ key }: Speaker) => ({
      network: "heddle",
      record: Enr.create(key, { seq: 1n }).encode(),
      seen: new Uint8Array(0),
    }),
  ],
};

describe("what all protocols keep to", () => contract(test, createSubject, { samples }));

test("malformed messages do no harm", async () => {
  const { faults, received } = await fuzzProtocol(createSubject, { samples });
  expect(faults).toEqual([]);
  expect(received).toBeGreaterThan(0);
});

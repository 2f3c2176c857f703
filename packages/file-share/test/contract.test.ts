import { Enr } from "@heddle/identity";
import { contract, fuzzProtocol } from "@heddle/testing";
import type { ProtocolOwner, Speaker, Surroundings } from "@heddle/testing";
import { describe, expect, test } from "vitest";

import { createFileShare } from "../src/index.ts";

function createSubject({ key, clock, random }: Surroundings): ProtocolOwner {
  return createFileShare({
    key,
    clock,
    record: () => Enr.create(key, { seq: 1n }),
    randomBytes: (length) => Uint8Array.from({ length }, () => Math.floor(random() * 256)),
  });
}

/** An answer nobody asked for, with a record that is one: whatever else is drawn would be refused for that. */
function foundBy({ key }: Speaker): unknown {
  return {
    id: new Uint8Array(16),
    holder: Enr.create(key, { seq: 1n }).encode(),
    files: [{ name: "weaving.txt", size: 1, hash: new Uint8Array(32) }],
  };
}

const samples = { found: [foundBy] };

describe("what all protocols keep to", () => contract(test, createSubject, { samples }));

test("malformed messages do no harm", async () => {
  const { faults, received } = await fuzzProtocol(createSubject, { samples });
  expect(faults).toEqual([]);
  expect(received).toBeGreaterThan(0);
});

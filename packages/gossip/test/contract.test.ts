import { contract, fuzzProtocol } from "@heddle/testing";
import type { ProtocolOwner, Surroundings } from "@heddle/testing";
import { describe, expect, test } from "vitest";

import { createGossip } from "../src/index.ts";
import { sample } from "./samples.ts";

function createSubject({ key, clock, random }: Surroundings): ProtocolOwner {
  const gossip = createGossip({ key, clock, random });
  return { protocols: gossip.protocols, close: () => gossip.close() };
}

const messages = Array.from({ length: 4 }, () => sample());
/** Messages of a stranger that are signed as they should be, pushed and answered. */
const samples = { push: messages, "fetch.reply": [messages] };

describe("what all protocols keep to", () => contract(test, createSubject, { samples }));

test("malformed messages do no harm", async () => {
  // Without samples: who alters what others have signed is sent away at once, and kept away.
  const { faults, received } = await fuzzProtocol(createSubject);
  expect(faults).toEqual([]);
  expect(received).toBeGreaterThan(0);
});

import { createGossip, Gossip1 } from "@heddle/gossip";
import { implement } from "@heddle/protocol";
import { contract, fuzzProtocol } from "@heddle/testing";
import type { ProtocolOwner, Surroundings } from "@heddle/testing";
import { describe, expect, test } from "vitest";

import { createChat } from "../src/index.ts";

/** Gossip that bears with everything: the real one keeps away who has misbehaved, and chat with them. */
const patientGossip = implement([Gossip1], {
  on: {
    push: () => undefined,
    announce: () => undefined,
    fetch: () => [],
    compare: () => ({ floor: 0, parts: [], sets: [] }),
  },
});

function createSubject({ key, clock, random }: Surroundings): ProtocolOwner {
  const gossip = createGossip({ key, clock, random });
  const chat = createChat({ gossip, key, nick: "ann", clock, random });
  chat.join("room");
  return {
    protocols: [...patientGossip, ...chat.protocols],
    close() {
      chat.close();
      gossip.close();
    },
  };
}

const samples = { introduce: [{ nick: "bob" }] };

describe("what all protocols keep to", () => contract(test, createSubject, { samples }));

test("malformed messages do no harm", async () => {
  const { faults, received } = await fuzzProtocol(createSubject, { samples });
  expect(faults).toEqual([]);
  expect(received).toBeGreaterThan(0);
});

import { expect, test } from "vitest";

import * as gossip from "../src/index.ts";

test("the package exports this and nothing else", () => {
  expect(Object.keys(gossip).toSorted()).toEqual([
    "DEFAULT_LIMITS",
    "Gossip1",
    "GossipError",
    "MAX_PAYLOAD_BYTES",
    "MAX_TOPIC_BYTES",
    "createGossip",
    "messageId",
    "signMessage",
  ]);
});

import { createGossip } from "@heddle/gossip";
import { memoryNetwork } from "@heddle/testing";
import { expect, test } from "vitest";

import { createChat } from "../src/index.ts";
import { keyOf } from "./harness.ts";

const NODES = 12;

test("what one says quickly is heard by all in that order, whichever way each message travelled", async () => {
  await using network = memoryNetwork({ session: "null", latencyMs: { min: 1, max: 40 } });
  const { clock } = network;
  const random = network.random.next;
  const nodes = Array.from({ length: NODES }, (_, number) => {
    const key = keyOf(number + 1);
    const gossip = createGossip({ key, clock, random });
    const chat = createChat({ gossip, key, nick: `n${number}`, clock, random });
    const heard: string[] = [];
    chat.on("message", ({ text }) => heard.push(text));
    const protocols = [...gossip.protocols, ...chat.protocols];
    return { chat, heard, server: network.server(`n${number}`, { key, protocols }) };
  });
  await clock.settle(Promise.all(nodes.map(({ server }) => server.start())));
  for (const [at, { server }] of nodes.entries()) {
    for (const other of nodes.slice(0, at)) await clock.settle(server.dial(other.server.enode));
  }
  for (const { chat } of nodes) chat.join("all");
  await clock.advance(5_000);
  const said = Array.from({ length: 20 }, (_, n) => `line ${n}`);
  for (const text of said) {
    nodes[0]?.chat.say("all", text);
    await clock.advance(20);
  }
  await clock.advance(5_000);
  for (const { heard } of nodes.slice(1)) expect(heard).toEqual(said);
});

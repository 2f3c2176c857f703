import { expect, test } from "vitest";

import { connect, connectRandomly, gossipNetwork, say, words } from "./network.ts";

test("what one node publishes reaches another, once", async () => {
  await using net = await gossipNetwork(2);
  const [ann, bob] = net.nodes as [(typeof net.nodes)[0], (typeof net.nodes)[0]];
  await connect(net, ann, bob);
  const sent = ann.gossip.publish("t", say("hello"));
  await net.network.clock.advance(60_000);
  expect(bob.received).toEqual([sent]);
  expect(ann.received).toEqual([]);
});

test("every node of a random network receives every message exactly once", async () => {
  await using net = await gossipNetwork(100);
  await connectRandomly(net, { degree: 8 });
  const sent: string[] = [];
  const own = new Map<unknown, Set<string>>(net.nodes.map((node) => [node, new Set()]));
  for (let i = 0; i < 30; i++) {
    const node = net.network.random.pick(net.nodes);
    node.gossip.publish("t", say(`m${i}`));
    sent.push(`m${i}`);
    own.get(node)?.add(`m${i}`);
    await net.network.clock.advance(100);
  }
  await net.network.clock.advance(5_000);
  for (const node of net.nodes) {
    const others = sent.filter((word) => !own.get(node)?.has(word));
    expect(words(node).toSorted()).toEqual(others.toSorted());
  }
});

import { cp, mkdtemp, readdir, readFile, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { createPeerExchange, MemoryStore, openStore } from "../src/index.ts";
import type { PexStore } from "../src/index.ts";
import { PexNetwork } from "./network.ts";
import type { PexNode } from "./network.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-pex-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** A network of six, the last of which keeps its book in `store` and leaves again. */
async function leave(net: PexNetwork, store: PexStore): Promise<PexNode> {
  const genesis = net.node("genesis");
  await net.start(genesis);
  const bootstrap = [genesis.server.enode];
  for (let i = 0; i < 4; i += 1) await net.start(net.node(`n${i}`, { bootstrap }));
  const keeper = net.node("keeper", { bootstrap, store });
  await net.start(keeper);
  await net.clock.runUntil(() => keeper.pex.known().length === 5 && keeper.pex.peers.length === 5);
  // Longer than changes are gathered, so that there is more than one write, the last one small.
  await net.clock.advance(10_000);
  await net.clock.settle(keeper.server.dial(genesis.server.enode));
  await net.clock.settle(keeper.server.peer(genesis.server.id)?.disconnect() ?? Promise.resolve());
  await net.clock.runUntil(() => keeper.pex.peers.length === 5);
  await net.clock.settle(keeper.server.stop());
  await keeper.pex.close();
  net.network.kill(genesis.server);
  return keeper;
}

test("a node that starts again with its store finds its network without the bootstrap node", async () => {
  await using net = new PexNetwork();
  const path = join(folder, "store");
  const before = await leave(net, await openStore(path));
  const after = net.node("keeper", { store: await openStore(path) });
  expect(after.pex.known().map(String).toSorted()).toEqual(
    before.pex.known().map(String).toSorted(),
  );
  expect(after.pex.nodes().filter(({ table }) => table === "tried").length).toBeGreaterThan(0);
  expect(after.pex.record().seq).toBeGreaterThan(before.pex.record().seq);
  await after.server.start();
  await expect(net.clock.settle(after.pex.join())).resolves.toMatchObject({ via: "book" });
  await net.clock.runUntil(() => after.pex.peers.length === 4);
});

test("a node that knows many is soon connected to as many as it wants", async () => {
  await using net = new PexNetwork();
  const store = new MemoryStore();
  const genesis = net.node("genesis");
  await net.start(genesis);
  const bootstrap = [genesis.server.enode];
  for (let i = 0; i < 15; i += 1) await net.start(net.node(`n${i}`, { bootstrap, targetPeers: 2 }));
  const keeper = net.node("keeper", { bootstrap, store });
  await net.start(keeper);
  await net.clock.runUntil(() => keeper.pex.known().length === 16);
  await net.clock.settle(keeper.server.stop());
  await keeper.pex.close();
  // The others have long given up on those who are gone.
  await net.clock.advance(60_000);
  const after = net.node("keeper", { store });
  await after.server.start();
  await net.clock.settle(after.pex.join());
  await net.clock.runUntil(() => after.pex.peers.filter(({ peer }) => !peer.inbound).length >= 8, {
    limitMs: 5_000,
  });
});

test("a node whose last write was torn finds its network without the bootstrap node", async () => {
  await using net = new PexNetwork();
  const whole = join(folder, "whole");
  await leave(net, await openStore(whole));
  const log = (await readdir(whole)).find((name) => name.endsWith(".log")) ?? "";
  const { length } = await readFile(join(whole, log));
  const torn = join(folder, "torn");
  await cp(whole, torn, { recursive: true });
  await truncate(join(torn, log), length - 50);
  const after = net.node("keeper", { store: await openStore(torn) });
  expect(after.pex.known().length).toBeGreaterThan(0);
  await after.server.start();
  await expect(net.clock.settle(after.pex.join())).resolves.toMatchObject({ via: "book" });
});

test("stored entries that are damaged, misnamed or of an unknown kind are left out and cleared away", async () => {
  await using net = new PexNetwork();
  const store = new MemoryStore();
  await leave(net, store);
  const [first, second] = [...store.initial].filter(([name]) => name.startsWith("node/"));
  await store.write(
    new Map([
      [first?.[0] ?? "", Uint8Array.of(0xc0)],
      ["node/ab", second?.[1]],
      ["node/cd", Uint8Array.of(0x01)],
      ["node/ef", second?.[1].slice(0, -1)],
      ["future", Uint8Array.of(1)],
      ["seq", new TextEncoder().encode("no number")],
      ["salt", new Uint8Array(31)],
    ]),
  );
  const after = net.node("keeper", { store });
  expect(after.pex.known()).toHaveLength(4);
  await after.pex.close();
  expect([...store.initial.keys()].filter((name) => name.startsWith("node/"))).toHaveLength(4);
  expect(store.initial.get("salt")).toHaveLength(32);
  expect(store.initial.has("future")).toBe(true);
});

test("the number of our own record rises over restarts even when the wall clock falls", async () => {
  await using net = new PexNetwork();
  const store = new MemoryStore();
  const before = await leave(net, store);
  const early = {
    now: () => 0,
    wallNow: () => 1_000,
    setTimeout: () => undefined,
    clearTimeout: () => undefined,
  };
  const key = net.network.random.secretKey();
  const pex = createPeerExchange({ key, store, clock: early });
  expect(pex.record().seq).toBe(before.pex.record().seq + 1n);
});

test("a store that fails costs the book nothing and is written to again", async () => {
  await using net = new PexNetwork();
  const kept = new MemoryStore();
  let failures = 3;
  const store: PexStore = {
    initial: new Map(),
    write: (changes) => {
      failures -= 1;
      return failures < 0 ? kept.write(changes) : Promise.reject(new Error("the disk is full"));
    },
    close: () => Promise.reject(new Error("and cannot be closed")),
  };
  const keeper = await leave(net, store);
  expect(failures).toBeLessThan(0);
  const names = keeper.pex.known().length;
  expect([...kept.initial.keys()].filter((name) => name.startsWith("node/"))).toHaveLength(names);
});

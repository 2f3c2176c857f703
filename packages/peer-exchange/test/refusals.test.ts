import { encodeRlp, Enr } from "@heddle/identity";
import type { EnrContent } from "@heddle/identity";
import { DisconnectReason } from "@heddle/p2p";
import { BadReply } from "@heddle/protocol";
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { REFUSALS } from "../src/index.ts";
import type { PeerExchange, PexOptions, Refusal } from "../src/index.ts";
import { hostileAt, nodeAt, rawAt } from "./hostile.ts";
import type { Hostile, HostileOptions } from "./hostile.ts";
import { PexNetwork } from "./network.ts";

const VICTIM = "52.0.0.1";
const ATTACKER = "185.7.0.1";

interface Attack extends AsyncDisposable {
  readonly net: PexNetwork;
  readonly pex: PeerExchange;
  readonly hostile: Hostile;
  /** Tells the victim of records, and lets it digest them. */
  announce(...records: readonly Uint8Array[]): Promise<void>;
  /** A record of somebody else, as it is told of. */
  recordOf(content: EnrContent): Uint8Array;
  /** The refusals that came up. */
  refused(): Partial<Record<Refusal, number>>;
}

async function attack(
  options: Partial<PexOptions> = {},
  hostileOptions: HostileOptions = {},
  from = ATTACKER,
): Promise<Attack> {
  const net = new PexNetwork();
  const { server, pex } = nodeAt(net, VICTIM, { targetPeers: 0, ...options });
  await server.start();
  const hostile = await hostileAt(net, from, hostileOptions);
  const context = hostile.connect(server);
  // Whoever is refused at once has no context: such tests wait for the end alone.
  context.catch(() => undefined);
  await context.catch(() => undefined);
  const reasons: Refusal[] = [];
  pex.on("refused", ({ reason }) => reasons.push(reason));
  return {
    net,
    pex,
    hostile,
    announce: async (...records) => {
      await (await context).send.announce(records);
      await net.clock.advance(1_000);
    },
    recordOf: (content) => Enr.create(net.network.random.secretKey(), content).encode(),
    refused: () => {
      const counts = Object.entries(pex.counters.refused).filter(([, count]) => count > 0);
      const seen = counts.reduce((sum, [, count]) => sum + count, 0);
      expect(reasons.length).toBeLessThanOrEqual(seen);
      return Object.fromEntries(counts);
    },
    [Symbol.asyncDispose]: async () => {
      await pex.close();
      await net[Symbol.asyncDispose]();
    },
  };
}

const good = { ip: "52.9.9.9", tcp: 30_303 };

function forge(record: Uint8Array): Uint8Array {
  const forged = record.slice();
  forged[20] = (forged[20] ?? 0) ^ 1;
  return forged;
}

test("a good record is taken", async () => {
  await using a = await attack();
  await a.announce(a.recordOf(good));
  expect(a.pex.known().map(({ ip }) => ip)).toEqual(["52.9.9.9"]);
  expect(a.refused()).toEqual({});
});

test("a forged record is refused, its teller dropped and kept out; what came before it stays", async () => {
  await using a = await attack();
  const [first, second] = [a.recordOf(good), a.recordOf({ ...good, ip: "52.9.8.9" })];
  await a.announce(first, forge(second), second);
  expect(a.refused()).toEqual({ forged: 1 });
  expect(a.pex.known()).toHaveLength(1);
  await expect(a.hostile.ended()).resolves.toMatchObject({
    by: "remote",
    reason: DisconnectReason.protocolError,
  });
});

test.each<[string, HostileOptions, Refusal, number]>([
  [
    "a forged record",
    { introduce: (own) => forge(own.encode()) },
    "forged",
    DisconnectReason.protocolError,
  ],
  ["no record", { introduce: () => Uint8Array.of(0x80) }, "forged", DisconnectReason.protocolError],
  [
    "another node's record",
    { introduce: () => Enr.create(new Uint8Array(32).fill(7), good).encode() },
    "foreignIntroduction",
    DisconnectReason.protocolError,
  ],
  ["another network", { network: "other" }, "otherNetwork", DisconnectReason.uselessPeer],
])("a peer that introduces itself with %s is dropped", async (_name, options, refusal, reason) => {
  await using a = await attack({}, options);
  await expect(a.hostile.ended()).resolves.toMatchObject({ by: "remote", reason });
  expect(a.refused()).toEqual({ [refusal]: 1 });
  expect(a.pex.peers).toEqual([]);
  expect(a.pex.known()).toEqual([]);
});

test.each<[string, EnrContent, Refusal]>([
  ["no address", { tcp: 30_303 }, "noAddress"],
  ["no TCP port", { ip: "52.9.9.9" }, "noAddress"],
  ["TCP port 0", { ip: "52.9.9.9", tcp: 0 }, "noAddress"],
  ["a documentation address", { ip: "192.0.2.1", tcp: 1 }, "special"],
  ["the unspecified address", { ip: "0.0.0.0", tcp: 1 }, "special"],
  ["a multicast address", { ip6: "ff02::1", tcp: 1 }, "special"],
  ["a loopback address", { ip: "127.0.0.1", tcp: 1 }, "loopback"],
  ["a loopback address mapped into IPv6", { ip6: "::ffff:127.0.0.1", tcp: 1 }, "loopback"],
  ["IPv6 loopback", { ip6: "::1", tcp: 1 }, "loopback"],
  ["a private address", { ip: "10.0.0.1", tcp: 1 }, "lan"],
  ["a link-local address", { ip6: "fe80::1", tcp: 1 }, "lan"],
  ["a carrier's inner address", { ip: "100.64.0.1", tcp: 1 }, "lan"],
])("a record with %s, told by a public peer, is refused", async (_name, content, refusal) => {
  await using a = await attack();
  await a.announce(a.recordOf(content));
  expect(a.refused()).toEqual({ [refusal]: 1 });
  expect(a.pex.known()).toEqual([]);
});

test("a private peer may tell of private addresses, and of loopback ones it may not", async () => {
  await using a = await attack({}, {}, "10.1.1.1");
  await a.announce(a.recordOf({ ip: "10.0.0.1", tcp: 1 }), a.recordOf({ ip: "127.0.0.1", tcp: 1 }));
  expect(a.pex.known().map(({ ip }) => ip)).toEqual(["10.0.0.1"]);
  expect(a.refused()).toEqual({ loopback: 1 });
});

test("what a public peer asks for leaves out what it may not be told of", async () => {
  await using net = new PexNetwork();
  const { server, pex } = nodeAt(net, VICTIM, { targetPeers: 0 });
  await server.start();
  const near = await hostileAt(net, "10.1.1.1");
  const told = [{ ip: "10.0.0.1", tcp: 1 }, good];
  await (
    await near.connect(server)
  ).send.announce(
    told.map((content) => Enr.create(net.network.random.secretKey(), content).encode()),
  );
  await net.clock.advance(1_000);
  expect(pex.known()).toHaveLength(2);
  const far = await hostileAt(net, ATTACKER);
  const context = await far.connect(server);
  const answer = await net.clock.settle(context.call.getPeers({ count: 10 }));
  const [only] = pex.known().filter(({ ip }) => ip === good.ip);
  expect(answer).toEqual(encodeRlp([only?.encode() ?? ""]));
  await pex.close();
});

test("an older version of a record is refused as stale, the same version is no news", async () => {
  await using a = await attack();
  const key = a.net.network.random.secretKey();
  const [old, newer] = [5n, 6n].map((seq) => Enr.create(key, { ...good, seq }).encode());
  await a.announce(newer ?? new Uint8Array());
  await a.announce(newer ?? new Uint8Array(), old ?? new Uint8Array());
  expect(a.refused()).toEqual({ stale: 1 });
  expect(a.pex.known().map(({ seq }) => seq)).toEqual([6n]);
});

test("a subnet has no more than its share of the book", async () => {
  await using a = await attack();
  const records = Array.from({ length: 20 }, (_, at) => a.recordOf({ ip: `52.9.9.${at}`, tcp: 1 }));
  await a.announce(...records);
  expect(a.refused()).toEqual({ subnetFull: 4 });
  expect(a.pex.known()).toHaveLength(16);
});

test("a /64 of IPv6 is one subnet", async () => {
  await using a = await attack({ limits: { perSubnet: 2 } });
  const hosts = ["2a00:1:2:3::1", "2a00:1:2:3:ffff::1", "2a00:1:2:3:4::", "2a00:1:2:4::1"];
  await a.announce(...hosts.map((ip6) => a.recordOf({ ip6, tcp: 1 })));
  expect(a.refused()).toEqual({ subnetFull: 1 });
});

test("a source has no more than its share of the book", async () => {
  await using a = await attack({ limits: { perSource: 3 } });
  const records = Array.from({ length: 5 }, (_, at) => a.recordOf({ ip: `52.9.${at}.9`, tcp: 1 }));
  await a.announce(...records);
  expect(a.refused()).toEqual({ sourceFull: 2 });
});

test("of a full bucket the same few stay, in whatever order they come", async () => {
  const limits = { newBuckets: 1, newBucketSize: 2, bucketsPerSource: 1 };
  await using a = await attack({ limits });
  const records = Array.from({ length: 12 }, (_, at) => a.recordOf({ ip: `52.9.${at}.9`, tcp: 1 }));
  await a.announce(...records);
  const stayed = a.pex.known().map(String).toSorted();
  expect(stayed).toHaveLength(2);
  await a.announce(...records.toReversed());
  await a.announce(...records);
  expect(a.pex.known().map(String).toSorted()).toEqual(stayed);
  expect(a.refused()["bucketFull"]).toBeGreaterThan(20);
});

test("a node that was given up is not taken again for a while, unless it has a newer record", async () => {
  await using a = await attack({ targetPeers: 8 });
  const key = a.net.network.random.secretKey();
  const records = [1n, 2n].map((seq) => Enr.create(key, { ...good, seq }));
  const [old, newer] = records.map((record) => record.encode());
  const forgotten: string[] = [];
  a.pex.on("forgotten", ({ id }) => forgotten.push(id));
  await a.announce(old ?? new Uint8Array());
  // Nobody is there.
  await a.net.clock.runUntil(() => forgotten.length > 0);
  expect(a.pex.known()).toEqual([]);
  await a.announce(old ?? new Uint8Array());
  expect(a.refused()).toEqual({ banned: 1 });
  await a.announce(newer ?? new Uint8Array());
  expect(a.pex.known().map(({ seq }) => seq)).toEqual([2n]);
});

test("too many questions are answered with nothing, and far too many end the connection", async () => {
  await using a = await attack({ limits: { misuse: { perSecond: 0.001, burst: 5 } } });
  await a.announce(a.recordOf(good));
  const context = await a.hostile.server.peers[0]?.protocol<{
    call: { getPeers(question: { count: number }): Promise<Uint8Array> };
  }>({ name: "pex" });
  const ask = (): Promise<Uint8Array | undefined> =>
    a.net.clock.settle(context?.call.getPeers({ count: 1 }) ?? Promise.resolve(undefined));
  for (let question = 0; question < 10; question += 1)
    expect((await ask())?.length).toBeGreaterThan(50);
  for (let question = 0; question < 5; question += 1)
    expect(await ask()).toEqual(Uint8Array.of(0xc0));
  await expect(ask()).rejects.toThrow();
  expect(a.refused()).toEqual({ questionFlood: 6 });
  await expect(a.hostile.ended()).resolves.toMatchObject({
    by: "remote",
    reason: DisconnectReason.protocolError,
  });
});

test("announced records above the rate are left out", async () => {
  await using a = await attack({ limits: { announcements: { perSecond: 0.001, burst: 3 } } });
  const records = Array.from({ length: 5 }, (_, at) => a.recordOf({ ip: `52.9.${at}.9`, tcp: 1 }));
  await a.announce(...records);
  expect(a.pex.known()).toHaveLength(3);
  expect(a.refused()).toEqual({ announcementFlood: 1 });
});

test("no more signatures are checked than the rate allows, and none for what was checked before", async () => {
  await using a = await attack({ limits: { verifications: { perSecond: 0.001, burst: 3 } } });
  const records = Array.from({ length: 5 }, (_, at) => a.recordOf({ ip: `52.9.${at}.9`, tcp: 1 }));
  await a.announce(...records);
  expect(a.pex.known()).toHaveLength(3);
  expect(a.refused()).toEqual({ verificationFlood: 2 });
  await a.announce(...records.slice(0, 3));
  expect(a.refused()).toEqual({ verificationFlood: 2 });
});

test("a node that is in the news all the time is kept up to date and not handed on each time", async () => {
  await using a = await attack();
  const key = a.net.network.random.secretKey();
  for (let seq = 1n; seq <= 3n; seq += 1n) {
    await a.announce(Enr.create(key, { ...good, seq }).encode());
  }
  expect(a.pex.known().map(({ seq }) => seq)).toEqual([3n]);
  expect(a.refused()).toEqual({ notForwarded: 2 });
});

test.each<[string, HostileOptions["answer"] & {}, Refusal]>([
  [
    "more records than were asked for",
    (count) =>
      encodeRlp(Array.from({ length: count + 1 }, () => Enr.create(new Uint8Array(32).fill(9)).encode())), // prettier-ignore
    "oversizedReply",
  ],
  [
    "more records than ever",
    () => encodeRlp(Array.from({ length: 65 }, () => "x")),
    "oversizedReply",
  ],
  ["more bytes than they can have", () => encodeRlp([new Uint8Array(10_000)]), "oversizedReply"],
  ["a record that is too long", () => encodeRlp([new Uint8Array(301)]), "oversizedReply"],
  ["an empty record", () => encodeRlp([[]]), "badReply"],
  ["no list", () => encodeRlp("no list"), "badReply"],
  ["a forged record", () => encodeRlp([forge(Enr.create(new Uint8Array(32).fill(9)).encode())]), "forged"], // prettier-ignore
])("a peer that answers with %s is dropped", async (_name, answer, refusal) => {
  await using a = await attack({}, { answer });
  await a.net.clock.runUntil(() => a.pex.peers.length > 0);
  const [peer] = a.pex.peers;
  if (peer === undefined) throw new Error("nobody is connected");
  const asked = a.pex.ask(peer.peer, { count: 2 });
  if (refusal === "forged") await expect(a.net.clock.settle(asked)).resolves.toEqual([]);
  else await expect(a.net.clock.settle(asked)).rejects.toBeInstanceOf(BadReply);
  await expect(a.hostile.ended()).resolves.toMatchObject({
    reason: DisconnectReason.protocolError,
  });
  expect(a.refused()).toEqual({ [refusal]: 1 });
});

test("every refusal has a counter that starts at zero", async () => {
  await using a = await attack();
  expect(Object.keys(a.pex.counters.refused).toSorted()).toEqual([...REFUSALS].toSorted());
  expect(a.refused()).toEqual({});
});

test("whatever bytes a peer sends, it is its own connection that ends and no other", async () => {
  await using net = new PexNetwork();
  const { server, pex } = nodeAt(net, VICTIM, { targetPeers: 0 });
  await server.start();
  const honest = await hostileAt(net, "52.7.7.7");
  await honest.connect(server);
  let hosts = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.nat(3),
      fc.uint8Array({ maxLength: 80 }),
      fc.boolean(),
      async (code, bytes, isFirst) => {
        hosts += 1;
        const raw = await rawAt(net, `185.${hosts}.0.1`, async (rw, introduction) => {
          if (!isFirst) await rw.sendEncoded(0, introduction);
          await rw.sendEncoded(code, bytes);
          await rw.read();
        });
        await net.clock.settle(raw.dial(server.enode)).catch(() => undefined);
        await net.clock.advance(6_000);
        await net.clock.settle(raw.stop());
      },
    ),
    { numRuns: 40 },
  );
  expect(pex.peers).toHaveLength(1);
  expect(server.counters.detached).toEqual({});
  await pex.close();
});

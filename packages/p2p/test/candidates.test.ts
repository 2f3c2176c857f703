import { Enr, nodeIdOf } from "@heddle/identity";
import type { Enode } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import { CandidateLoop } from "../src/candidates.ts";
import { createConfig } from "../src/config.ts";
import type { ServerOptions } from "../src/config.ts";
import type { Dialer } from "../src/dialer.ts";
import { silentLogger } from "../src/logger.ts";
import { PeerSet } from "../src/peer-set.ts";
import type { LivePeer } from "../src/peer.ts";
import { defer, idle, keyOf, ManualClock, settle } from "./harness.ts";
import type { Deferred } from "./harness.ts";

const OURS = nodeIdOf(keyOf(1));

/** Distinct nodes by number; the ids need not be points for a loop that does not dial itself. */
function nodeOf(n: number, changes: Partial<Enode> = {}): Enode {
  const id = new Uint8Array(64);
  new DataView(id.buffer).setUint32(60, n + 1);
  return { id, host: "10.0.0.9", tcpPort: n + 1, udpPort: 0, ...changes };
}

/** A source that yields what it is given, and counts how much was asked of it. */
class Source implements AsyncIterable<Enode> {
  readonly #make: (n: number) => Enode;
  readonly #count: number;
  asked = 0;
  isClosed = false;

  constructor(make: (n: number) => Enode, count = Number.POSITIVE_INFINITY) {
    this.#make = make;
    this.#count = count;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Enode, void> {
    try {
      while (this.asked < this.#count) yield this.#make(this.asked++);
    } finally {
      this.isClosed = true;
    }
  }
}

/** A running loop whose dials the test settles. */
function setUp(options: Partial<ServerOptions> & { sources?: AsyncIterable<Enode | Enr>[] }) {
  const clock = new ManualClock();
  const { sources = [], ...rest } = options;
  const warnings: string[] = [];
  const config = createConfig({
    key: keyOf(1),
    clientId: "test/1",
    candidates: sources,
    clock,
    logger: { ...silentLogger, warn: (message) => void warnings.push(message) },
    ...rest,
  });
  const controller = new AbortController();
  const peers = new PeerSet({
    nodeId: OURS,
    maxPeers: config.maxPeers,
    maxInbound: config.maxInbound,
    simultaneousMs: 5_000,
    clock,
  });
  const dialed: { node: Enode; at: number; outcome: Deferred<LivePeer> }[] = [];
  const isDialing = new Set<number>();
  const dialer: Partial<Dialer> = {
    isDialing: (id) => isDialing.has(new DataView(id.buffer).getUint32(60) - 1),
    dial: (node) => {
      const outcome = defer<LivePeer>();
      dialed.push({ node, at: clock.now(), outcome });
      return outcome.promise;
    },
  };
  const loop = new CandidateLoop({
    config,
    nodeId: OURS,
    dialer: dialer as Dialer,
    peers,
    signal: controller.signal,
  });
  const run = loop.run();
  run.catch(() => undefined);
  const add = (node: Enode, inbound: boolean): LivePeer => {
    const peer: Partial<LivePeer> = { id: node.id, inbound, connectedAt: clock.now() };
    peers.add(peer as LivePeer);
    return peer as LivePeer;
  };
  /** The `n`th dial comes to its end; a good one makes a peer first. */
  const finish = async (n: number, isGood: boolean): Promise<void> => {
    const dial = dialed[n];
    if (dial === undefined) throw new Error(`there was no dial ${n}`);
    if (isGood) dial.outcome.resolve(add(dial.node, false));
    else dial.outcome.reject(new Error("refused"));
    await settle();
  };
  const ports = (): number[] => dialed.map(({ node }) => node.tcpPort - 1);
  return { clock, warnings, controller, peers, dialed, isDialing, loop, run, add, finish, ports };
}

describe("round by round", () => {
  test("twice as many dials are under way as dialed peers are missing, no more", async () => {
    const source = new Source(nodeOf);
    // One in two of six may be dialed: three.
    const { ports, finish } = setUp({ sources: [source], maxPeers: 6, dialRatio: 2 });
    await settle();
    expect(ports()).toEqual([0, 1, 2, 3, 4, 5]);
    await finish(0, false);
    expect(ports()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    // Two are missing: four may be under way, and five are.
    await finish(1, true);
    expect(ports()).toHaveLength(7);
    await finish(2, false);
    await finish(3, false);
    expect(ports()).toHaveLength(8);
    await finish(4, true);
    await finish(5, true);
    await finish(6, false);
    await finish(7, false);
    expect(ports()).toHaveLength(8);
    // One ahead of the one that waits for room.
    expect(source.asked).toBeLessThanOrEqual(10);
  });

  test("a peer that leaves makes room, at once when the loop is told and within a second when not", async () => {
    for (const isTold of [true, false]) {
      const { ports, finish, peers, loop, clock, add } = setUp({
        sources: [new Source((n) => nodeOf(n + 100))],
        maxPeers: 2,
        dialRatio: 2,
      });
      const first = add(nodeOf(1), false);
      await settle();
      expect(ports()).toEqual([]);
      peers.delete(first);
      if (isTold) {
        loop.wake();
        await settle();
      } else {
        await clock.advance(1_000);
      }
      expect(ports()).toEqual([100, 101]);
      await finish(0, true);
      await finish(1, false);
      expect(ports()).toEqual([100, 101]);
    }
  });

  test("inbound peers take room as well, as soon as all places are taken", async () => {
    const { ports, add } = setUp({ sources: [new Source(nodeOf)], maxPeers: 4, dialRatio: 2 });
    for (const n of [100, 101, 102]) add(nodeOf(n), true);
    await settle();
    expect(ports()).toEqual([0, 1]);
  });

  test("no more dials than maxPendingDials are under way", async () => {
    const { ports, finish } = setUp({
      sources: [new Source(nodeOf)],
      maxPeers: 100,
      dialRatio: 1,
      limits: { maxPendingDials: 3 },
    });
    await settle();
    expect(ports()).toEqual([0, 1, 2]);
    await finish(1, false);
    expect(ports()).toEqual([0, 1, 2, 3]);
  });

  test("a node is not dialed again before dialHistoryMs have passed", async () => {
    const { ports, finish, clock, dialed } = setUp({
      sources: [new Source(() => nodeOf(7))],
      limits: { dialHistoryMs: 35_000 },
    });
    const start = clock.now();
    await settle();
    expect(ports()).toEqual([7]);
    await finish(0, false);
    await clock.advance(34_000);
    expect(ports()).toEqual([7]);
    await clock.advance(3_000);
    expect(ports()).toEqual([7, 7]);
    expect((dialed[1]?.at ?? 0) - start).toBeGreaterThanOrEqual(35_000);
  });

  test("several sources are drawn from in turn, a protocol's and a server's alike", async () => {
    const offered = new Source((n) => nodeOf(n + 1_000));
    const protocol = { ...idle(), dialCandidates: () => offered };
    const { ports } = setUp({
      sources: [new Source(nodeOf)],
      protocols: [protocol],
      maxPeers: 4,
      dialRatio: 2,
    });
    await settle();
    expect(ports().toSorted((a, b) => a - b)).toEqual([0, 1, 1_000, 1_001]);
  });
});

describe("passed over is", () => {
  const sources = (candidates: readonly unknown[]): AsyncIterable<Enode | Enr>[] => [
    (async function* () {
      for (const candidate of candidates) yield candidate as Enode;
    })(),
  ];

  test.each<[string, Enode]>([
    ["a node without a TCP port", nodeOf(1, { tcpPort: 0 })],
    ["ourselves", nodeOf(1, { id: OURS })],
    ["a node outside the allowed ranges", nodeOf(1, { host: "192.168.0.1" })],
    ["a peer", nodeOf(50)],
    ["a node that is being dialed", nodeOf(51)],
  ])("%s", async (_what, candidate) => {
    const { ports, add, isDialing } = setUp({
      sources: sources([candidate, nodeOf(2)]),
      allow: ["10.0.0.0/8"],
    });
    add(nodeOf(50), true);
    isDialing.add(51);
    await settle();
    expect(ports()).toEqual([2]);
  });

  test("a record without an address", async () => {
    const nowhere = Enr.create(keyOf(3), { seq: 1n });
    const somewhere = Enr.create(keyOf(4), { seq: 1n, ip: "10.0.0.4", tcp: 31 });
    const { dialed } = setUp({ sources: sources([nowhere, somewhere]) });
    await settle();
    expect(dialed.map(({ node }) => node)).toMatchObject([{ host: "10.0.0.4", tcpPort: 31 }]);
  });

  test.each([
    undefined,
    null,
    5,
    "enode://",
    {},
    { id: "ab", host: "x", tcpPort: 1 },
    { id: OURS.subarray(1), host: "x", tcpPort: 1 },
    { id: OURS, tcpPort: 1 },
  ])("what is no node, with a warning: %j", async (candidate) => {
    const { ports, warnings } = setUp({ sources: sources([candidate, candidate, nodeOf(2)]) });
    await settle();
    expect(ports()).toEqual([2]);
    expect(warnings).toEqual(["a candidate is no node"]);
  });

  test("any number of them, at 256 a second: a source without end cannot keep the loop busy", async () => {
    const source = new Source(() => nodeOf(0, { tcpPort: 0 }));
    const { clock } = setUp({ sources: [source] });
    await settle();
    expect(source.asked).toBeGreaterThanOrEqual(256);
    expect(source.asked).toBeLessThanOrEqual(257);
    for (let second = 2; second <= 5; second += 1) {
      await clock.advance(1_000);
      expect(source.asked).toBeLessThanOrEqual(256 * second + 1);
      expect(source.asked).toBeGreaterThanOrEqual(256 * second);
    }
  });

  test("nothing for its neighbours: one that is worth dialing starts the count anew", async () => {
    const source = new Source((n) => nodeOf(n, n % 200 === 199 ? {} : { tcpPort: 0 }), 1_000);
    const { ports } = setUp({ sources: [source] });
    await settle(60);
    expect(ports()).toEqual([199, 399, 599, 799, 999]);
  });
});

describe("the loop ends", () => {
  test("at once without sources", async () => {
    await setUp({}).run;
  });

  test("with its last source", async () => {
    const { run, ports } = setUp({ sources: [new Source(nodeOf, 3)] });
    await run;
    expect(ports()).toEqual([0, 1, 2]);
  });

  test("with a source that fails, which is reported", async () => {
    const { run, warnings } = setUp({
      sources: [
        (async function* (): AsyncGenerator<Enode> {
          yield nodeOf(1);
          throw new Error("no more");
        })(),
      ],
    });
    await run;
    expect(warnings).toEqual(["a candidate source failed"]);
  });

  test.each([
    ["waits for room", nodeOf, { maxPeers: 1, dialRatio: 1 }],
    ["pauses", () => nodeOf(0, { tcpPort: 0 }), {}],
    ["has no place to fill", nodeOf, { maxPeers: 0 }],
  ])(
    "when the server stops while it %s, closes the source and leaves no timer",
    async (_when, make, options) => {
      const source = new Source(make);
      const { controller, run, clock } = setUp({ sources: [source], ...options });
      await settle();
      controller.abort(new Error("stopped"));
      await run;
      await settle();
      expect([source.isClosed, clock.pending]).toEqual([true, 0]);
    },
  );
});

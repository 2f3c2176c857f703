import { getEventListeners } from "node:events";

import { describe, expect, test } from "vitest";

import { PeerSet } from "../src/peer-set.ts";
import type { PeerSetOptions } from "../src/peer-set.ts";
import type { LivePeer } from "../src/peer.ts";
import { rejection } from "./harness.ts";
import { ManualClock } from "./manual-clock.ts";

/** Ids in byte order of their numbers. */
const idOf = (n: number): Uint8Array => new Uint8Array(64).fill(n);
const OURS = 100;

const INBOUND = { inbound: true, trusted: false };
const DIALED = { inbound: false, trusted: false };

function setUp(options: Partial<PeerSetOptions> = {}) {
  const clock = new ManualClock();
  const set = new PeerSet({
    nodeId: idOf(OURS),
    maxPeers: 4,
    maxInbound: 2,
    simultaneousMs: 5_000,
    clock,
    ...options,
  });
  /** As much of a peer as a set looks at. */
  const peer = (n: number, inbound: boolean): LivePeer => {
    const part: Partial<LivePeer> = { id: idOf(n), inbound, connectedAt: clock.now() };
    return part as LivePeer;
  };
  return { clock, set, peer };
}

describe("who may join", () => {
  test("everybody while there is room, and nobody beyond it", () => {
    const { set, peer } = setUp();
    for (const n of [1, 2, 3, 4]) {
      expect(set.refusal(idOf(n), DIALED)).toBeUndefined();
      set.add(peer(n, false));
    }
    expect(set.refusal(idOf(5), DIALED)).toBe(0x04);
    expect(set.refusal(idOf(5), INBOUND)).toBe(0x04);
  });

  test("no more inbound peers than their share, however much room there is", () => {
    const { set, peer } = setUp();
    for (const n of [1, 2]) set.add(peer(n, true));
    expect(set.refusal(idOf(3), INBOUND)).toBe(0x04);
    expect(set.refusal(idOf(3), DIALED)).toBeUndefined();
    expect([set.size, set.inboundCount, set.dialedCount]).toEqual([2, 2, 0]);
  });

  test("trusted nodes beyond every cap", () => {
    const { set } = setUp({ maxPeers: 0, maxInbound: 0 });
    for (const inbound of [true, false]) {
      expect(set.refusal(idOf(1), { inbound, trusted: true })).toBeUndefined();
      expect(set.refusal(idOf(1), { inbound, trusted: false })).toBe(0x04);
    }
  });

  test("not we ourselves, nor who is there already, trusted or not", () => {
    const { set, peer } = setUp();
    set.add(peer(1, true));
    for (const trusted of [true, false]) {
      expect(set.refusal(idOf(OURS), { inbound: true, trusted })).toBe(0x0a);
      expect(set.refusal(idOf(1), { inbound: true, trusted })).toBe(0x05);
    }
  });
});

describe("of two connections made at the same time", () => {
  test.each([
    ["the smaller node's, inbound, takes the place of ours", 1, false, true, true],
    ["ours does not take the place of the smaller node's", 1, true, false, false],
    ["ours takes the place of the larger node's", 200, true, false, true],
    ["the larger node's does not take the place of ours", 200, false, true, false],
    ["one of the same direction takes no place", 1, true, true, false],
  ])("%s", (_what, n, isFirstInbound, isSecondInbound, mayReplace) => {
    const { set, peer, clock } = setUp();
    const first = peer(n, isFirstInbound);
    set.add(first);
    clock.advance(5_000);
    const how = { inbound: isSecondInbound, trusted: false };
    expect(set.refusal(idOf(n), how)).toBe(mayReplace ? undefined : 0x05);
    clock.advance(1);
    expect(set.refusal(idOf(n), how)).toBe(0x05);
  });

  test("the one that takes the other's place is told which, and the counts follow", () => {
    const { set, peer } = setUp();
    const [first, second] = [peer(1, false), peer(1, true)];
    expect(set.add(first)).toBeUndefined();
    expect(set.add(second)).toBe(first);
    expect(set.get(idOf(1))).toBe(second);
    expect([set.size, set.inboundCount, set.dialedCount]).toEqual([1, 1, 0]);
    expect(set.delete(first)).toBe(false);
    expect(set.list()).toEqual([second]);
    expect(set.delete(second)).toBe(true);
    expect([set.size, set.inboundCount]).toEqual([0, 0]);
  });
});

describe("waiting for a node to become a peer", () => {
  const listeners = (signal: AbortSignal): number => getEventListeners(signal, "abort").length;

  test("ends with the peer, at once where it is one already, and for everybody who waits", async () => {
    const { set, peer } = setUp();
    const { signal } = new AbortController();
    const one = peer(1, true);
    const waiting = [set.added(idOf(1), signal), set.added(idOf(1), signal)];
    set.add(peer(2, true));
    set.add(one);
    expect(await Promise.all(waiting)).toEqual([one, one]);
    expect(await set.added(idOf(1), signal)).toBe(one);
    expect(listeners(signal)).toBe(0);
  });

  test("ends with the signal's reason, for whom it is meant", async () => {
    const { set, peer } = setUp();
    const [gone, patient] = [new AbortController(), new AbortController()];
    const rejected = rejection(set.added(idOf(1), gone.signal));
    const resolved = set.added(idOf(1), patient.signal);
    const reason = new Error("stopped");
    gone.abort(reason);
    expect(await rejected).toBe(reason);
    expect(await rejection(set.added(idOf(1), gone.signal))).toBe(reason);
    const one = peer(1, false);
    set.add(one);
    expect(await resolved).toBe(one);
    expect(listeners(gone.signal) + listeners(patient.signal)).toBe(0);
  });
});

import { VirtualClock } from "@heddle/testing";
import { expect, test } from "vitest";

import { DEFAULT_LIMITS } from "../src/index.ts";
import type { GossipLimits } from "../src/index.ts";
import { createCounters } from "../src/counters.ts";
import { Link } from "../src/link.ts";
import type { GossipContext } from "../src/link.ts";
import { keyOf } from "../src/message.ts";
import { Spreader } from "../src/spread.ts";
import { unsigned } from "./samples.ts";

interface Setup {
  readonly clock: VirtualClock;
  readonly link: Link;
  /** How many ids each announcement had, and how many messages were pushed. */
  readonly sent: { announced: number[]; first: (Uint8Array | undefined)[]; pushed: number };
  /** Accepts what is being sent. */
  accept(): void;
}

/** A link whose connection accepts what it is told to. */
function setUp(limits: Partial<GossipLimits> = {}): Setup {
  const clock = new VirtualClock();
  const peer = { id: new Uint8Array(64), signal: new AbortController().signal };
  const link = new Link(peer as never, clock, { ...DEFAULT_LIMITS, ...limits });
  const sent: Setup["sent"] = { announced: [], first: [], pushed: 0 };
  let waiting: (() => void)[] = [];
  const accepted = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  const send = {
    push: (): Promise<void> => {
      sent.pushed += 1;
      return accepted();
    },
    announce: (ids: readonly Uint8Array[]): Promise<void> => {
      sent.announced.push(ids.length);
      sent.first.push(ids[0]);
      return accepted();
    },
  };
  link.open({ send } as unknown as GossipContext);
  const accept = (): void => {
    for (const resolve of waiting) resolve();
    waiting = [];
  };
  return { clock, link, sent, accept };
}

const PLENTY = { perSecond: 1e9, burst: 1e9 };

function queue({ link }: Setup, count: number): Uint8Array[] {
  const ids = Array.from({ length: count }, () => unsigned({ time: 1 }).id);
  for (const id of ids) link.announce(keyOf(id), id);
  return ids;
}

test("ids wait to be announced, 512 at a time, one announcement after another", async () => {
  const setup = setUp();
  queue(setup, 1_000);
  expect([setup.link.flush(), setup.link.flush()]).toEqual([512, 0]);
  setup.accept();
  await setup.clock.advance(1);
  expect([setup.link.flush(), setup.link.queued]).toEqual([488, 0]);
  expect(setup.sent.announced).toEqual([512, 488]);
});

test("4,096 ids wait at most; the oldest give way", () => {
  const setup = setUp();
  const ids = queue(setup, 4_100);
  expect(setup.link.queued).toBe(4_096);
  setup.link.flush();
  expect(setup.sent.first).toEqual([ids[4]]);
});

test("what the peer turns out to have is not announced to it", () => {
  const setup = setUp();
  const [id] = queue(setup, 1);
  setup.link.unqueue(keyOf(id!));
  expect([setup.link.flush(), setup.sent.announced]).toEqual([0, []]);
});

test("a node uses half of what the peer allows: for pushes, their bytes, and announcements", async () => {
  const rate = { perSecond: 10, burst: 2_000 };
  const counted = setUp({ pushes: { perSecond: 1, burst: 20 }, pushBytes: PLENTY });
  for (let i = 0; i < 20; i++) counted.link.push(unsigned({ time: 1 }));
  expect(counted.sent.pushed).toBe(10);
  const weighed = setUp({ pushes: PLENTY, pushBytes: { perSecond: 1, burst: 200_000 } });
  for (let i = 0; i < 20; i++) weighed.link.push(unsigned({ time: 1, bytes: 9_744 }));
  expect(weighed.sent.pushed).toBe(10);
  const told = setUp({ announcements: rate });
  for (let i = 0; i < 4; i++) {
    queue(told, 500);
    told.link.flush();
    told.accept();
    await told.clock.advance(1);
  }
  expect(told.sent.announced).toEqual([500, 500]);
});

test("at most 64 pushes wait to be accepted, and then others may", async () => {
  const setup = setUp({ pushes: PLENTY, pushBytes: PLENTY });
  const push = (): boolean => setup.link.push(unsigned({ time: 1 }));
  const taken = Array.from({ length: 70 }, push);
  expect(taken.filter(Boolean)).toHaveLength(64);
  setup.accept();
  await setup.clock.advance(1);
  expect(push()).toBe(true);
});

test("what cannot be pushed is announced, and what cannot be announced yet is announced later", async () => {
  const setup = setUp({ pushes: { perSecond: 1e-6, burst: 2 } });
  const { clock, link, sent } = setup;
  const counters = createCounters();
  const links = new Set([link]);
  const random = Math.random;
  const spreader = new Spreader({ clock, random, announceDelayMs: 100, counters, links });
  for (let i = 0; i < 601; i++) spreader.spread(unsigned({ time: 1 }), new Set(), true);
  await clock.advance(99);
  expect([sent.pushed, sent.announced]).toEqual([1, []]);
  await clock.advance(1);
  expect(sent.announced).toEqual([512]);
  setup.accept();
  await clock.advance(100);
  expect(sent.announced).toEqual([512, 88]);
  expect(counters).toMatchObject({ pushed: 1, announced: 600 });
  setup.accept();
  await clock.advance(1_000);
  expect(clock.pending).toBe(0);
});

test("nobody is told of what they have, have no room for, or of anything once they are dropped", async () => {
  const { clock, link, sent } = setUp();
  const parts = { clock, random: Math.random, announceDelayMs: 100, counters: createCounters() };
  const spreader = new Spreader({ ...parts, links: new Set([link]) });
  const message = unsigned({ time: 10 });
  spreader.spread(message, new Set([link]), true);
  link.remoteFloor = 10;
  spreader.spread(message, new Set(), true);
  spreader.announce(message, link);
  link.remoteFloor = 0;
  link.isDropped = true;
  spreader.spread(message, new Set(), true);
  await clock.advance(1_000);
  expect(sent).toEqual({ announced: [], first: [], pushed: 0 });
});

test("what is old is announced and not pushed", async () => {
  const { clock, link, sent } = setUp();
  const parts = { clock, random: Math.random, announceDelayMs: 100, counters: createCounters() };
  const spreader = new Spreader({ ...parts, links: new Set([link]) });
  spreader.spread(unsigned({ time: 10 }), new Set(), false);
  await clock.advance(1_000);
  expect([sent.pushed, sent.announced]).toEqual([0, [1]]);
  spreader.spread(unsigned({ time: 10 }), new Set(), false);
  spreader.close();
  await clock.advance(1_000);
  expect(sent.announced).toEqual([1]);
});

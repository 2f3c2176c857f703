import { VirtualClock } from "@heddle/testing";
import { expect, test } from "vitest";

import type { Link } from "../src/link.ts";
import { keyOf } from "../src/message.ts";
import { Wanted } from "../src/wanted.ts";

const DELAY_MS = 100;

/** As much of a link as {@link Wanted} looks at. */
function link(): Link {
  const { signal } = new AbortController();
  return { wanted: 0, isDropped: false, peer: { signal } } as unknown as Link;
}

function id(n: number): Uint8Array {
  return new Uint8Array(32).with(0, n >> 8).with(1, n & 0xff);
}

interface Setup {
  readonly clock: VirtualClock;
  readonly wanted: Wanted;
  /** Who was asked for which ids. */
  readonly asked: [link: Link, ids: number[]][];
}

/** @param answer - which of the ids asked for come */
function setUp(answer: (link: Link, n: number) => boolean = () => true): Setup {
  const clock = new VirtualClock();
  const asked: [link: Link, ids: number[]][] = [];
  const wanted: Wanted = new Wanted(clock, DELAY_MS, async (link, ids) => {
    const numbers = ids.map((each) => (each[0]! << 8) + each[1]!);
    asked.push([link, numbers]);
    for (const n of numbers) if (answer(link, n)) wanted.settle(keyOf(id(n)));
  });
  return { clock, wanted, asked };
}

function note({ wanted }: Setup, n: number, link: Link): void {
  wanted.note(keyOf(id(n)), id(n), link);
}

test("what comes by itself is not asked for", async () => {
  const setup = setUp();
  const ann = link();
  note(setup, 1, ann);
  await setup.clock.advance(DELAY_MS - 1);
  expect(setup.wanted.settle(keyOf(id(1)))).toEqual([ann]);
  await setup.clock.advance(10_000);
  expect([setup.asked, ann.wanted, setup.wanted.size]).toEqual([[], 0, 0]);
});

test("what does not come is asked of one holder at a time, and each once", async () => {
  const [ann, bob, cid] = [link(), link(), link()];
  const setup = setUp((asked) => asked === cid);
  for (const holder of [ann, bob, ann, cid]) note(setup, 1, holder);
  await setup.clock.advance(10_000);
  expect(setup.asked).toEqual([
    [ann, [1]],
    [bob, [1]],
    [cid, [1]],
  ]);
  expect([setup.wanted.size, ann.wanted, setup.clock.pending]).toEqual([0, 0, 0]);
});

test("a message that none of its holders gives is forgotten, until it is announced again", async () => {
  const setup = setUp(() => false);
  const ann = link();
  note(setup, 1, ann);
  await setup.clock.advance(10_000);
  expect([setup.asked.length, setup.wanted.size, ann.wanted]).toEqual([1, 0, 0]);
  note(setup, 1, ann);
  await setup.clock.advance(10_000);
  expect(setup.asked).toHaveLength(2);
});

test("at most eight holders are remembered", async () => {
  const setup = setUp(() => false);
  for (let i = 0; i < 12; i++) note(setup, 1, link());
  await setup.clock.advance(10_000);
  expect(setup.asked).toHaveLength(8);
});

test("who is dropped or gone is passed over", async () => {
  const setup = setUp();
  const gone = link();
  const controller = new AbortController();
  Object.assign(gone, { peer: { signal: controller.signal } });
  const [dropped, honest] = [link(), link()];
  for (const holder of [gone, dropped, honest]) note(setup, 1, holder);
  controller.abort();
  dropped.isDropped = true;
  await setup.clock.advance(DELAY_MS);
  expect(setup.asked).toEqual([[honest, [1]]]);
});

test("many are asked for 64 at a time", async () => {
  const setup = setUp();
  const ann = link();
  for (let n = 0; n < 130; n++) note(setup, n, ann);
  await setup.clock.advance(DELAY_MS);
  expect(setup.asked.map(([, ids]) => ids.length)).toEqual([64, 64, 2]);
});

test("4,096 messages are waited for because of one peer, 8,192 because of all", async () => {
  const setup = setUp();
  const links = [link(), link(), link()];
  for (const [at, each] of links.entries()) {
    for (let n = 0; n < 5_000; n++) note(setup, at * 5_000 + n, each);
  }
  expect(links.map(({ wanted }) => wanted)).toEqual([4_096, 4_096, 0]);
  expect(setup.wanted.size).toBe(8_192);
  setup.wanted.close();
  expect([setup.wanted.size, setup.clock.pending, links[0]?.wanted]).toEqual([0, 0, 0]);
});

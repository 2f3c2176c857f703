import * as fc from "fast-check";
import { beforeEach, describe, expect, test, vi } from "vitest";

import type * as Pool from "../src/buffer-pool.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

let pool: typeof Pool;

/** The pool belongs to the module: a fresh module is an empty pool. */
beforeEach(async () => {
  vi.resetModules();
  pool = await import("../src/buffer-pool.ts");
});

/** Borrows and tells buffers apart by their memory. */
const borrow = (length: number): ArrayBufferLike => pool.borrowBuffer(length).buffer;
const giveBack = (memory: ArrayBufferLike): void => pool.returnBuffer(new Uint8Array(memory));
const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

describe("a lent buffer", () => {
  test.each([
    [0, 128 * KIB],
    [1, 128 * KIB],
    [128 * KIB, 128 * KIB],
    [128 * KIB + 1, 256 * KIB],
    [256 * KIB, 256 * KIB],
    [MIB + 1, 2 * MIB],
    [2 * MIB, 2 * MIB],
    [2 * MIB + 1, 2 * MIB + 1],
    [2 ** 24, 2 ** 24],
  ])("of %i bytes at least has %i", (asked, given) => {
    expect(pool.borrowBuffer(asked)).toHaveLength(given);
    expect(pool.LEAST_LENT_BYTES).toBe(128 * KIB);
  });

  test("is nobody else's until it is returned, and lent again then", () => {
    const first = borrow(1);
    expect(borrow(1)).not.toBe(first);
    giveBack(first);
    expect(borrow(1)).toBe(first);
    expect(borrow(1)).not.toBe(first);
  });

  test("is lent again to who needs one of its length, no other", () => {
    const small = borrow(1);
    giveBack(small);
    expect(borrow(200 * KIB)).not.toBe(small);
    expect(borrow(100 * KIB)).toBe(small);
  });

  test("comes back whole by any part of it", () => {
    const lent = pool.borrowBuffer(1);
    pool.returnBuffer(lent.subarray(1_000, 1_001));
    const again = pool.borrowBuffer(1);
    expect(again.buffer).toBe(lent.buffer);
    expect([again.byteOffset, again.length]).toEqual([0, 128 * KIB]);
  });

  test("that is returned twice goes into one hand only", () => {
    const lent = borrow(1);
    giveBack(lent);
    giveBack(lent);
    expect(times(3, () => borrow(1)).filter((memory) => memory === lent)).toHaveLength(1);
  });
});

describe("what was not lent is not taken", () => {
  test.each([
    ["of the pool's own length", () => new Uint8Array(128 * KIB)],
    ["of nothing", () => new Uint8Array(0)],
    ["in memory that is shared", () => new Uint8Array(new SharedArrayBuffer(128 * KIB))],
    ["that Node's own pool holds", () => Buffer.from("some text")],
  ])("a buffer %s", (_what, make) => {
    const foreign = make();
    pool.returnBuffer(foreign);
    for (const length of [1, 2 * MIB]) {
      expect(times(3, () => borrow(length))).not.toContain(foreign.buffer);
    }
  });
});

describe("what is kept", () => {
  test.each([
    [128 * KIB, 32],
    [512 * KIB, 8],
    [2 * MIB, 2],
  ])("of buffers of %i bytes is 4 MiB, however many come back", (length, most) => {
    const lent = times(most + 10, () => borrow(length));
    lent.forEach(giveBack);
    const again = times(most + 10, () => borrow(length));
    expect(again.filter((memory) => lent.includes(memory))).toHaveLength(most);
  });

  test("is 4 MiB of all lengths together", () => {
    const small = times(20, () => borrow(128 * KIB));
    const large = times(2, () => borrow(2 * MIB));
    [...small, ...large].forEach(giveBack);
    expect(times(20, () => borrow(1)).every((memory) => small.includes(memory))).toBe(true);
    // 2.5 MiB were taken, so that only what came first had room.
    expect(large).not.toContain(borrow(2 * MIB));
  });

  test("is not what is longer than 2 MiB, nor what there is no room for: both are freed at once", () => {
    const long = pool.borrowBuffer(2 * MIB + 1);
    pool.returnBuffer(long);
    expect(long).toHaveLength(0);
    const lent = times(3, () => pool.borrowBuffer(2 * MIB));
    lent.forEach((view) => pool.returnBuffer(view));
    expect(lent.map(({ length }) => length)).toEqual([2 * MIB, 2 * MIB, 0]);
    expect(times(3, () => borrow(2 * MIB))).not.toContain(lent[2]?.buffer);
  });

  test("has room again for what is lent out of it", () => {
    const lent = times(32, () => borrow(1));
    lent.forEach(giveBack);
    for (let round = 0; round < 100; round += 1) {
      const memory = borrow(1);
      expect(lent).toContain(memory);
      giveBack(memory);
    }
  });
});

test("no buffer is ever in two hands, and none that is kept is too short", () => {
  const step = fc.record({ length: fc.integer({ min: 0, max: 3 * MIB }), back: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const hands = new Set<ArrayBufferLike>();
      const seen: Uint8Array[] = [];
      for (const { length, back } of steps) {
        const lent = pool.borrowBuffer(length);
        expect(lent.length).toBeGreaterThanOrEqual(length);
        expect(hands).not.toContain(lent.buffer);
        hands.add(lent.buffer);
        seen.push(lent);
        // Any that was seen, in a hand or not: some come back twice.
        const returned = seen[back];
        if (returned === undefined) continue;
        pool.returnBuffer(returned);
        hands.delete(returned.buffer);
      }
      seen.forEach((lent) => pool.returnBuffer(lent));
    }),
    { numRuns: 50 },
  );
});

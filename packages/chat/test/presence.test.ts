import { VirtualClock } from "@heddle/testing";
import { describe, expect, test } from "vitest";

import { PresenceTable } from "../src/presence.ts";
import type { Sign } from "../src/presence.ts";

function tableOf(maxMembers = 10) {
  const clock = new VirtualClock();
  const lost: string[] = [];
  const expired = (room: string, id: string): void => void lost.push(`${room} ${id}`);
  const table = new PresenceTable({ clock, maxMembers, intervalMs: 10_000, expired });
  return { clock, lost, table };
}

/** The n-th sign of a member's life. */
function sign(sequence: number, changes: Partial<Sign> = {}): Sign {
  return { epoch: 1, sequence, ageMs: 0, ...changes };
}

describe("a member", () => {
  test("is new, then known, and again new to us when it was started anew", () => {
    const { table } = tableOf();
    expect(table.hear("r", "a", sign(1))).toBe("new");
    expect(table.hear("r", "a", sign(2))).toBe("known");
    expect(table.hear("r", "a", sign(1, { epoch: 2 }))).toBe("again");
    expect(table.hear("r", "a", sign(3))).toBeUndefined();
  });

  test("lasts three of its own intervals from when it spoke, not from when that came", async () => {
    const { clock, lost, table } = tableOf();
    table.hear("r", "a", sign(1, { intervalMs: 20_000, ageMs: 15_000 }));
    await clock.advance(44_999);
    expect(table.list("r")).toEqual(["a"]);
    await clock.advance(1);
    expect(lost).toEqual(["r a"]);
    expect(table.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test("keeps the interval it gave when it says something else", async () => {
    const { clock, lost, table } = tableOf();
    table.hear("r", "a", sign(1, { intervalMs: 60_000 }));
    table.hear("r", "a", sign(2));
    await clock.advance(179_999);
    expect(lost).toEqual([]);
  });

  test("lives no longer by a clock that is ahead", async () => {
    const { clock, lost, table } = tableOf();
    table.hear("r", "a", sign(1, { ageMs: -30_000 }));
    await clock.advance(30_000);
    expect(lost).toEqual(["r a"]);
  });

  test("that spoke too long ago is not here", () => {
    const { table } = tableOf();
    expect(table.hear("r", "a", sign(1, { ageMs: 30_000 }))).toBeUndefined();
    expect(table.list("r")).toEqual([]);
  });

  test("whose connection ended has one interval and five seconds left", async () => {
    const { clock, lost, table } = tableOf();
    table.hear("r", "a", sign(1));
    table.hear("r", "b", sign(1));
    await clock.advance(1_000);
    table.disconnected("a");
    await clock.advance(13_999);
    expect(lost).toEqual([]);
    await clock.advance(1);
    expect(lost).toEqual(["r a"]);
  });

  test("whose connection ended stays when it is heard over others", async () => {
    const { clock, lost, table } = tableOf();
    table.hear("r", "a", sign(1));
    table.disconnected("a");
    await clock.advance(14_000);
    expect(table.hear("r", "a", sign(2))).toBe("known");
    await clock.advance(29_999);
    expect(lost).toEqual([]);
  });
});

describe("a leave", () => {
  test("is told once, and of those that were here", () => {
    const { table } = tableOf();
    table.hear("r", "a", sign(1));
    expect(table.leave("r", "a", sign(2))).toBe(true);
    expect(table.leave("r", "a", sign(3))).toBe(false);
    expect(table.leave("r", "b", sign(1))).toBe(false);
    expect(table.count("r")).toBe(0);
  });

  test("that comes before what was said before it, counts", async () => {
    const { clock, lost, table } = tableOf();
    table.leave("r", "a", sign(3));
    expect(table.hear("r", "a", sign(2))).toBeUndefined();
    expect(table.hear("r", "a", sign(4))).toBe("new");
    table.leave("r", "a", sign(5));
    await clock.advance(30_000);
    expect([table.size, lost]).toEqual([0, []]);
  });

  test("of an earlier start says nothing of this one", () => {
    const { table } = tableOf();
    table.hear("r", "a", sign(1, { epoch: 2 }));
    expect(table.leave("r", "a", sign(9))).toBe(false);
    expect(table.list("r")).toEqual(["a"]);
  });
});

test("rooms are apart, and one is forgotten without the others", () => {
  const { clock, table } = tableOf();
  table.hear("r", "a", sign(1));
  table.hear("s", "a", sign(1));
  table.hear("s", "b", sign(1));
  expect([table.count("r"), table.count("s")]).toEqual([1, 2]);
  table.forget("s");
  expect([table.list("r"), table.list("s")]).toEqual([["a"], []]);
  table.clear();
  expect(clock.pending).toBe(0);
});

test("the table is bounded: who comes too late is not kept, until somebody goes", async () => {
  const { clock, table } = tableOf(2);
  table.hear("r", "a", sign(1));
  table.hear("r", "b", sign(1));
  expect(table.hear("r", "c", sign(1))).toBeUndefined();
  expect(table.leave("r", "d", sign(1))).toBe(false);
  expect(table.size).toBe(2);
  await clock.advance(30_000);
  expect(table.hear("r", "c", sign(2))).toBe("new");
});

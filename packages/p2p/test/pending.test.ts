import { describe, expect, test } from "vitest";

import { Scope, ScopeGroup } from "../src/deadline.ts";
import { Disconnect } from "../src/disconnect.ts";
import { PendingHandshakes } from "../src/pending.ts";
import { ManualClock } from "./manual-clock.ts";

const scope = (): Scope => new Scope(new ManualClock(), new ScopeGroup());

/** Enters the addresses in turn; says which of them lost their slots, by place. */
function evicted(max: number, addresses: readonly (string | undefined)[]): number[] {
  const pending = new PendingHandshakes(max);
  const scopes = addresses.map((address) => {
    const own = scope();
    pending.enter(address, own);
    return own;
  });
  expect(pending.size).toBe(Math.min(max, addresses.length));
  return scopes.flatMap(({ signal }, i) => (signal.aborted ? [i] : []));
}

describe("pending handshakes", () => {
  test("each have a slot as long as there are any", () => {
    expect(evicted(3, ["10.0.0.1", "10.0.0.1", "10.0.0.2"])).toEqual([]);
  });

  test.each([
    [
      "the oldest of all, when each address has one",
      ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"],
      [0],
    ],
    ["the oldest of the address that has most", ["1.1.1.1", "2.2.2.2", "2.2.2.2", "4.4.4.4"], [1]],
    [
      "the oldest among addresses that have equally many",
      ["1.1.1.1", "2.2.2.2", "2.2.2.2", "1.1.1.1", "1.1.1.1"],
      [1, 0],
    ],
    [
      "one of its own, when the newcomer's address has them all",
      ["1.1.1.1", "1.1.1.1", "1.1.1.1", "1.1.1.1"],
      [0],
    ],
    ["one of a whole IPv6 /64", ["1.1.1.1", "2001:db8::1", "2001:db8::2", "2.2.2.2"], [1]],
    ["one of those without an address", ["1.1.1.1", undefined, undefined, "2.2.2.2"], [1]],
  ])("give up %s", (_name, addresses, lost) => {
    expect(evicted(3, addresses)).toEqual([...lost].sort((a, b) => a - b));
  });

  test("leave an honest node its slot, however many one address takes", () => {
    const flood = Array.from({ length: 1_000 }, () => "6.6.6.6");
    expect(evicted(50, ["1.1.1.1", ...flood])).not.toContain(0);
  });

  test("tell the one that loses its slot: too many peers, and why", () => {
    const pending = new PendingHandshakes(1);
    const first = scope();
    pending.enter("1.1.1.1", first);
    pending.enter("2.2.2.2", scope());
    expect(first.signal.reason).toBeInstanceOf(Disconnect);
    expect(first.signal.reason).toMatchObject({ reason: 0x04 });
  });

  test("get their slots back, once, also after they lost them", () => {
    const pending = new PendingHandshakes(2);
    const leaves = ["1.1.1.1", "2.2.2.2", "3.3.3.3"].map((host) => pending.enter(host, scope()));
    expect(pending.size).toBe(2);
    leaves[0]?.();
    expect(pending.size).toBe(2);
    leaves[1]?.();
    leaves[1]?.();
    expect(pending.size).toBe(1);
    leaves[2]?.();
    expect(pending.size).toBe(0);
  });

  test("may give their slots back from within the loss", () => {
    const pending = new PendingHandshakes(1);
    const first = scope();
    const leave = pending.enter("1.1.1.1", first);
    first.signal.addEventListener("abort", () => leave());
    pending.enter("2.2.2.2", scope());
    expect(pending.size).toBe(1);
  });

  test("may be as many as the bound says, each from its own address", () => {
    const hosts = Array.from(
      { length: 200_001 },
      (_, i) => `${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.1`,
    );
    const pending = new PendingHandshakes(200_000);
    const idle = { abort: () => undefined };
    for (const host of hosts) pending.enter(host, idle);
    expect(pending.size).toBe(200_000);
  });
});

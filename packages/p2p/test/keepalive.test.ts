import { beforeEach, describe, expect, test } from "vitest";

import { TimeoutError } from "../src/errors.ts";
import { Keepalive } from "../src/keepalive.ts";
import type { KeepaliveHost } from "../src/keepalive.ts";
import { ManualClock } from "./manual-clock.ts";

const LIMITS = { pingIntervalMs: 15_000, idleTimeoutMs: 30_000 };

/** The other side, which answers, talks or keeps still as the test wants. */
class Host implements KeepaliveHost {
  readonly #clock: ManualClock;
  readonly pings: number[] = [];
  readonly idles: { at: number; error: TimeoutError }[] = [];
  isPaused = false;
  heardAt: number;

  constructor(clock: ManualClock) {
    this.#clock = clock;
    this.heardAt = clock.now();
  }

  sendPing(): void {
    this.pings.push(this.#clock.now());
  }

  lastRead(): number | undefined {
    return this.isPaused ? undefined : this.heardAt;
  }

  idle(error: TimeoutError): void {
    this.idles.push({ at: this.#clock.now(), error });
  }

  /** Lets time pass while the other side says something every second. */
  chatter(ms: number): void {
    for (let passed = 0; passed < ms; passed += 1_000) {
      this.#clock.advance(Math.min(1_000, ms - passed));
      this.heardAt = this.#clock.now();
    }
  }
}

let clock: ManualClock;
let host: Host;
let keepalive: Keepalive;

beforeEach(() => {
  clock = new ManualClock();
  host = new Host(clock);
  keepalive = new Keepalive(clock, LIMITS, host);
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** How often a promise has settled cannot be more than once; this says whether, and how. */
function outcomeOf(promise: Promise<number>): { is: string; value?: unknown } {
  const outcome: { is: string; value?: unknown } = { is: "pending" };
  promise.then(
    (value) => Object.assign(outcome, { is: "resolved", value }),
    (value: unknown) => Object.assign(outcome, { is: "rejected", value }),
  );
  return outcome;
}

describe("pinging", () => {
  test("happens every 15 s, however much the other side says", () => {
    host.chatter(60_000);
    expect(host.pings).toEqual([15_000, 30_000, 45_000, 60_000]);
  });

  test("needs one timer", () => {
    expect(clock.pending).toBe(1);
    host.chatter(20_000);
    expect(clock.pending).toBe(1);
  });

  test("keeps to five in a burst and one a second after it, however often it is asked", async () => {
    for (let i = 0; i < 8; i += 1) {
      const ping = keepalive.ping();
      if (i >= 5) clock.advance(1_000);
      keepalive.onPong();
      await ping;
    }
    expect(host.pings).toEqual([0, 0, 0, 0, 0, 1_000, 2_000, 3_000]);
  });

  test("of its own accord keeps to that limit, too", async () => {
    clock.advance(14_999);
    host.heardAt = clock.now();
    for (let i = 0; i < 5; i += 1) {
      const ping = keepalive.ping();
      keepalive.onPong();
      await ping;
    }
    host.chatter(16_000);
    const own = host.pings.slice(5);
    expect(own[0]).toBeGreaterThanOrEqual(14_999 + 1_000);
    expect(own[0]).toBeLessThanOrEqual(14_999 + 1_001);
    expect(host.pings.length).toBeGreaterThan(5);
  });

  test("goes on at one a second for whoever asks all the time, and never over the limit", async () => {
    const isRunning = { value: true };
    const asking = (async () => {
      while (isRunning.value) await keepalive.ping().catch(() => undefined);
    })();
    for (let second = 0; second < 120; second += 1) {
      clock.advance(1_000);
      host.heardAt = clock.now();
      for (let i = 0; i < 6; i += 1) {
        keepalive.onPong();
        await turn();
      }
    }
    for (const [i, at] of host.pings.entries()) {
      const before = host.pings.slice(0, i).filter((other) => at - other < 1_000).length;
      expect(before).toBeLessThan(5);
      expect(i + 1).toBeLessThanOrEqual(5 + at / 1_000);
    }
    expect(host.pings.length).toBeGreaterThan(115);
    isRunning.value = false;
    keepalive.stop(new Error("over"));
    await asking;
  });
});

describe("silence", () => {
  test("of 30 s is noticed at 30 s, once, and not a millisecond before", () => {
    clock.advance(29_999);
    expect(host.idles).toEqual([]);
    clock.advance(100_000);
    expect(host.idles.map(({ at }) => at)).toEqual([30_000]);
    expect(host.idles[0]?.error).toMatchObject({ what: "idle", ms: 30_000, reason: 0x0b });
    expect(clock.pending).toBe(0);
  });

  test("counts from the last byte, wherever it fell between two pings", () => {
    clock.advance(22_345);
    host.heardAt = clock.now();
    clock.advance(60_000);
    expect(host.idles.map(({ at }) => at)).toEqual([22_345 + 30_000]);
  });

  test("is none as long as something arrives in time", () => {
    for (let i = 0; i < 20; i += 1) {
      clock.advance(29_999);
      host.heardAt = clock.now();
    }
    expect(host.idles).toEqual([]);
  });

  test("is not held against the other side while we do not read, and pings go on", () => {
    host.isPaused = true;
    clock.advance(300_000);
    expect(host.idles).toEqual([]);
    expect(host.pings).toHaveLength(20);
    host.isPaused = false;
    host.heardAt = clock.now();
    clock.advance(29_999);
    expect(host.idles).toEqual([]);
    clock.advance(1);
    expect(host.idles).toHaveLength(1);
  });
});

describe("ping()", () => {
  test("measures the round trip", async () => {
    expect([keepalive.rttMs, keepalive.minRttMs]).toEqual([undefined, undefined]);
    const ping = keepalive.ping();
    clock.advance(42);
    keepalive.onPong();
    expect(await ping).toBe(42);
    expect([keepalive.rttMs, keepalive.minRttMs]).toEqual([42, 42]);
  });

  test("of calls that overlap is one, and calls after it are another", async () => {
    const first = keepalive.ping();
    clock.advance(10);
    const second = keepalive.ping();
    expect(host.pings).toHaveLength(1);
    keepalive.onPong();
    expect(await Promise.all([first, second])).toEqual([10, 10]);
    const third = keepalive.ping();
    expect(host.pings).toHaveLength(2);
    clock.advance(7);
    keepalive.onPong();
    expect(await third).toBe(7);
  });

  test("remembers the last and the shortest round trip", async () => {
    for (const ms of [30, 10, 20]) {
      const ping = keepalive.ping();
      clock.advance(ms);
      keepalive.onPong();
      await ping;
    }
    expect([keepalive.rttMs, keepalive.minRttMs]).toEqual([20, 10]);
  });

  test("is answered by its own pong, not by that of an earlier ping", async () => {
    clock.advance(15_000);
    host.heardAt = clock.now();
    clock.advance(100);
    const outcome = outcomeOf(keepalive.ping());
    keepalive.onPong();
    await turn();
    expect(outcome.is).toBe("pending");
    expect(keepalive.rttMs).toBe(100);
    clock.advance(5);
    keepalive.onPong();
    await turn();
    expect(outcome).toEqual({ is: "resolved", value: 5 });
  });

  test("that nobody answers rejects after 30 s, whatever else the other side says", async () => {
    clock.advance(1_000);
    host.heardAt = clock.now();
    const outcome = outcomeOf(keepalive.ping());
    host.chatter(29_999);
    await turn();
    expect(outcome.is).toBe("pending");
    host.chatter(1);
    await turn();
    expect(outcome).toMatchObject({ is: "rejected", value: { what: "ping", ms: 30_000 } });
    expect(outcome.value).toBeInstanceOf(TimeoutError);
    expect(host.idles).toEqual([]);
  });

  test("can be asked again after it was not answered", async () => {
    const outcome = outcomeOf(keepalive.ping());
    host.chatter(45_000);
    await turn();
    expect(outcome.is).toBe("rejected");
    // The pings sent of our own accord are answered first.
    const again = keepalive.ping();
    for (let i = 0; i < 5; i += 1) keepalive.onPong();
    expect(await again).toBe(0);
  });
});

test("a pong that answers nothing is ignored, and answers no later ping", async () => {
  for (let i = 0; i < 100; i += 1) keepalive.onPong();
  expect(keepalive.rttMs).toBeUndefined();
  const outcome = outcomeOf(keepalive.ping());
  await turn();
  expect(outcome.is).toBe("pending");
});

test("against a side that answers no ping, holds a bounded number of them", async () => {
  const outcome = outcomeOf(keepalive.ping());
  const eager = new Keepalive(clock, { pingIntervalMs: 1_000, idleTimeoutMs: 1_000_000 }, host);
  const shared = outcomeOf(eager.ping());
  host.chatter(17_000);
  await turn();
  expect(shared).toMatchObject({ is: "rejected", value: { what: "ping" } });
  expect(outcome.is).toBe("pending");
  eager.stop(new Error("over"));
});

describe("stopping", () => {
  const over = new Error("over");

  test("leaves no timer, sends no ping, and drops nobody any more", () => {
    void keepalive.ping();
    keepalive.stop(over);
    expect(clock.pending).toBe(0);
    clock.advance(100_000);
    expect(host.pings).toEqual([0]);
    expect(host.idles).toEqual([]);
  });

  test("rejects a ping under way, and every later one, with the error", async () => {
    const ping = keepalive.ping();
    keepalive.stop(over);
    await expect(ping).rejects.toBe(over);
    await expect(keepalive.ping()).rejects.toBe(over);
    keepalive.onPong();
    await expect(ping).rejects.toBe(over);
  });

  test("rejects a ping that was held back, and never sends it", async () => {
    for (let i = 0; i < 5; i += 1) {
      const ping = keepalive.ping();
      keepalive.onPong();
      await ping;
    }
    const held = keepalive.ping();
    expect(host.pings).toHaveLength(5);
    keepalive.stop(over);
    await expect(held).rejects.toBe(over);
    clock.advance(10_000);
    expect(host.pings).toHaveLength(5);
    expect(clock.pending).toBe(0);
  });

  test("twice is as once, and brings nothing down that nobody awaits", async () => {
    const escaped: unknown[] = [];
    const note = (error: unknown): void => void escaped.push(error);
    process.on("unhandledRejection", note);
    void keepalive.ping();
    keepalive.stop(over);
    keepalive.stop(over);
    void keepalive.ping();
    await turn();
    process.off("unhandledRejection", note);
    expect(escaped).toEqual([]);
  });

  test("from within the notice of silence leaves nothing to do", () => {
    const stopping = new Host(clock);
    const other: Keepalive = new Keepalive(clock, LIMITS, {
      sendPing: () => stopping.sendPing(),
      lastRead: () => stopping.lastRead(),
      idle: (error) => {
        stopping.idle(error);
        other.stop(error);
      },
    });
    keepalive.stop(over);
    clock.advance(200_000);
    expect(stopping.idles).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });
});

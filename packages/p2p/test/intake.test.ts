import { describe, expect, test } from "vitest";

import { MAX_MESSAGE_SIZE } from "../src/channel.ts";
import type { Channel } from "../src/channel.ts";
import type { Connection } from "../src/connection.ts";
import { Intake } from "../src/intake.ts";
import type { IntakeLimits } from "../src/intake.ts";
import { ManualClock } from "./manual-clock.ts";

const KIB = 1024;
const LIMITS: IntakeLimits = {
  inboxMessages: 100,
  inboxBytes: 64 * KIB,
  connectionBytes: 96 * KIB,
  stallTimeoutMs: 30_000,
};

/** A window of 32 KiB, of which `ungranted` bytes are read and not granted again. */
class FakeWindow {
  readonly size = 32 * KIB;
  ungranted = 0;

  used(unread: number): number {
    return unread + this.ungranted;
  }
}

/** As much of a channel as an intake looks at. */
interface FakeChannel {
  readonly label: string;
  readonly inbox: { size: number; cost: number };
  window: FakeWindow | undefined;
  stallTimer: unknown;
}

/** An intake of a connection that only notes what it is told. */
class Bench {
  readonly clock = new ManualClock();
  readonly told: string[] = [];
  readonly stalled: string[] = [];
  readonly channels: FakeChannel[];
  readonly intake: Intake;

  constructor(names: readonly string[], hasFlowControl = false, limits: IntakeLimits = LIMITS) {
    this.channels = names.map((name) => ({
      label: `${name}/1`,
      inbox: { size: 0, cost: 0 },
      window: hasFlowControl ? new FakeWindow() : undefined,
      stallTimer: undefined,
    }));
    const connection: Partial<Connection> = {
      pause: (brake) => void this.told.push(`pause ${brake}`),
      resume: (brake) => void this.told.push(`resume ${brake}`),
      glance: () => void this.told.push("glance"),
    };
    this.intake = new Intake({
      channels: this.channels as unknown as Channel[],
      connection: connection as Connection,
      clock: this.clock,
      limits,
      hasFlowControl,
      stalled: (_channel, { message }) => void this.stalled.push(message),
    });
  }

  put(index: number, cost: number): void {
    this.intake.enter(cost);
    const { inbox } = this.#at(index);
    inbox.size += 1;
    inbox.cost += cost;
    this.intake.queued(this.#at(index) as unknown as Channel);
  }

  take(index: number, cost: number): void {
    const { inbox } = this.#at(index);
    inbox.size -= 1;
    inbox.cost -= cost;
    this.intake.taken(this.#at(index) as unknown as Channel, cost);
  }

  #at(index: number): FakeChannel {
    const channel = this.channels[index];
    if (channel === undefined) throw new Error("no such channel");
    return channel;
  }
}

describe("a stream without flow control", () => {
  test("is stopped by a full inbox and goes on when that is half empty", () => {
    const bench = new Bench(["a", "b"]);
    for (let i = 0; i < 7; i += 1) bench.put(0, 9 * KIB);
    expect(bench.told).toEqual([]);
    bench.put(0, 9 * KIB);
    expect(bench.told).toEqual(["pause inbox"]);
    for (let i = 0; i < 4; i += 1) bench.take(0, 9 * KIB);
    expect(bench.told).toEqual(["pause inbox"]);
    bench.take(0, 9 * KIB);
    expect(bench.told).toEqual(["pause inbox", "resume inbox"]);
    expect(bench.clock.pending).toBe(0);
  });

  test("is stopped by as many messages as an inbox may hold, however small", () => {
    const bench = new Bench(["a"]);
    for (let i = 0; i < 100; i += 1) bench.put(0, 1);
    expect(bench.told).toEqual(["pause inbox"]);
    for (let i = 0; i < 50; i += 1) bench.take(0, 1);
    expect(bench.told).toEqual(["pause inbox", "resume inbox"]);
  });

  test("is stopped by all inboxes together, though none is full", () => {
    const bench = new Bench(["a", "b", "c"]);
    for (const index of [0, 1, 2]) bench.put(index, 32 * KIB);
    expect(bench.told).toEqual(["pause inbox"]);
    bench.take(0, 32 * KIB);
    expect(bench.told).toEqual(["pause inbox"]);
    bench.take(1, 32 * KIB);
    expect(bench.told).toEqual(["pause inbox", "resume inbox"]);
    expect([bench.intake.cost, bench.clock.pending]).toEqual([32 * KIB, 0]);
  });
});

describe("a stopped stream", () => {
  test("is looked at once in two seconds, for as long as inboxes are a quarter over at most", () => {
    const bench = new Bench(["a"]);
    bench.put(0, 64 * KIB);
    bench.clock.advance(1_999);
    expect(bench.told).toEqual(["pause inbox"]);
    bench.clock.advance(1);
    expect(bench.told).toEqual(["pause inbox", "glance"]);
    bench.put(0, 16 * KIB - 1);
    bench.clock.advance(4_000);
    expect(bench.told).toEqual(["pause inbox", "glance", "glance", "glance"]);
    bench.put(0, 1);
    bench.clock.advance(20_000);
    expect(bench.told).toHaveLength(4);
    bench.take(0, 16 * KIB);
    bench.clock.advance(2_000);
    expect(bench.told).toHaveLength(5);
  });

  test("is not looked at beyond a quarter more messages, nor a quarter over the connection's bound", () => {
    const many = new Bench(["a"]);
    for (let i = 0; i < 125; i += 1) many.put(0, 1);
    const large = new Bench(["a", "b", "c"]);
    for (const index of [0, 1, 2]) large.put(index, 40 * KIB);
    for (const { clock, told } of [many, large]) {
      clock.advance(10_000);
      expect(told).toEqual(["pause inbox"]);
    }
  });
});

describe("the protocol that is dropped for not reading", () => {
  test("is the one whose inbox stays full and of which nothing is taken", () => {
    const bench = new Bench(["lazy", "busy"]);
    bench.put(1, 1);
    bench.put(0, 64 * KIB);
    bench.clock.advance(29_999);
    bench.take(1, 1);
    expect(bench.stalled).toEqual([]);
    bench.clock.advance(1);
    expect(bench.stalled).toEqual([expect.stringContaining("lazy/1 inbox (1 messages not read)")]);
  });

  test("is also one that takes a message, and then no more while the stream still stands", () => {
    const bench = new Bench(["lazy"]);
    for (let i = 0; i < 64; i += 1) bench.put(0, KIB);
    bench.clock.advance(29_999);
    bench.take(0, KIB);
    bench.clock.advance(29_999);
    expect(bench.stalled).toEqual([]);
    bench.clock.advance(1);
    expect(bench.stalled).toHaveLength(1);
  });

  test("is any that takes nothing, where only all inboxes together are full", () => {
    const bench = new Bench(["lazy", "slow", "lazy too"]);
    for (const index of [0, 1, 2]) {
      bench.put(index, 16 * KIB);
      bench.put(index, 16 * KIB);
    }
    bench.clock.advance(20_000);
    bench.take(1, 16 * KIB);
    bench.clock.advance(10_000);
    expect(bench.stalled.map((message) => message.split("/")[0])).toEqual([
      expect.stringContaining("lazy"),
      expect.stringContaining("lazy too"),
    ]);
  });

  test("is none when the stream goes on in time, nor when the connection is closed", () => {
    const bench = new Bench(["a", "b"]);
    bench.put(0, 64 * KIB);
    bench.take(0, 64 * KIB);
    expect(bench.clock.pending).toBe(0);
    bench.put(0, 64 * KIB);
    bench.intake.close();
    expect(bench.clock.pending).toBe(0);
    bench.take(0, 64 * KIB);
    expect(bench.told).toEqual(["pause inbox", "resume inbox", "pause inbox"]);
  });
});

describe("with flow control", () => {
  test("a full inbox stops nobody but its own sender, and is watched from its window's end on", () => {
    const bench = new Bench(["a", "b"], true);
    bench.put(0, 32 * KIB - 1);
    expect(bench.clock.pending).toBe(0);
    bench.put(0, 1);
    expect([bench.told, bench.clock.pending]).toEqual([[], 1]);
    bench.clock.advance(30_000);
    expect(bench.stalled).toEqual([expect.stringContaining("a/1")]);
  });

  test("what was taken and not granted yet counts as used", () => {
    const bench = new Bench(["a"], true);
    for (const { window } of bench.channels) if (window !== undefined) window.ungranted = 16 * KIB;
    bench.put(0, 16 * KIB);
    expect(bench.clock.pending).toBe(1);
  });

  test("all inboxes together stop the stream only when each has used its window, and one a message more", () => {
    const limits = { ...LIMITS, inboxBytes: 2 ** 30 };
    const bench = new Bench(["a", "b"], true, limits);
    bench.put(0, 96 * KIB);
    expect(bench.told).toEqual([]);
    bench.put(1, MAX_MESSAGE_SIZE);
    expect(bench.told).toEqual(["pause inbox"]);
    bench.take(1, MAX_MESSAGE_SIZE);
    expect(bench.told).toEqual(["pause inbox", "resume inbox"]);
  });
});

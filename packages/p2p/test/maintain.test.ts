import { describe, expect, test } from "vitest";

import { Backoff } from "../src/backoff.ts";
import { Maintainer } from "../src/maintain.ts";
import type { LivePeer } from "../src/peer.ts";
import { createServer, defer, keyOf, ManualClock, settle, watchEscapes } from "./harness.ts";
import type { Deferred } from "./harness.ts";
import { formatEnode, nodeIdOf } from "@heddle/identity";

const node = { id: nodeIdOf(keyOf(2)), host: "10.0.0.2", tcpPort: 1, udpPort: 1 };

/** A dial the maintainer made, for the test to settle. */
interface Attempt {
  readonly at: number;
  readonly signal: AbortSignal;
  readonly outcome: Deferred<LivePeer>;
}

/** A maintainer whose waits are 500, 1,000, 2,000 … up to 4,000 ms. */
function setUp() {
  const clock = new ManualClock();
  const start = clock.now();
  const attempts: Attempt[] = [];
  const maintainer = new Maintainer({
    node,
    clock,
    backoff: new Backoff({ minMs: 1_000, maxMs: 8_000, random: () => 0 }),
    lastingMs: 60_000,
    dial: (_node, signal) => {
      const outcome = defer<LivePeer>();
      attempts.push({ at: clock.now() - start, signal, outcome });
      return outcome.promise;
    },
  });
  const last = (): Attempt => {
    const attempt = attempts.at(-1);
    if (attempt === undefined) throw new Error("nothing was dialed");
    return attempt;
  };
  const fail = async (): Promise<void> => {
    last().outcome.reject(new Error(`failed at ${clock.now() - start}`));
    await settle();
  };
  /** Lets the dial succeed; returns the means to end the session. */
  const connect = async (): Promise<(error: Error) => Promise<void>> => {
    const closed = defer();
    const peer = { closed: () => closed.promise, ended: undefined as unknown };
    last().outcome.resolve(peer as Partial<LivePeer> as LivePeer);
    await settle();
    return async (error) => {
      peer.ended = error;
      closed.resolve();
      await settle();
    };
  };
  return { clock, maintainer, attempts, fail, connect, last };
}

describe("attempt by attempt", () => {
  test("the first is made at once, the others after waits that double up to the longest", async () => {
    const { clock, maintainer, attempts, fail } = setUp();
    expect([maintainer.status, maintainer.attempts, attempts]).toEqual(["waiting", 0, []]);
    maintainer.start();
    for (const wait of [500, 1_000, 2_000, 4_000, 4_000]) {
      expect([maintainer.status, maintainer.nextAttempt]).toEqual(["dialing", undefined]);
      await fail();
      expect([maintainer.status, maintainer.nextAttempt]).toEqual([
        "waiting",
        clock.wallNow() + wait,
      ]);
      await clock.advance(wait - 1);
      expect(maintainer.status).toBe("waiting");
      await clock.advance(1);
    }
    expect(attempts.map(({ at }) => at)).toEqual([0, 500, 1_500, 3_500, 7_500, 11_500]);
    expect(maintainer.attempts).toBe(6);
    expect(maintainer.lastError).toMatchObject({ message: "failed at 7500" });
    maintainer.stop();
    expect(clock.pending).toBe(0);
  });

  test("while it is connected nothing is due", async () => {
    const { clock, maintainer, connect } = setUp();
    maintainer.start();
    await connect();
    expect([maintainer.status, maintainer.nextAttempt, clock.pending]).toEqual([
      "connected",
      undefined,
      0,
    ]);
  });

  test("after a session that lasted the waits start anew, after a short one they go on growing", async () => {
    const { clock, maintainer, attempts, connect } = setUp();
    maintainer.start();
    for (const [sessionMs, wait, made] of [
      [10, 500, 1],
      [59_999, 1_000, 2],
      [60_000, 500, 0],
      [0, 1_000, 1],
    ] as const) {
      const end = await connect();
      await clock.advance(sessionMs);
      const error = new Error(`over after ${sessionMs}`);
      await end(error);
      expect(maintainer.lastError).toBe(error);
      expect(maintainer.nextAttempt).toBe(clock.wallNow() + wait);
      expect(maintainer.attempts).toBe(made);
      await clock.advance(wait);
    }
    expect(attempts).toHaveLength(5);
  });
});

describe("retryNow()", () => {
  test("dials at once instead of waiting, and once", async () => {
    const { clock, maintainer, attempts, fail } = setUp();
    maintainer.start();
    await fail();
    maintainer.retryNow();
    maintainer.retryNow();
    expect([attempts.length, maintainer.status, clock.pending]).toEqual([2, "dialing", 0]);
    await clock.advance(10_000);
    expect(attempts).toHaveLength(2);
  });

  test("does nothing unless it waits: not before the start, connected or stopped", async () => {
    const { maintainer, attempts, connect } = setUp();
    maintainer.retryNow();
    expect(attempts).toHaveLength(0);
    maintainer.start();
    await connect();
    maintainer.retryNow();
    maintainer.stop();
    maintainer.retryNow();
    expect(attempts).toHaveLength(1);
  });
});

describe("stop()", () => {
  test("ends a wait", async () => {
    const { clock, maintainer, attempts, fail } = setUp();
    maintainer.start();
    await fail();
    maintainer.stop();
    expect([maintainer.status, maintainer.nextAttempt, clock.pending]).toEqual([
      "stopped",
      undefined,
      0,
    ]);
    maintainer.start();
    expect(attempts).toHaveLength(1);
  });

  test("ends a dial that is under way, and makes none after it", async () => {
    const escaped = watchEscapes();
    const { clock, maintainer, last, fail, attempts } = setUp();
    maintainer.start();
    maintainer.stop();
    expect(last().signal.reason).toMatchObject({ reason: 0x00 });
    await fail();
    expect([maintainer.status, clock.pending, attempts.length]).toEqual(["stopped", 0, 1]);
    expect(escaped).toEqual([]);
  });

  test("leaves a connection alone, and does not come back to it when it ends", async () => {
    const { clock, maintainer, connect, attempts } = setUp();
    maintainer.start();
    const end = await connect();
    maintainer.stop();
    await end(new Error("over"));
    expect([maintainer.status, clock.pending, attempts.length]).toEqual(["stopped", 0, 1]);
  });

  test("is told once, however often it is called", () => {
    let told = 0;
    const maintainer = new Maintainer({
      node,
      clock: new ManualClock(),
      backoff: new Backoff({ minMs: 1, maxMs: 1, random: () => 0 }),
      lastingMs: 1,
      dial: () => new Promise(() => undefined),
      onStop: () => (told += 1),
    });
    maintainer.stop();
    maintainer.stop();
    expect(told).toBe(1);
  });

  test("also counts for a dial that succeeds all the same", async () => {
    const { maintainer, connect } = setUp();
    maintainer.start();
    maintainer.stop();
    await connect();
    expect(maintainer.status).toBe("stopped");
  });
});

describe("a server", () => {
  const transport = {
    name: "deaf",
    listen: () => Promise.reject(new Error("deaf")),
    dial: () => Promise.reject(new Error("deaf")),
  };

  test("maintains from its start to its stop, and a node once", async () => {
    const clock = new ManualClock();
    const server = createServer({ clock, transport });
    const kept = server.maintain(node);
    kept.retryNow();
    expect([kept.status, kept.attempts, clock.pending]).toEqual(["waiting", 0, 0]);
    expect(server.maintain(formatEnode(node))).toBe(kept);
    await server.start();
    await settle();
    expect([kept.status, kept.attempts]).toEqual(["waiting", 1]);
    expect(kept.lastError).toMatchObject({ name: "DialError", phase: "dial" });
    await server.stop();
    expect([kept.status, clock.pending]).toEqual(["stopped", 0]);
    const again = server.maintain(node);
    expect(again).not.toBe(kept);
    again.stop();
    expect(server.maintain(node)).not.toBe(again);
  });
});

import { describe, expect, test } from "vitest";

import { collectMetrics, DisconnectedError, renderOpenMetrics, Server } from "../src/index.ts";
import type { Message, Protocol } from "../src/index.ts";
import {
  allEvents,
  connectPair,
  connectScripted,
  createServer,
  defer,
  idle,
  keyOf,
  ManualClock,
  networks,
  nextEvent,
  rejection,
  Scripted,
  settle,
  startServer,
  turn,
  until,
  watchEscapes,
  within,
} from "./harness.ts";

/** A protocol whose run pays no heed to its signal. */
function stubborn(until_: Promise<void>): Protocol {
  return { name: "stubborn", version: 1, length: 1, run: () => until_ };
}

describe("stop()", () => {
  test("ends within the grace period beside a run that never returns, and names it", async () => {
    const clock = new ManualClock();
    const freed = defer();
    const { near, far } = await connectPair(
      { protocols: [stubborn(freed.promise)], clock, limits: { graceMs: 5_000 } },
      { protocols: [idle("stubborn")] },
    );
    const detached = allEvents(near, "protocol:detached");
    const drop = nextEvent(far, "peer:drop");
    let isStopped = false;
    const stopped = near.stop().then(() => (isStopped = true));
    expect((await within("the far side's drop", drop)).error).toMatchObject({
      reason: 0x08,
      by: "remote",
    });
    await clock.advance(4_999);
    expect(isStopped).toBe(false);
    await clock.advance(1);
    await within("the stop", stopped);
    expect(detached).toMatchObject([{ protocol: "stubborn/1" }]);
    expect(near.counters.detached).toEqual({ "stubborn/1": 1 });
    expect(near.peers).toEqual([]);
    expect(clock.pending).toBe(0);
    freed.resolve();
  });

  test("says 0x08 to every peer and lets runs finish what they do", async () => {
    const { near, far, nearRun, farRun } = await connectScripted();
    nearRun.lingers = true;
    const drops = Promise.all([nextEvent(near, "peer:drop"), nextEvent(far, "peer:drop")]);
    const end = rejection(farRun.rw.read());
    const stopped = near.stop();
    expect(await end).toMatchObject({ reason: 0x08, by: "remote" });
    await drops;
    nearRun.done.resolve();
    await within("the stop", stopped);
    expect(near.isRunning).toBe(false);
    expect(near.address).toBeUndefined();
  });

  test("may be called twice, and before start", async () => {
    const server = createServer();
    await server.stop();
    await server.start();
    await Promise.all([server.stop(), server.stop()]);
    expect(server.isRunning).toBe(false);
  });

  test("while the server is still starting leaves no listener behind", async () => {
    const { memory } = networks();
    const server = createServer(memory("127.0.0.1"));
    const starting = server.start();
    const { transport } = server.config;
    await server.stop();
    await starting;
    expect(server.isRunning).toBe(false);
    expect(server.address).toBeUndefined();
    // Its first port is free again, or it could not be listened on.
    const listener = await transport.listen({ host: "127.0.0.1", port: 50_001 }, () => undefined);
    await listener.close();
  });
});

describe("start()", () => {
  test("works again after stop, on both nets", async () => {
    for (const net of ["tcp", "memory"] as const) {
      const on = networks()[net];
      const far = await startServer({ ...on("127.0.0.2"), protocols: [idle()] });
      const near = await startServer({ ...on("127.0.0.1"), protocols: [idle()] });
      for (let round = 0; round < 3; round += 1) {
        const peer = await within("a dial", near.dial(far.enode));
        expect(near.peers).toEqual([peer]);
        await until("both know each other", () => far.peers.length === 1);
        await far.stop();
        await until("the peer is gone", () => near.peers.length === 0);
        await far.start();
      }
      expect(far.counters.serves.succeeded).toBe(3);
    }
  });

  test("of a running server is an error, also while it is starting", async () => {
    const server = await startServer();
    expect(await rejection(server.start())).toBeInstanceOf(TypeError);
    const other = createServer(networks().memory("127.0.0.1"));
    const [first, second] = await Promise.allSettled([other.start(), other.start()]);
    expect([first.status, second.status].toSorted()).toEqual(["fulfilled", "rejected"]);
    const third = startServer();
    void (await third).stop();
    const restarts = await Promise.allSettled([(await third).start(), (await third).start()]);
    expect(restarts.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  });

  test("rejects when the address is taken, and may be tried again", async () => {
    const one = await startServer({ listen: "127.0.0.1:0" });
    const listen = `127.0.0.1:${one.address?.port}`;
    const other = createServer({ listen });
    expect(await rejection(other.start())).toMatchObject({ code: "EADDRINUSE" });
    expect(other.isRunning).toBe(false);
    await one.stop();
    await other.start();
    expect(other.isRunning).toBe(true);
  });
});

test("await using stops the server", async () => {
  let kept: Server;
  {
    await using server = new Server({ key: keyOf(7), clientId: "test/1", listen: "127.0.0.1:0" });
    await server.start();
    kept = server;
    expect(kept.isRunning).toBe(true);
  }
  expect(kept.isRunning).toBe(false);
});

/** What keeps the process alive, without what the test runner itself holds. */
function handles(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => /TCP|Timeout|Immediate/.test(name))
    .toSorted();
}

test("stopped TCP servers leave no socket, timer or listener behind", async () => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): void => void warnings.push(name);
  process.on("warning", onWarning);
  const before = handles().filter((name) => name.startsWith("TCP"));
  const listen = "127.0.0.1:0";
  for (let round = 0; round < 5; round += 1) {
    const hub = createServer({ listen, protocols: [idle()] });
    await hub.start();
    const spokes = Array.from({ length: 5 }, () => createServer({ protocols: [idle()] }));
    await Promise.all(
      spokes.map(async (spoke) => {
        await spoke.start();
        await within("a dial", spoke.dial(hub.enode));
      }),
    );
    const refused = createServer({ protocols: [idle("other")] });
    await refused.start();
    await rejection(refused.dial(hub.enode));
    await Promise.all([hub, refused, ...spokes].map((server) => server.stop()));
  }
  await until("no socket is left", () => {
    return handles().filter((name) => name.startsWith("TCP")).length <= before.length;
  });
  process.off("warning", onWarning);
  expect(warnings).toEqual([]);
});

test("a stopped server has no timer left on its clock", async () => {
  const clock = new ManualClock();
  const { near, far, nearPeer } = await connectPair({ protocols: [idle()], clock });
  void nearPeer.ping();
  await settle();
  await Promise.all([near.stop(), far.stop()]);
  expect(clock.pending).toBe(0);
});

/** Every way of waiting on a connection, each of which must settle exactly once. */
function waitEveryWay(rw: Parameters<Protocol["run"]>[1], peer: Parameters<Protocol["run"]>[0]) {
  const seen: { settled: number }[] = [];
  const watch = (promise: Promise<unknown>): Promise<unknown> => {
    const entry = { settled: 0 };
    seen.push(entry);
    const note = (): void => void (entry.settled += 1);
    return promise.then(note, (error: unknown) => {
      note();
      if (!(error instanceof DisconnectedError)) throw error;
    });
  };
  const all = [
    watch(rw.read()),
    watch(rw.read({ timeoutMs: 60_000 })),
    watch(rw.read({ signal: peer.signal }).then((message: Message) => message.size)),
    watch(rw.sendEncoded(0, new Uint8Array(10_000))),
    watch(rw.sendItems(1, "x")),
    watch(peer.ping()),
    watch(peer.protocol({ name: "test" })),
  ];
  return { settled: within("every waiter settles", Promise.all(all)), seen };
}

test("1,000 rounds of close, read, write and disconnect from both sides: every waiter settles once", async () => {
  const escaped = watchEscapes();
  const on = networks().memory;
  const protocols = { near: new Scripted(), far: new Scripted() };
  const limits = { highWaterMark: 5_000 };
  const far = await startServer({ ...on("127.0.0.2"), protocols: [protocols.far], limits });
  const near = await startServer({ ...on("127.0.0.1"), protocols: [protocols.near], limits });
  const drops = { near: allEvents(near, "peer:drop"), far: allEvents(far, "peer:drop") };
  let state = 12_345;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 1; round <= 1_000; round += 1) {
    const peer = await within("a dial", near.dial(far.enode));
    const runs = [await protocols.near.next(), await protocols.far.next()];
    const waits = runs.map(({ rw, peer: at }) => waitEveryWay(rw, at));
    for (const run of runs) {
      const ways = [
        () => void run.peer.disconnect(),
        () => run.done.resolve(),
        () => run.done.reject(new Error("boom")),
        () => undefined,
      ];
      for (let turns = random(4); turns > 0; turns -= 1) await turn();
      ways[random(ways.length)]?.();
    }
    void peer.disconnect();
    for (const { settled, seen } of waits) {
      await settled;
      expect(seen.every((entry) => entry.settled === 1)).toBe(true);
    }
    await until("both ends are gone", () => near.peers.length + far.peers.length === 0);
    expect([drops.near.length, drops.far.length]).toEqual([round, round]);
  }
  expect(escaped).toEqual([]);
}, 60_000);

test("the metrics of a live server are OpenMetrics text with its values", async () => {
  const { far, nearRun, farRun, nearPeer } = await connectScripted();
  await nearRun.rw.sendEncoded(2, new Uint8Array(100));
  await within("a message", farRun.rw.read());
  const text = renderOpenMetrics(collectMetrics(far));
  const lines = text.split("\n");
  expect(lines).toContain('heddle_peers{direction="inbound"} 1');
  expect(lines).toContain('heddle_peers{direction="dialed"} 0');
  expect(lines).toContain('heddle_serves_total{outcome="succeeded",phase="session"} 1');
  const received = lines.filter((line) => line.includes('protocol="test/1",direction="in"'));
  expect(received).toEqual([
    expect.stringMatching(/^heddle_messages_total\{.*\} 1$/),
    expect.stringMatching(/^heddle_message_bytes_total\{.*\} 100$/),
  ]);
  expect(text.endsWith("# EOF\n")).toBe(true);
  const dropped = nextEvent(far, "peer:drop");
  await nearPeer.disconnect(0x03);
  await within("the drop", dropped);
  expect(renderOpenMetrics(collectMetrics(far)).split("\n")).toContain(
    'heddle_disconnects_total{side="remote",reason="useless peer (0x03)"} 1',
  );
});

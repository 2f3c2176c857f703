import { getEventListeners } from "node:events";

import { describe, expect, test } from "vitest";

import { nodeIdOf, toHex } from "@heddle/identity";
import type { Enode } from "@heddle/identity";

import {
  collectMetrics,
  DisconnectedError,
  MemoryNetwork,
  renderOpenMetrics,
  Server,
  silentLogger,
  systemClock,
  tcpTransport,
} from "../src/index.ts";
import type {
  ByteStream,
  Clock,
  Message,
  Protocol,
  ServerOptions,
  StreamAddress,
  Transport,
} from "../src/index.ts";
import { discard } from "../src/stream.ts";
import {
  allEvents,
  connectPair,
  connectScripted,
  createServer,
  defer,
  dialRaw,
  idle,
  keyOf,
  ManualClock,
  networks,
  nextEvent,
  RawPeer,
  rejection,
  Scripted,
  settle,
  startServer,
  turn,
  until,
  watchEscapes,
  within,
} from "./harness.ts";
import type { Run } from "./harness.ts";

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

/** A server's dial of a node made by hand, which shakes hands and then says what the test wants. */
async function dialByHand(
  options: Partial<ServerOptions> = {},
): Promise<{ server: Server; raw: RawPeer; outcome: Promise<Error> }> {
  const network = new MemoryNetwork();
  const accepted = defer<RawPeer>();
  const host = "10.0.0.9";
  const { address } = await network
    .transport(host)
    .listen({ host, port: 0 }, (stream) => accepted.resolve(new RawPeer(stream, keyOf(901))));
  const transport = network.transport("10.0.0.1");
  const server = await startServer({ transport, protocols: [idle()], ...options });
  const id = nodeIdOf(keyOf(901));
  const outcome = rejection(server.dial({ id, host, tcpPort: address.port, udpPort: 0 }));
  return { server, raw: await within("a dial", accepted.promise), outcome };
}

/** How many sockets, listening ones too, the process holds; one that is closed counts for a turn or two more. */
async function sockets(): Promise<number> {
  await settle(5);
  return process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length;
}

/** A node of this key where something listens. */
function enodeAt(key: Uint8Array, { address }: { address: StreamAddress | undefined }): Enode {
  const { host, port } = address ?? { host: "127.0.0.1", port: 0 };
  return { id: nodeIdOf(key), host, tcpPort: port, udpPort: port };
}

/** Accepts TCP connections and says nothing. */
async function listenSilently() {
  const accepted: ByteStream[] = [];
  const address = { host: "127.0.0.1", port: 0 };
  const listener = await tcpTransport.listen(address, (stream) => accepted.push(stream));
  const close = async (): Promise<void> => {
    await Promise.all([listener.close(), ...accepted.map(discard)]);
  };
  return { address: listener.address, accepted, close };
}

describe("stop() waits for what it opened", () => {
  const limits = { drainTimeoutMs: 2_000, graceMs: 5_000 };

  test("a dialed connection that failed in Hello, until it has drained", async () => {
    const clock = new ManualClock();
    const { server, raw, outcome } = await dialByHand({ clock, limits });
    await raw.respond();
    // It does not end its side, so that the connection has to be cut.
    raw.lingers = true;
    raw.sendHello({ capabilities: [] });
    expect(await outcome).toMatchObject({ phase: "hello", reason: 0x03 });
    let isStopped = false;
    const stopped = server.stop().then(() => (isStopped = true));
    await clock.advance(1_999);
    expect([isStopped, raw.isClosed]).toEqual([false, false]);
    await clock.advance(1);
    await within("the stop", stopped);
    expect(raw.isClosed).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test("a connection that is refused after its Hello", async () => {
    const clock = new ManualClock();
    const { memory } = networks();
    const server = await startServer({ ...memory("127.0.0.2"), clock, limits, maxPeers: 0 });
    const raw = await dialRaw(server, keyOf(900));
    raw.lingers = true;
    await raw.initiate(server.id);
    expect(await raw.readDisconnect()).toBe(0x04);
    let isStopped = false;
    const stopped = server.stop().then(() => (isStopped = true));
    await clock.advance(1_999);
    expect(isStopped).toBe(false);
    await clock.advance(1);
    await within("the stop", stopped);
    expect(clock.pending).toBe(0);
  });

  test("a dial in the middle of its handshake", async () => {
    const { server, raw, outcome } = await dialByHand();
    await within("the stop", server.stop());
    expect(await outcome).toMatchObject({ phase: "handshake", reason: 0x08 });
    await raw.over();
  });

  test("runs that ignore their signal share one grace period, companions last", async () => {
    const clock = new ManualClock();
    const freed = defer();
    const stuck = (name: string): Protocol => ({ ...idle(name), run: () => freed.promise });
    const protocols = [stuck("base"), { ...stuck("top"), requires: [{ name: "base" }] }];
    const { near } = await connectPair(
      { protocols, clock, limits },
      { protocols: [idle("base"), idle("top")] },
    );
    const detached = allEvents(near, "protocol:detached");
    let isStopped = false;
    const stopped = near.stop().then(() => (isStopped = true));
    await clock.advance(2_500);
    expect(detached.map(({ protocol }) => protocol)).toEqual(["top/1"]);
    await clock.advance(2_499);
    expect(isStopped).toBe(false);
    await clock.advance(1);
    await within("the stop", stopped);
    expect(detached.map(({ protocol }) => protocol)).toEqual(["top/1", "base/1"]);
    freed.resolve();
  });

  test("but not for ever for a transport that never closes", async () => {
    const clock = new ManualClock();
    const errors: string[] = [];
    const logger = { ...silentLogger, error: (message: string) => void errors.push(message) };
    const transport: Transport = {
      name: "deaf",
      dial: () => Promise.reject(new Error("deaf")),
      listen: async (address) => ({ address, close: () => new Promise(() => undefined) }),
    };
    const server = await startServer({ listen: ":1", clock, limits, logger, transport });
    let isStopped = false;
    const stopped = server.stop().then(() => (isStopped = true));
    await clock.advance(8_999);
    expect(isStopped).toBe(false);
    await clock.advance(1);
    await within("the stop", stopped);
    expect(errors).toEqual(["stopped without waiting any longer for what the transport opened"]);
    expect(clock.pending).toBe(0);
  });

  test("whatever state TCP connections are in, so that not a handle is left when it resolves", async () => {
    const before = await sockets();
    const hub = await startServer({ listen: "127.0.0.1:0", protocols: [idle()] });
    const peer = await startServer({ protocols: [idle()] });
    await peer.dial(hub.enode);
    const useless = await startServer({ protocols: [idle("other")] });
    await rejection(useless.dial(hub.enode));
    const stranger = await startServer({ protocols: [idle()] });
    const wrongKey = enodeAt(keyOf(77), hub);
    const failed = rejection(stranger.dial(wrongKey));
    const silent = await listenSilently();
    const unanswered = rejection(peer.dial(enodeAt(keyOf(78), silent)));
    await until("the silent side is dialed", () => silent.accepted.length === 1);
    const connecting = rejection(peer.dial(enodeAt(keyOf(79), silent)));
    await turn();
    await within("the stops", Promise.all([peer, useless, stranger].map((one) => one.stop())));
    await Promise.all([failed, unanswered, connecting]);
    await hub.stop();
    await silent.close();
    expect(await sockets()).toBe(before);
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

  test("that fails leaves nothing alive that had begun meanwhile", async () => {
    const clock = new ManualClock();
    const network = new MemoryNetwork();
    const far = await startServer({
      listen: "127.0.0.2:0",
      transport: network.transport("127.0.0.2"),
      protocols: [idle()],
    });
    const listening = defer<never>();
    const transport = { ...network.transport("127.0.0.1"), listen: () => listening.promise };
    const server = createServer({ listen: ":1", transport, clock, protocols: [idle()] });
    const started = rejection(server.start());
    const peer = await within("a dial", server.dial(far.enode));
    const maintained = server.maintain(`enode://${toHex(nodeIdOf(keyOf(77)))}@127.0.0.9:1`);
    listening.reject(new Error("taken"));
    expect((await started).message).toBe("taken");
    expect(peer.signal.reason).toMatchObject({ reason: 0x08, by: "local" });
    expect([server.peers, server.isRunning, maintained.status]).toEqual([[], false, "stopped"]);
    await until("the far side hears of it", () => far.peers.length === 0);
    expect(clock.pending).toBe(0);
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

test("stopped TCP servers leave no socket, timer or listener behind", async () => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): void => void warnings.push(name);
  process.on("warning", onWarning);
  const before = await sockets();
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
  expect(await sockets()).toBe(before);
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

/** Real time that knows its timers. */
class CountingClock implements Clock {
  readonly #timers = new Set<unknown>();

  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return systemClock.now();
  }

  wallNow(): number {
    return systemClock.wallNow();
  }

  setTimeout(task: () => void, ms: number): unknown {
    const handle = systemClock.setTimeout(() => {
      this.#timers.delete(handle);
      task();
    }, ms);
    this.#timers.add(handle);
    return handle;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle);
    systemClock.clearTimeout(handle);
  }
}

/** One way or another of ending a run, or none. */
function end(run: Run, way: number): void {
  if (way === 0) void run.peer.disconnect();
  if (way === 1) run.done.resolve();
  if (way === 2) run.done.reject(new Error("boom"));
}

describe("close, read, write and disconnect from both sides, at any moment", () => {
  test.each([
    ["memory", 1_000],
    ["tcp", 300],
  ] as const)(
    "over %s, %i times: every waiter settles once, and no handle, timer or listener is left",
    async (net, rounds) => {
      const escaped = watchEscapes();
      const before = await sockets();
      const clock = new CountingClock();
      const on = networks()[net];
      const protocols = { near: new Scripted(), far: new Scripted() };
      const options = { clock, limits: { highWaterMark: 5_000 } };
      const far = await startServer({ ...on("127.0.0.2"), protocols: [protocols.far], ...options });
      const near = await startServer({
        ...on("127.0.0.1"),
        protocols: [protocols.near],
        ...options,
      });
      const drops = { near: allEvents(near, "peer:drop"), far: allEvents(far, "peer:drop") };
      let listeners = 0;
      let state = 12_345;
      const random = (below: number): number => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return Math.floor((state / 2 ** 32) * below);
      };
      for (let round = 1; round <= rounds; round += 1) {
        const peer = await within("a dial", near.dial(far.enode));
        const runs = [await protocols.near.next(), await protocols.far.next()];
        const waits = runs.map(({ rw, peer: at }) => waitEveryWay(rw, at));
        for (const run of runs) {
          for (let turns = random(4); turns > 0; turns -= 1) await turn();
          end(run, random(4));
        }
        void peer.disconnect();
        for (const { settled, seen } of waits) {
          await settled;
          expect(seen.every((entry) => entry.settled === 1)).toBe(true);
        }
        await until("both ends are gone", () => near.peers.length + far.peers.length === 0);
        expect([drops.near.length, drops.far.length]).toEqual([round, round]);
        // Whoever waited for more than the end has let go of the signal.
        for (const run of runs) listeners += getEventListeners(run.peer.signal, "abort").length;
      }
      await Promise.all([near.stop(), far.stop()]);
      expect(clock.pending).toBe(0);
      expect(await sockets()).toBe(before);
      expect(listeners).toBe(0);
      expect(escaped).toEqual([]);
    },
    120_000,
  );
});

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

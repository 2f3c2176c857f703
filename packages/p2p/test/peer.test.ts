import { getMaxListeners } from "node:events";

import { encodeRlp } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import {
  BaseMessage,
  Disconnect,
  DisconnectedError,
  DisconnectReason,
  encodeDisconnect,
  LocalProtocolError,
  MAX_MESSAGE_SIZE,
  RemoteProtocolError,
  silentLogger,
  TimeoutError,
  UselessPeer,
} from "../src/index.ts";
import type { Message, Protocol } from "../src/index.ts";
import {
  allEvents,
  connectPair,
  connectScripted,
  dialRaw,
  keyOf,
  ManualClock,
  networks,
  nextEvent,
  rejection,
  Scripted,
  settle,
  startServer,
  until,
  watchEscapes,
  within,
} from "./harness.ts";

function words(message: Message): string[] {
  const value = message.decode();
  if (value instanceof Uint8Array) throw new Error("expected a list");
  return value.map((item) => new TextDecoder().decode(item as Uint8Array));
}

describe.each(["tcp", "memory"] as const)("over %s", (net) => {
  test("foo is answered by bar", async () => {
    const heard: string[] = [];
    const fooBar: Protocol = {
      name: "MyProtocol",
      version: 1,
      length: 1,
      async run(peer, rw) {
        if (!peer.inbound) await rw.sendItems(0, "foo");
        for await (const message of rw) {
          const [word = ""] = words(message);
          heard.push(word);
          if (word === "foo") await rw.sendItems(0, "bar");
          else return;
        }
      },
    };
    const { nearPeer } = await connectPair({ protocols: [fooBar] }, undefined, net);
    await within("the end", new Promise((done) => nearPeer.signal.addEventListener("abort", done)));
    expect(heard).toEqual(["foo", "bar"]);
  });

  test("a reason given to disconnect() reaches both ends, once, wherever somebody waits", async () => {
    const { near, far, nearPeer, farPeer, nearRun, farRun } = await connectScripted({}, net);
    const drops = { near: allEvents(near, "peer:drop"), far: allEvents(far, "peer:drop") };
    const waiters = [
      nearRun.rw.read(),
      nearRun.rw.read({ timeoutMs: 60_000 }),
      nearPeer.protocol({ name: "test" }),
    ].map((promise) => rejection(promise));
    const farWaiters = [farRun.rw.read(), farPeer.protocol({ name: "test" })].map((promise) =>
      rejection(promise),
    );
    let aborts = 0;
    nearPeer.signal.addEventListener("abort", () => (aborts += 1));

    await farPeer.disconnect(DisconnectReason.tooManyPeers);

    const errors = await Promise.all(waiters);
    for (const error of errors) {
      expect(error).toBe(errors[0]);
      expect(error).toMatchObject({
        name: "DisconnectedError",
        code: "ERR_P2P_DISCONNECTED",
        reason: 0x04,
        by: "remote",
        phase: "session",
      });
    }
    for (const error of await Promise.all(farWaiters)) {
      expect(error).toMatchObject({ reason: 0x04, by: "local", phase: "session" });
    }
    expect(nearPeer.signal.reason).toBe(errors[0]);
    expect(await rejection(nearRun.rw.read())).toBe(errors[0]);
    expect(await rejection(nearRun.rw.sendItems(0, "late"))).toBe(errors[0]);
    expect(await rejection(nearPeer.ping())).toBe(errors[0]);
    expect(aborts).toBe(1);
    expect(drops.near.map(({ error }) => error)).toEqual([errors[0]]);
    expect(drops.far).toHaveLength(1);
    expect(near.peers).toEqual([]);
    expect(far.peers).toEqual([]);
  });
});

test("the error that says a connection is over carries no stack", async () => {
  const limit = Error.stackTraceLimit;
  const { nearPeer, nearRun } = await connectScripted();
  const ended = rejection(nearRun.rw.read());
  await nearPeer.disconnect();
  const error = (await ended) as DisconnectedError;
  expect(error.stack).toContain(error.message);
  expect(error.stack).not.toMatch(/^\s+at /m);
  expect(Error.stackTraceLimit).toBe(limit);
});

test("closed() resolves when the connection is over and every run has returned", async () => {
  const { nearPeer, nearRun } = await connectScripted();
  nearRun.lingers = true;
  let isClosed = false;
  const closed = nearPeer.closed().then(() => (isClosed = true));
  await within("the connection's end", nearPeer.disconnect());
  await settle();
  expect(isClosed).toBe(false);
  nearRun.done.resolve();
  await within("the end of all of it", closed);
  await within("asked later", nearPeer.closed());
});

test("any number of handlers may wait for a peer's end", async () => {
  const { nearPeer } = await connectScripted();
  expect(getMaxListeners(nearPeer.signal)).toBe(Infinity);
});

describe("rw", () => {
  test("read() waits no longer than timeoutMs, and takes nothing away from later reads", async () => {
    const clock = new ManualClock();
    const { nearRun, farRun } = await connectScripted({ clock });
    const late = rejection(nearRun.rw.read({ timeoutMs: 100 }));
    await clock.advance(100);
    const error = await late;
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ what: "read", ms: 100 });
    const next = nearRun.rw.read();
    await farRun.rw.sendItems(0, "after");
    expect(words(await within("a message", next))).toEqual(["after"]);
  });

  test("read() ends with its signal's reason, also when that had aborted before", async () => {
    const { nearRun } = await connectScripted();
    const controller = new AbortController();
    const read = rejection(nearRun.rw.read({ signal: controller.signal }));
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await read).toBe(reason);
    expect(await rejection(nearRun.rw.read({ signal: controller.signal }))).toBe(reason);
  });

  test.each([-1, 4, 0.5, Number.NaN, 2 ** 32])(
    "refuses to send code %d and keeps the connection",
    async (code) => {
      const { nearRun, farRun } = await connectScripted();
      const error = await rejection(nearRun.rw.sendItems(code, "x"));
      expect(error).toBeInstanceOf(LocalProtocolError);
      expect(error).toMatchObject({ code: "ERR_P2P_CODE_RANGE" });
      await nearRun.rw.sendItems(3, "x");
      expect((await within("a message", farRun.rw.read())).code).toBe(3);
    },
  );

  test("sendEncoded() sends the bytes it is given", async () => {
    const { nearRun, farRun } = await connectScripted();
    await nearRun.rw.sendEncoded(1, Uint8Array.of(0xc2, 0x01, 0x02));
    const message = await within("a message", farRun.rw.read());
    expect(message).toMatchObject({ code: 1, size: 3 });
    expect(message.decode()).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
  });

  test("sendEncoded() frees the memory of what it was given for good, once it is sealed, and of nothing else", async () => {
    const { nearRun, farRun } = await connectScripted();
    const [kept, given] = [new Uint8Array(10_000).fill(1), new Uint8Array(20_000).fill(1)];
    const part = given.subarray(5_000);
    void nearRun.rw.sendEncoded(0, kept);
    void nearRun.rw.sendEncoded(0, part, { release: true });
    expect(part.length).toBe(15_000);
    for (const size of [10_000, 15_000]) {
      const { payload } = await within("a message", farRun.rw.read());
      expect(payload).toEqual(new Uint8Array(size).fill(1));
    }
    expect([kept.length, part.length, given.length]).toEqual([10_000, 0, 0]);
  });

  test("carries payloads from nothing to the most a frame can hold, and refuses one byte more", async () => {
    const { nearRun, farRun } = await connectScripted();
    for (const size of [0, 1, 1024, MAX_MESSAGE_SIZE]) {
      const sent = nearRun.rw.sendEncoded(0, new Uint8Array(size));
      expect((await within(`${size} bytes`, farRun.rw.read())).size).toBe(size);
      await sent;
    }
    expect(
      await rejection(nearRun.rw.sendEncoded(0, new Uint8Array(MAX_MESSAGE_SIZE + 1))),
    ).toMatchObject({ name: "LocalProtocolError", code: "ERR_P2P_MESSAGE_TOO_BIG" });
  });

  test.each([
    ["the default", {}],
    ["above every message's size", { highWaterMark: 64 * 1024 * 1024 }],
  ])(
    "a message that does not compress into a frame fails alone, with a high-water mark of %s",
    async (_mark, limits) => {
      const { near, nearRun, farRun } = await connectScripted({ limits });
      const errors = allEvents(near, "protocol:error");
      const noise = new Uint8Array(MAX_MESSAGE_SIZE);
      for (let at = 0; at < noise.length; at += 65_536) {
        crypto.getRandomValues(noise.subarray(at, Math.min(at + 65_536, noise.length)));
      }
      for (let i = 0; i < 2; i += 1) {
        expect(await rejection(nearRun.rw.sendEncoded(0, noise))).toMatchObject({
          name: "LocalProtocolError",
          code: "ERR_P2P_MESSAGE_TOO_BIG",
        });
      }
      await nearRun.rw.sendItems(0, "after");
      expect(words(await within("a message", farRun.rw.read()))).toEqual(["after"]);
      expect(errors).toMatchObject([{ error: { code: "ERR_P2P_MESSAGE_TOO_BIG" } }]);
    },
  );

  test.each(["abc", [1], undefined])("sendEncoded() of %j throws at once", async (payload) => {
    const { nearRun } = await connectScripted();
    expect(() => nearRun.rw.sendEncoded(0, payload as unknown as Uint8Array)).toThrow(TypeError);
  });

  test("the first refusal of a kind is reported, awaited or not, and counts for no message sent", async () => {
    const warnings: unknown[][] = [];
    const logger = { ...silentLogger, warn: (...args: unknown[]) => void warnings.push(args) };
    const { near, nearPeer, nearRun } = await connectScripted({
      logger,
      limits: { highWaterMark: 1_000, maxQueued: 10_000 },
    });
    const errors = allEvents(near, "protocol:error");
    void nearRun.rw.sendItems(9, "x");
    for (let i = 0; i < 100; i += 1) void nearRun.rw.sendEncoded(0, new Uint8Array(500));
    const codes = ["ERR_P2P_CODE_RANGE", "ERR_P2P_SEND_QUEUE_FULL"];
    expect(errors).toMatchObject(codes.map((code) => ({ protocol: "test/1", error: { code } })));
    expect(warnings).toMatchObject(codes.map((code) => ["test/1 failed", { error: { code } }]));
    expect(near.counters.protocols["test/1"]?.out[0]?.messages).toBe(13);
    expect(nearPeer.signal.aborted).toBe(false);
    nearRun.done.reject(errors[1]?.error);
    await within("the end", nearPeer.closed());
    expect(nearPeer.signal.reason).toMatchObject({ reason: 0x10, cause: errors[1]?.error });
    expect(errors).toHaveLength(2);
  });

  test("a send after the end is refused by the end, and nothing is reported", async () => {
    const { near, nearPeer, nearRun } = await connectScripted();
    const errors = allEvents(near, "protocol:error");
    void nearPeer.disconnect();
    await within("the end", nearPeer.closed());
    expect(await rejection(nearRun.rw.sendItems(9, "x"))).toBe(nearPeer.signal.reason);
    expect(errors).toEqual([]);
  });

  test("a queue that nobody awaits is bounded, and what overflows it crashes nothing", async () => {
    const escaped = watchEscapes();
    const { nearRun, farRun } = await connectScripted({
      limits: { highWaterMark: 1_000, maxQueued: 10_000 },
    });
    const sends = Array.from({ length: 100 }, () => nearRun.rw.sendEncoded(0, new Uint8Array(500)));
    await settle();
    const outcomes = await Promise.allSettled(sends);
    const refused = outcomes.filter(({ status }) => status === "rejected");
    expect(refused.length).toBeGreaterThan(50);
    expect(refused[0]).toMatchObject({ reason: { code: "ERR_P2P_SEND_QUEUE_FULL" } });
    for (let i = 0; i < 100; i += 1) void nearRun.rw.sendEncoded(0, new Uint8Array(500));
    await settle();
    expect(escaped).toEqual([]);
    expect((await farRun.rw.read()).size).toBe(500);
  });
});

describe("the end of a run", () => {
  interface Case {
    readonly ends: string;
    readonly end: () => void;
    readonly reason: number;
    readonly cause: unknown;
    readonly isReported: boolean;
  }
  const boom = new Error("boom");
  const useless = new UselessPeer();
  const custom = new Disconnect(0x42);
  const network = new Disconnect(DisconnectReason.networkError);
  const otherEnd = new DisconnectedError(0x04, "remote", "session");
  const undecodable = new RemoteProtocolError("ERR_P2P_BAD_PAYLOAD", "bad");
  const thrower = (error: unknown) => () => {
    throw error;
  };
  const cases: Case[] = [
    { ends: "returns", end: () => undefined, reason: 0x08, cause: undefined, isReported: false },
    {
      ends: "throws UselessPeer",
      end: thrower(useless),
      reason: 3,
      cause: useless,
      isReported: false,
    },
    {
      ends: "throws Disconnect",
      end: thrower(custom),
      reason: 0x42,
      cause: custom,
      isReported: false,
    },
    {
      ends: "throws Disconnect for a network error",
      end: thrower(network),
      reason: 0x01,
      cause: network,
      isReported: false,
    },
    {
      ends: "throws another connection's end",
      end: thrower(otherEnd),
      reason: 0x10,
      cause: otherEnd,
      isReported: true,
    },
    {
      ends: "throws a decode error",
      end: thrower(undecodable),
      reason: 0x02,
      cause: undecodable,
      isReported: true,
    },
    {
      ends: "throws anything else",
      end: thrower(boom),
      reason: 0x10,
      cause: boom,
      isReported: true,
    },
  ];
  const flavours = [
    { flavour: "at once", isSync: true },
    { flavour: "later", isSync: false },
  ];

  test.each(cases.flatMap((c) => flavours.map((f) => ({ ...c, ...f }))))(
    "that $ends $flavour ends the connection with $reason at both ends",
    async ({ end, reason, cause, isReported, isSync }) => {
      const escaped = watchEscapes();
      const on = networks().memory;
      const far = await startServer({ ...on("127.0.0.2"), protocols: [new Scripted()] });
      const near = await startServer({
        ...on("127.0.0.1"),
        protocols: [
          {
            name: "test",
            version: 1,
            length: 1,
            run(): Promise<void> {
              if (!isSync) return settle().then(end);
              end();
              return Promise.resolve();
            },
          },
        ],
      });
      const errors = allEvents(near, "protocol:error");
      const drops = Promise.all([nextEvent(near, "peer:drop"), nextEvent(far, "peer:drop")]);
      await within("a dial", near.dial(far.enode));
      const [nearDrop, farDrop] = await within("both drops", drops);
      expect(nearDrop.error).toMatchObject({ reason, by: "local", phase: "session" });
      expect(nearDrop.error.cause).toBe(cause);
      expect(farDrop.error).toMatchObject({ reason, by: "remote", phase: "session" });
      expect(farDrop.error.cause).toBeUndefined();
      expect(errors.map(({ error }) => error)).toEqual(isReported ? [cause] : []);
      if (isReported) expect(errors[0]?.protocol).toBe("test/1");
      expect(near.counters.disconnects.local).toEqual({ [reason]: 1 });
      expect(far.counters.disconnects.remote).toEqual({ [reason]: 1 });
      expect(escaped).toEqual([]);
    },
  );

  test.each([
    { late: new Disconnect(0x42), reported: 0 },
    { late: new Error("boom"), reported: 1 },
  ])("what it throws behind the end is reported if it is a failure: $late", async (c) => {
    const { near, nearPeer, nearRun } = await connectScripted();
    nearRun.lingers = true;
    const errors = allEvents(near, "protocol:error");
    await within("the end", nearPeer.disconnect(0x03));
    nearRun.done.reject(c.late);
    await settle();
    expect(errors).toHaveLength(c.reported);
    expect(nearPeer.signal.reason).toMatchObject({ reason: 0x03 });
  });

  test("that throws is contained: the protocols beside it hear why, other peers and newcomers nothing", async () => {
    const escaped = watchEscapes();
    const on = networks().memory;
    const hub = { bad: new Scripted("bad"), good: new Scripted("good") };
    const server = await startServer({ ...on("127.0.0.9"), protocols: [hub.bad, hub.good] });
    const join = async () => {
      const own = { bad: new Scripted("bad"), good: new Scripted("good") };
      const dialer = await startServer({ ...on("127.0.0.1"), protocols: [own.bad, own.good] });
      await within("a dial", dialer.dial(server.enode));
      const runs = { bad: await hub.bad.next(), good: await hub.good.next() };
      return { hub: runs, own: { bad: await own.bad.next(), good: await own.good.next() } };
    };
    const exchange = async ({ hub: there, own: here }: Awaited<ReturnType<typeof join>>) => {
      await here.good.rw.send(0, "still there");
      expect((await within("a message", there.good.rw.read())).payload).toEqual(
        encodeRlp("still there"),
      );
    };
    const [failing, bystander] = [await join(), await join()];
    const errors = allEvents(server, "protocol:error");
    const heard = rejection(failing.hub.good.rw.read());
    const boom = new Error("boom");
    failing.hub.bad.done.reject(boom);
    expect(await heard).toMatchObject({ reason: 0x10, by: "local", cause: boom });
    expect(errors).toMatchObject([{ protocol: "bad/1", error: boom, peer: failing.hub.bad.peer }]);
    await exchange(bystander);
    await exchange(await join());
    expect(server.peers).toHaveLength(2);
    expect(escaped).toEqual([]);
  });

  test("a run after one that failed at once is not started any more", async () => {
    const second = new Scripted("b");
    const far = [new Scripted("a"), new Scripted("b")];
    const near = [
      {
        name: "a",
        version: 1,
        length: 1,
        run: (): Promise<void> => {
          throw new Error("at once");
        },
      },
      second,
    ];
    const { nearPeer } = await connectPair({ protocols: near }, { protocols: far });
    await within("the end", nearPeer.disconnect());
    expect(second.count).toBe(0);
  });

  test("bad RLP from the peer, decoded in run, is its breach of protocol", async () => {
    const decoder = {
      name: "test",
      version: 1,
      length: 1,
      run: async (_peer: unknown, rw: { read(): Promise<Message> }): Promise<void> => {
        (await rw.read()).decode();
      },
    };
    const protocol = new Scripted();
    const { near, far } = await connectPair({ protocols: [protocol] }, { protocols: [decoder] });
    const drops = Promise.all([nextEvent(near, "peer:drop"), nextEvent(far, "peer:drop")]);
    const { rw } = await protocol.next();
    await rw.sendEncoded(0, Uint8Array.of(0xc5, 0x01));
    const [nearDrop, farDrop] = await within("both drops", drops);
    expect(nearDrop.error).toMatchObject({ reason: 0x02, by: "remote" });
    expect(farDrop.error).toMatchObject({ reason: 0x02, by: "local" });
    expect(farDrop.error.cause).toMatchObject({ code: "ERR_P2P_BAD_PAYLOAD" });
  });

  test("a run may await peer.disconnect() itself", async () => {
    const protocol: Protocol = {
      name: "test",
      version: 1,
      length: 1,
      run: (peer) => peer.disconnect(DisconnectReason.uselessPeer),
    };
    const clock = new ManualClock();
    const on = networks().memory;
    const far = await startServer({ ...on("127.0.0.2"), protocols: [new Scripted()] });
    const near = await startServer({ ...on("127.0.0.1"), protocols: [protocol], clock });
    const detached = allEvents(near, "protocol:detached");
    await within("a dial", near.dial(far.enode));
    await settle();
    await within("a stop that waits for no grace period", near.stop());
    expect(detached).toEqual([]);
  });
});

describe("nothing is lost at the end", () => {
  test("messages that arrived are read before the end is", async () => {
    const { nearRun, farRun, nearPeer } = await connectScripted();
    farRun.lingers = true;
    for (let i = 0; i < 10; i += 1) await nearRun.rw.send(0, i);
    await nearPeer.disconnect();
    await settle();
    for (let i = 0; i < 10; i += 1) {
      expect((await farRun.rw.read()).decode()).toEqual(
        i === 0 ? new Uint8Array(0) : Uint8Array.of(i),
      );
    }
    expect(await rejection(farRun.rw.read())).toBeInstanceOf(DisconnectedError);
    farRun.done.resolve();
  });

  test("iterating ends quietly after the last message", async () => {
    const { nearRun, farRun, nearPeer } = await connectScripted();
    farRun.lingers = true;
    for (let i = 0; i < 10; i += 1) await nearRun.rw.send(0, i);
    await nearPeer.disconnect();
    let count = 0;
    for await (const message of farRun.rw) count += message.size > 0 ? 1 : 0;
    expect(count).toBe(10);
    farRun.done.resolve();
  });

  test.each([
    ["disconnect()", DisconnectReason.requested],
    ["disconnect(0x03)", DisconnectReason.uselessPeer],
    ["returning", undefined],
    ["throwing Disconnect", 0x42],
  ])("messages accepted before %s are delivered, windows or not", async (how, reason) => {
    for (const flowControl of [true, false]) {
      const { farRun, nearRun, farPeer, nearPeer } = await connectScripted({ flowControl });
      farRun.lingers = true;
      // Twice what may be on its way: the rest leaves only when the other side reads.
      let accepted = 0;
      while (accepted < 200) {
        accepted += 1;
        const send = nearRun.rw.sendEncoded(0, new Uint8Array(2_000));
        const isAccepted = await Promise.race([send.then(() => true), settle().then(() => false)]);
        if (!isAccepted) break;
      }
      if (how === "returning") nearRun.done.resolve();
      else if (how === "throwing Disconnect") nearRun.done.reject(new Disconnect(reason ?? 0));
      else void nearPeer.disconnect(reason);
      let count = 0;
      for await (const message of farRun.rw) count += message.size === 2_000 ? 1 : 0;
      expect(count, `flowControl: ${flowControl}`).toBe(accepted);
      expect(farPeer.signal.reason).toMatchObject({
        by: "remote",
        reason: how === "disconnect()" ? 0x00 : (reason ?? DisconnectReason.clientQuitting),
      });
      farRun.done.resolve();
    }
  });

  test("a peer that never reads is not waited for longer than drainTimeoutMs", async () => {
    const clock = new ManualClock();
    const { nearRun, nearPeer } = await connectScripted({ clock, limits: { drainTimeoutMs: 500 } });
    for (let i = 0; i < 200; i += 1) void nearRun.rw.sendEncoded(0, new Uint8Array(4_000));
    await settle();
    const gone = nearPeer.disconnect();
    await clock.advance(500);
    await within("the end", gone);
  });
});

describe("base protocol", () => {
  async function rawPeer(options = {}) {
    const protocol = new Scripted();
    const server = await startServer({
      ...networks().memory("127.0.0.2"),
      protocols: [protocol],
      ...options,
    });
    const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
    await raw.greet();
    return { server, raw, run: await protocol.next() };
  }

  test.each([-1, 256, 1.5, Number.NaN])(
    "disconnect(%d) is refused and the connection lives",
    async (reason) => {
      const { nearPeer } = await connectScripted();
      expect(() => nearPeer.disconnect(reason)).toThrow(RangeError);
      expect(nearPeer.signal.aborted).toBe(false);
    },
  );

  test("ping is answered by pong with an empty list", async () => {
    const { raw } = await rawPeer();
    raw.send(BaseMessage.ping, encodeRlp([]));
    expect(await raw.read()).toMatchObject({
      msgId: BaseMessage.pong,
      payload: Uint8Array.of(0xc0),
    });
  });

  test.each([0x00, 0x04, 0x0f])("base message id %i after Hello is ignored", async (msgId) => {
    const { raw } = await rawPeer();
    raw.send(msgId, encodeRlp([]));
    raw.send(BaseMessage.ping, encodeRlp([]));
    expect(await raw.read()).toMatchObject({ msgId: BaseMessage.pong });
  });

  test("ping() tells the round trip, and lastSeen when something came", async () => {
    const clock = new ManualClock();
    const { raw, run } = await rawPeer({ clock });
    const rtt = run.peer.ping();
    expect(await raw.read()).toMatchObject({ msgId: BaseMessage.ping });
    await clock.advance(40);
    raw.send(BaseMessage.pong, encodeRlp([]));
    expect(await within("a pong", rtt)).toBe(40);
    expect(run.peer.lastSeen).toBe(clock.wallNow());
    await clock.advance(1_000);
    expect(run.peer.lastSeen).toBe(clock.wallNow() - 1_000);
    expect(run.peer.info().rttMs).toBe(40);
  });

  test("lastSeen stays where it was when reading goes on and nothing has come", async () => {
    const clock = new ManualClock();
    const { raw, run } = await rawPeer({ clock, limits: { inboxMessages: 1 } });
    // In one chunk: what is sent behind it arrives when reading goes on.
    for (let i = 0; i < 3; i += 1) raw.session.push(0x10, encodeRlp([]));
    raw.stream.write(raw.session.take());
    await settle();
    const seen = clock.wallNow();
    await clock.advance(5_000);
    for (let i = 0; i < 3; i += 1) await within("a message", run.rw.read());
    await settle();
    expect(run.peer.lastSeen).toBe(seen);
    raw.send(0x10, encodeRlp([]));
    await within("a message", run.rw.read());
    expect(run.peer.lastSeen).toBe(clock.wallNow());
  });

  test("lastSeen counts a part of a message, too", async () => {
    const clock = new ManualClock();
    const { raw, run } = await rawPeer({ clock });
    await clock.advance(5_000);
    raw.session.push(0x10, encodeRlp(new Uint8Array(1_000)));
    raw.stream.write(raw.session.take().subarray(0, 50));
    await settle();
    expect(run.peer.lastSeen).toBe(clock.wallNow());
  });

  test("a ping that waits is told of the end", async () => {
    const { raw, run } = await rawPeer();
    const ping = rejection(run.peer.ping());
    expect(await raw.read()).toMatchObject({ msgId: BaseMessage.ping });
    raw.send(BaseMessage.disconnect, encodeDisconnect(0x04));
    expect(await ping).toMatchObject({ reason: 0x04, by: "remote" });
    expect(await rejection(run.peer.ping())).toBe(await ping);
  });

  test("a stream that ends without a Disconnect is the peer's network error", async () => {
    const { raw, run } = await rawPeer();
    const end = rejection(run.rw.read());
    raw.stream.destroy();
    expect(await end).toMatchObject({ reason: 0x01, by: "remote", phase: "session" });
  });

  test("a remote Disconnect is answered by the end of our side, not by another Disconnect", async () => {
    const { raw, run } = await rawPeer();
    raw.send(BaseMessage.disconnect, encodeDisconnect(0x04));
    expect(await rejection(run.rw.read())).toMatchObject({ reason: 0x04, by: "remote" });
    expect(await raw.readDisconnect()).toBeUndefined();
    expect(raw.isEnded).toBe(true);
  });

  test("a message id beyond the shared protocols ends the connection with 0x02", async () => {
    const { raw, run, server } = await rawPeer();
    raw.send(0x10 + 4, encodeRlp([]));
    expect(await raw.readDisconnect()).toBe(0x02);
    const error = await rejection(run.rw.read());
    expect(error).toMatchObject({ reason: 0x02, by: "local", phase: "session" });
    expect(error.cause).toMatchObject({ code: "ERR_P2P_MSG_ID_RANGE" });
    await until("the peer is gone", () => server.peers.length === 0);
  });

  test("silence for longer than idleTimeoutMs ends the connection", async () => {
    const clock = new ManualClock();
    const { run } = await rawPeer({ clock });
    const end = rejection(run.rw.read());
    await clock.advance(30_000);
    expect(await end).toMatchObject({ reason: 0x0b, by: "local" });
  });
});

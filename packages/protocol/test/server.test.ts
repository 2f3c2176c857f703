import { generateSecretKey } from "@heddle/identity";
import { DisconnectedError, MemoryNetwork, Server } from "@heddle/p2p";
import type { Protocol, ServerOptions } from "@heddle/p2p";
import { describe, expect, test } from "vitest";

import {
  anyVersion,
  defineProtocol,
  HandlerError,
  implement,
  notify,
  request,
  RequestTimeout,
  text,
  tuple,
  uint,
  UselessPeer,
} from "../src/index.ts";
import type { Context } from "../src/index.ts";
import { Foo1, Foo2, Status1 } from "./foo.ts";
import { gate } from "./pair.ts";

/** Two started servers on one network, connected; `b` was dialed. */
async function connected(
  a: readonly Protocol[],
  b: readonly Protocol[],
  options: Partial<ServerOptions> = {},
) {
  const network = new MemoryNetwork();
  const make = (host: string, protocols: readonly Protocol[]): Server =>
    new Server({
      key: generateSecretKey(),
      clientId: "test/1.0",
      listen: `${host}:30303`,
      transport: network.transport(host),
      protocols,
      ...options,
    });
  const [alice, bob] = [make("10.0.0.1", a), make("10.0.0.2", b)];
  await Promise.all([alice.start(), bob.start()]);
  const dropped = gate<DisconnectedError>();
  const droppedByBob = gate<DisconnectedError>();
  alice.on("peer:drop", ({ error }) => dropped.open(error));
  bob.on("peer:drop", ({ error }) => droppedByBob.open(error));
  const peer = await alice.dial(bob.enode);
  return {
    alice,
    bob,
    peer,
    dropped: dropped.promise,
    droppedByBob: droppedByBob.promise,
    async [Symbol.asyncDispose](): Promise<void> {
      await Promise.all([alice.stop(), bob.stop()]);
    },
  };
}

const blob = (_c: unknown, { at }: { at: number }): Uint8Array => new Uint8Array(at).fill(at);
const foo1 = (): Protocol[] =>
  implement([Foo1], { on: { foo: (_c, q) => ({ word: `${q.word}-1` }) } });
const foo12 = (): Protocol[] =>
  implement([Foo1, Foo2], { on: { foo: (c, q) => ({ word: `${q.word}-${c.version}` }), blob } });

describe("versions", () => {
  test("the highest shared version runs, and a newer node still speaks the older one", async () => {
    await using old = await connected(foo12(), foo1());
    const c = await old.peer.protocol(anyVersion(Foo1, Foo2));
    expect(c.version).toBe(1);
    expect(await c.call.foo({ word: "x" })).toEqual({ word: "x-1" });
    expect(c.call).not.toHaveProperty("blob");

    await using both = await connected(foo12(), foo12());
    const newer = await both.peer.protocol(Foo2);
    expect(newer.version).toBe(2);
    expect(await newer.call.foo({ word: "x" })).toEqual({ word: "x-2" });
    expect(await newer.call.blob({ at: 3 })).toEqual(Uint8Array.of(3, 3, 3));
    await expect(both.peer.protocol(Foo1)).rejects.toMatchObject({ code: "ERR_P2P_NOT_SHARED" });
  });
});

describe("raw and declared", () => {
  const raw: Protocol = {
    name: "foo",
    version: 1,
    length: 4,
    async run(_peer, rw) {
      for await (const message of rw) {
        const [id, [word]] = message.decode(tuple(uint, tuple(text)));
        await rw.sendItems(2, id, [`${word}-raw`]);
      }
    },
  };

  test("understand each other: the table is all there is", async () => {
    await using pair = await connected(foo1(), [raw]);
    const c = await pair.peer.protocol(Foo1);
    const words = await Promise.all(
      Array.from({ length: 500 }, (_, i) => c.call.foo({ word: `${i}` })),
    );
    expect(words.map(({ word }) => word)).toEqual(
      Array.from({ length: 500 }, (_, i) => `${i}-raw`),
    );
  });

  test("run side by side on one connection", async () => {
    const echo: Protocol = { ...raw, name: "echo" };
    await using pair = await connected([...foo1(), echo], [echo, ...foo1()]);
    const c = await pair.peer.protocol(Foo1);
    expect(await c.call.foo({ word: "x" })).toEqual({ word: "x-1" });
  });
});

describe("companions", () => {
  const Tally1 = defineProtocol({
    name: "tally",
    version: 1,
    messages: { add: request(0, 1, uint, uint), done: notify(2, uint) },
  });

  test("a protocol reaches the one it requires, typed, once that one's handshake is over", async () => {
    const head = new Uint8Array(32);
    const status = (network: number): Protocol[] =>
      implement([Status1], {
        handshake: { local: () => ({ network, head }) },
        on: { foo: (_c, q) => ({ word: `${q.word}!` }) },
      });
    const tally = (): Protocol[] =>
      implement([Tally1], {
        requires: [Status1],
        on: {
          async add(c, value) {
            const companion = await c.peer.protocol(Status1);
            const { word } = await companion.call.foo({ word: "y" });
            return companion.remote.network * 100 + value + word.length;
          },
        },
      });
    await using pair = await connected([...status(7), ...tally()], [...tally(), ...status(8)]);
    const c = await pair.peer.protocol(Tally1);
    expect(await c.call.add(1)).toBe(703);
  });

  test("without what it requires a protocol does not run", async () => {
    const needy = implement([Tally1], { requires: [Foo2], on: { add: () => 0 } });
    const free = implement([Tally1], { on: { add: () => 0 } });
    await using pair = await connected([...needy, ...foo12()], [...free, ...foo1()]);
    await expect(pair.peer.protocol(Tally1)).rejects.toMatchObject({ code: "ERR_P2P_NOT_SHARED" });
  });
});

describe("handshakes", () => {
  const head = new Uint8Array(32);
  const on = { foo: () => ({ word: "bar" }) };
  const status = (verify: () => void | Promise<void>): Protocol[] =>
    implement([Status1], { handshake: { local: () => ({ network: 1, head }), verify }, on });

  test("a dial resolves before the handshake of a protocol, and its context comes after verify", async () => {
    const verified = gate();
    await using pair = await connected(
      status(() => verified.promise),
      status(() => undefined),
    );
    let hasContext = false;
    const context = pair.peer.protocol(Status1).then((c) => {
      hasContext = true;
      return c;
    });
    await pair.peer.ping();
    expect(hasContext).toBe(false);
    verified.open();
    expect((await context).remote).toEqual({ network: 1, head });
  });

  test("when the peer refuses, the context is rejected with how the connection ended", async () => {
    const never = gate();
    await using pair = await connected(
      status(() => never.promise),
      status(() => {
        throw new UselessPeer();
      }),
    );
    await expect(pair.peer.protocol(Status1)).rejects.toMatchObject({
      name: "DisconnectedError",
      reason: 0x03,
      by: "remote",
    });
    never.open();
  });
});

describe("ends and names", () => {
  test("after the end calls reject with PeerGone, sends and contexts with how it ended", async () => {
    await using pair = await connected(foo1(), foo1());
    const c = await pair.peer.protocol(Foo1);
    await pair.bob.stop();
    const end = await pair.dropped;
    await expect(c.call.foo({ word: "x" })).rejects.toMatchObject({ name: "PeerGone", cause: end });
    await expect(c.send.gossip(["x"])).rejects.toBe(end);
    await expect(pair.peer.protocol(Foo1)).rejects.toBe(end);
    expect(end).toBeInstanceOf(DisconnectedError);
  });

  test("a handler's error ends the connection with 0x10 there, and is told here by name", async () => {
    const bad = implement([Foo1], {
      on: {
        foo() {
          throw new Error("disk full");
        },
      },
    });
    await using pair = await connected(foo1(), bad);
    const c = await pair.peer.protocol(Foo1);
    const error: unknown = await c.call.foo({ word: "x" }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      name: "PeerGone",
      reason: 0x10,
      by: "remote",
      request: "foo/1 foo(0x01)",
    });
    expect((error as Error).message).not.toContain("disk full");
    const theirs = await pair.droppedByBob;
    expect(theirs).toMatchObject({ reason: 0x10, by: "local", phase: "session" });
    expect(theirs.cause).toBeInstanceOf(HandlerError);
    expect(theirs.message).toContain("foo/1 foo(0x01): handler failed: disk full");
  });

  test("a message that cannot be read ends the connection with 0x02, with its path", async () => {
    const hostile: Protocol = {
      name: "foo",
      version: 1,
      length: 4,
      async run(peer, rw) {
        await rw.send(3, ["fine", Uint8Array.of(0xff)]);
        await new Promise((resolve) => peer.signal.addEventListener("abort", resolve));
      },
    };
    const listening = implement([Foo1], {
      on: { foo: () => ({ word: "" }), gossip: () => undefined },
    });
    await using pair = await connected([hostile], listening);
    const error = await pair.droppedByBob;
    expect(error).toMatchObject({ reason: 0x02, by: "local" });
    expect(error.message).toContain("foo/1 gossip(0x03): gossip[1]: not UTF-8");
    expect(await pair.dropped).toMatchObject({ reason: 0x02, by: "remote" });
  });

  test("stopping a server is no error in any handler or `run`", async () => {
    const failures: unknown[] = [];
    const busy = implement([Foo1], {
      on: { foo: (c) => c.call.foo({ word: "again" }) },
      async run(c) {
        await c.call.foo({ word: "first" }, { signal: c.signal, timeoutMs: 60_000 });
      },
      concurrency: 3,
    });
    const pair = await connected(busy, busy);
    for (const server of [pair.alice, pair.bob]) {
      server.on("protocol:error", (event) => failures.push(event));
      server.on("protocol:detached", (event) => failures.push(event));
    }
    await pair.peer.protocol(Foo1);
    await pair[Symbol.asyncDispose]();
    expect(failures).toEqual([]);
  });

  test("counters and events speak of messages by their names", async () => {
    await using pair = await connected(foo1(), foo1());
    const c = await pair.peer.protocol(Foo1);
    const descriptions: string[] = [];
    pair.alice.on("message", ({ direction, description }) => {
      descriptions.push(`${direction} ${description}`);
    });
    await c.call.foo({ word: "x" });
    await c.send.gossip(["x"]);
    expect(descriptions).toEqual([
      "out foo/1 foo(0x01)",
      "in foo/1 foo.reply(0x02)",
      "out foo/1 gossip(0x03)",
    ]);
  });
});

test("thousands of requests, some cancelled, some timed out: none is mismatched", async () => {
  const Count = defineProtocol({
    name: "count",
    version: 1,
    messages: { twice: request(0, 1, uint, uint) },
  });
  const never = new Promise<number>(() => undefined);
  const serve = implement([Count], {
    on: { twice: (_c, n) => (n % 50 === 7 ? Promise.race([never, until(_c)]) : n * 2) },
    concurrency: 1_000,
    maxPending: 10_000,
  });
  await using pair = await connected(serve, serve);
  const c = await pair.peer.protocol(Count);
  const outcomes = await Promise.all(
    Array.from({ length: 5_000 }, async (_, n) => {
      const controller = new AbortController();
      const call = c.call.twice(n, {
        signal: controller.signal,
        ...(n % 50 === 7 ? { timeoutMs: 1 } : {}),
      });
      if (n % 10 === 3) controller.abort(new Error("given up"));
      return call.catch((error: unknown) => error);
    }),
  );
  for (const [n, outcome] of outcomes.entries()) {
    if (n % 10 === 3) expect(outcome).toMatchObject({ message: "given up" });
    else if (n % 50 === 7) expect(outcome).toBeInstanceOf(RequestTimeout);
    else expect(outcome).toBe(n * 2);
  }
  expect(c.stats.requests.twice).toMatchObject({ sent: 5_000, timedOut: 100, cancelled: 500 });
});

/** Ends with the connection, as a handler should. */
function until({ signal }: Pick<Context<typeof Foo1>, "signal">): Promise<number> {
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(0), { once: true }),
  );
}

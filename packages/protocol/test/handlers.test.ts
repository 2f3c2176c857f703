import { decodeRlp, encodeRlp, fromHex } from "@heddle/identity";
import { DisconnectedError, RemoteProtocolError } from "@heddle/p2p";
import { expect, test } from "vitest";

import {
  Disconnect,
  HandlerError,
  implement,
  RequestTimeout,
  SchemaValueError,
} from "../src/index.ts";
import type { Context, Handlers } from "../src/index.ts";
import { Foo1 } from "./foo.ts";
import { FakeConnection, gate, settle } from "./pair.ts";
import type { Gate } from "./pair.ts";

type Foo = typeof Foo1;

function protocolWith(on: Partial<Handlers<Foo, undefined>>, concurrency = 1) {
  const [protocol] = implement([Foo1], {
    on: { foo: () => ({ word: "bar" }), ...on },
    concurrency,
  });
  return protocol!;
}

const ask = (id: number, word: string): Uint8Array => encodeRlp([id, [word]]);

/** Handlers of `foo` that finish when the test opens their gates. */
function gated(): { started: string[]; gates: Map<string, Gate>; on: Handlers<Foo, undefined> } {
  const started: string[] = [];
  const gates = new Map<string, Gate>();
  const start = (name: string): Promise<void> => {
    started.push(name);
    const opened = gate();
    gates.set(name, opened);
    return opened.promise;
  };
  return {
    started,
    gates,
    on: {
      foo: (_c, { word }) => start(word).then(() => ({ word: `${word}!` })),
      gossip: (_c, words) => start(words.join()),
    },
  };
}

test("a request is answered with the same id", async () => {
  await using connection = new FakeConnection();
  void connection.run(
    connection.near,
    protocolWith({ foo: (_c, q) => ({ word: `${q.word}bar` }) }),
  );
  await connection.far.sendEncoded(1, ask(77, "foo"));
  const reply = await connection.far.read();
  expect(reply.code).toBe(2);
  expect(reply.payload).toEqual(encodeRlp([77, ["foobar"]]));
});

test.each([
  ["0", "80"],
  ["1", "01"],
  ["127", "7f"],
  ["128", "8180"],
  ["2^53", "8720000000000000"],
  ["2^64-1", "88ffffffffffffffff"],
])("the peer's id %s is echoed as it came", async (_name, hex) => {
  await using connection = new FakeConnection();
  void connection.run(connection.near, protocolWith({}));
  const id = fromHex(hex);
  await connection.far.sendEncoded(
    1,
    Uint8Array.of(0xc0 + id.length + 5, ...id, ...fromHex("c483666f6f")),
  );
  const { payload } = await connection.far.read();
  expect(payload).toEqual(Uint8Array.of(0xc0 + id.length + 5, ...id, ...fromHex("c483626172")));
});

test.each([
  ["an id of 65 bits", "cb89010000000000000000c0", "foo.id: 9 bytes"],
  ["an id with a leading zero", "c5820001c161", "foo.id: leading zero"],
  ["a list for an id", "c2c0c0", "foo.id: a list"],
  ["no id", "c0", "foo.id: rlp needs"],
  ["no body", "c101", "foo: missing"],
  ["no list", "01", "foo: a byte string, expected a list"],
  ["something behind it", "c301c16101", "foo: 1 bytes after"],
  ["a body that is wrong", "c301c1c0", "foo.word: a list"],
  ["nothing", "", "foo: rlp needs 1 bytes"],
])("a request with %s ends the connection with 0x02", async (_name, hex, problem) => {
  const connection = new FakeConnection();
  const run = connection.run(connection.near, protocolWith({}));
  await connection.far.sendEncoded(1, fromHex(hex));
  const { error, reason } = await run;
  expect(reason).toBe(0x02);
  expect(error).toBeInstanceOf(RemoteProtocolError);
  expect((error as Error).message).toContain(`foo/1 foo(0x01): ${problem}`);
});

test("an envelope may be longer than declared, as any list", async () => {
  await using connection = new FakeConnection();
  void connection.run(connection.near, protocolWith({}));
  await connection.far.sendEncoded(1, encodeRlp([5, ["foo"], "new"]));
  expect(decodeRlp((await connection.far.read()).payload)).toHaveLength(2);
});

test("a code that no message has ends the connection with 0x02", async () => {
  const connection = new FakeConnection();
  const run = connection.run(connection.near, protocolWith({}));
  await connection.far.send(0, []);
  expect(await run).toMatchObject({
    reason: 0x02,
    error: { code: "ERR_PROTOCOL_UNKNOWN_CODE", message: "foo/1 0x00: no such message" },
  });
});

test("a notification without a handler is counted as ignored, and not decoded", async () => {
  await using connection = new FakeConnection();
  void connection.run(connection.near, protocolWith({}));
  for (let i = 0; i < 2; i++) await connection.far.sendEncoded(3, fromHex("c18180"));
  await settle();
  const context = connection.near.context as Context<Foo>;
  expect(context.stats.notifies.gossip).toEqual({ sent: 0, received: 2, ignored: 2 });
  expect(context.signal.aborted).toBe(false);
});

test("a notification with a handler is not counted as ignored", async () => {
  await using connection = new FakeConnection();
  void connection.run(connection.near, protocolWith({ gossip: () => undefined }));
  await connection.far.send(3, ["x"]);
  await settle();
  const context = connection.near.context as Context<Foo>;
  expect(context.stats.notifies.gossip).toEqual({ sent: 0, received: 1, ignored: 0 });
});

test("handlers run one after another, in the order of the messages", async () => {
  await using connection = new FakeConnection();
  const { started, gates, on } = gated();
  void connection.run(connection.near, protocolWith(on));
  await connection.far.sendEncoded(1, ask(1, "a"));
  await connection.far.send(3, ["b"]);
  await connection.far.sendEncoded(1, ask(2, "c"));
  await settle();
  expect(started).toEqual(["a"]);
  gates.get("a")!.open();
  await settle();
  expect(started).toEqual(["a", "b"]);
  gates.get("b")!.open();
  await settle();
  expect(started).toEqual(["a", "b", "c"]);
});

test("request handlers overlap up to the concurrency, and a reply leaves when it is ready", async () => {
  await using connection = new FakeConnection();
  const { started, gates, on } = gated();
  void connection.run(connection.near, protocolWith(on, 2));
  for (const [i, word] of ["a", "b", "c"].entries()) {
    await connection.far.sendEncoded(1, ask(i, word));
  }
  await settle();
  expect(started).toEqual(["a", "b"]);
  gates.get("b")!.open();
  expect((await connection.far.read()).payload).toEqual(encodeRlp([1, ["b!"]]));
  await settle();
  expect(started).toEqual(["a", "b", "c"]);
});

test("notifications do not overlap one another, whatever the concurrency", async () => {
  await using connection = new FakeConnection();
  const { started, gates, on } = gated();
  void connection.run(connection.near, protocolWith(on, 8));
  await connection.far.sendEncoded(1, ask(1, "a"));
  await connection.far.send(3, ["b"]);
  await connection.far.send(3, ["c"]);
  await connection.far.sendEncoded(1, ask(2, "d"));
  await settle();
  expect(started).toEqual(["a", "b"]);
  gates.get("b")!.open();
  await settle();
  expect(started).toEqual(["a", "b", "c"]);
  gates.get("c")!.open();
  await settle();
  expect(started).toEqual(["a", "b", "c", "d"]);
});

test("above the concurrency reading stops", async () => {
  await using connection = new FakeConnection();
  const { gates, on } = gated();
  void connection.run(connection.near, protocolWith(on, 2));
  for (let id = 0; id < 10; id++) await connection.far.sendEncoded(1, ask(id, `w${id}`));
  await settle();
  // Two run, one waits in hand, and the others are left to the inbox, which holds the peer back.
  expect(connection.near.queue).toHaveLength(7);
  gates.get("w0")!.open();
  await settle();
  expect(connection.near.queue).toHaveLength(6);
});

test("a peer that asks and does not read its replies is no longer read", async () => {
  await using connection = new FakeConnection({ capacity: 4 });
  void connection.run(connection.near, protocolWith({}));
  let isBlocked = true;
  const asking = (async () => {
    for (let id = 0; id < 50; id++) await connection.far.sendEncoded(1, ask(id, "foo"));
    isBlocked = false;
  })();
  await settle();
  expect(isBlocked).toBe(true);
  expect(connection.far.queue.length).toBeLessThanOrEqual(5);
  for (let id = 0; id < 50; id++) {
    expect((await connection.far.read()).payload).toEqual(encodeRlp([id, ["bar"]]));
  }
  await asking;
});

test("a handler may ask the peer: replies get through to it although others wait", async () => {
  await using connection = new FakeConnection();
  const heard: string[] = [];
  const on: Partial<Handlers<Foo, undefined>> = {
    async gossip(c, words) {
      const reply = await c.call.foo({ word: words[0] ?? "" });
      heard.push(reply.word);
    },
  };
  void connection.run(connection.near, protocolWith(on));
  for (const word of ["a", "b", "c"]) await connection.far.send(3, [word]);
  for (let id = 1; id <= 3; id++) {
    const { payload } = await connection.far.read();
    const [wireId, [word]] = decodeRlp(payload) as [Uint8Array, [Uint8Array]];
    await connection.far.send(2, [wireId, [word]]);
  }
  await settle();
  expect(heard).toEqual(["a", "b", "c"]);
});

test("what is read ahead for the sake of a reply is bounded, in messages", async () => {
  await using connection = new FakeConnection();
  const failures: unknown[] = [];
  const on: Partial<Handlers<Foo, undefined>> = {
    gossip: (c) => c.call.foo({ word: "x" }).then(ignore, (error) => void failures.push(error)),
  };
  void connection.run(connection.near, protocolWith(on));
  for (let i = 0; i < 200; i++) await connection.far.send(3, ["a"]);
  await settle();
  expect(connection.near.queue).toHaveLength(200 - 1 - 64);
  await connection.clock.advance(5_000);
  expect(failures[0]).toBeInstanceOf(RequestTimeout);
});

test("what is read ahead for the sake of a reply is bounded, in bytes", async () => {
  await using connection = new FakeConnection();
  const on: Partial<Handlers<Foo, undefined>> = {
    gossip: (c) => c.call.foo({ word: "x" }).then(ignore, ignore),
  };
  void connection.run(connection.near, protocolWith(on));
  for (let i = 0; i < 10; i++) await connection.far.send(3, ["a".repeat(400_000)]);
  await settle();
  expect(connection.near.queue).toHaveLength(10 - 1 - 3);
});

const ignore = (): void => undefined;

test.each([
  [
    "at once",
    (): never => {
      throw new Error("disk full");
    },
  ],
  [
    "later",
    async (): Promise<never> => {
      await settle();
      throw new Error("disk full");
    },
  ],
])(
  "what a handler throws %s ends this connection alone, with 0x10 and its name",
  async (_when, fail) => {
    for (const [code, payload, label] of [
      [1, ask(1, "a"), "foo/1 foo(0x01)"],
      [3, encodeRlp(["a"]), "foo/1 gossip(0x03)"],
    ] as const) {
      const connection = new FakeConnection();
      const run = connection.run(connection.near, protocolWith({ foo: fail, gossip: fail }));
      await connection.far.sendEncoded(code, payload);
      const { error, reason } = await run;
      expect(reason).toBe(0x10);
      expect(error).toBeInstanceOf(HandlerError);
      expect(error).toMatchObject({
        message: `${label}: handler failed: disk full`,
        handling: label,
        cause: { message: "disk full" },
      });
      // Nothing of it goes to the peer.
      expect(connection.far.queue).toEqual([]);
    }
  },
);

test.each([
  [new Disconnect(0x04), 0x04],
  [new RemoteProtocolError("ERR_X", "bad proof"), 0x02],
  [new DisconnectedError(0x04, "remote", "session"), 0x10],
  [new RequestTimeout("bar/1 x(0x00)", 5), 0x10],
  ["a string", 0x10],
  [Object.create(null), 0x10],
  [undefined, 0x10],
])("a handler that throws %s ends the connection accordingly", async (thrown, reason) => {
  const connection = new FakeConnection();
  const fail = (): Promise<never> => Promise.reject(thrown as Error);
  const run = connection.run(connection.near, protocolWith({ foo: fail }));
  await connection.far.sendEncoded(1, ask(1, "a"));
  expect((await run).reason).toBe(reason);
});

test("a reply that cannot be encoded is our fault, and says where it is wrong", async () => {
  for (const wrong of [{ word: 7 }, undefined, Promise.resolve({ word: 7 })]) {
    const connection = new FakeConnection();
    const run = connection.run(connection.near, protocolWith({ foo: () => wrong as never }));
    await connection.far.sendEncoded(1, ask(1, "a"));
    const { error, reason } = await run;
    expect(reason).toBe(0x10);
    expect((error as Error).message).toContain("foo/1 foo(0x01): handler failed: foo.reply");
    expect((error as Error).cause).toBeInstanceOf(SchemaValueError);
  }
});

test("after a failure no further handler starts", async () => {
  const connection = new FakeConnection();
  const { started, gates, on } = gated();
  const run = connection.run(connection.near, protocolWith(on, 2));
  for (let id = 0; id < 4; id++) await connection.far.sendEncoded(1, ask(id, `w${id}`));
  await settle();
  gates.get("w0")!.fail(new Error("no"));
  await run;
  gates.get("w1")!.open();
  await settle();
  expect(started).toEqual(["w0", "w1"]);
});

test("messages that had arrived before the end are handled", async () => {
  const connection = new FakeConnection();
  const { started, gates, on } = gated();
  const run = connection.run(connection.near, protocolWith(on));
  for (const word of ["a", "b", "c"]) await connection.far.send(3, [word]);
  await settle();
  connection.end(connection.far);
  await settle();
  for (const word of ["a", "b", "c"]) {
    gates.get(word)!.open();
    await settle();
  }
  expect(started).toEqual(["a", "b", "c"]);
  expect(await run).toMatchObject({ error: undefined, wasFirst: false });
});

test("a handler that outlasts the connection is waited for, so that a server can name it", async () => {
  const connection = new FakeConnection();
  const { gates, on } = gated();
  let hasReturned = false;
  const run = connection.run(connection.near, protocolWith(on)).then((outcome) => {
    hasReturned = true;
    return outcome;
  });
  await connection.far.sendEncoded(1, ask(1, "a"));
  await settle();
  connection.end(connection.far);
  await connection.clock.advance(100);
  expect(hasReturned).toBe(false);
  gates.get("a")!.open();
  // That its reply cannot be sent any more is no error.
  expect(await run).toMatchObject({ error: undefined });
});

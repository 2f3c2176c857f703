import { encodeRlp } from "@heddle/identity";
import { expect, test } from "vitest";

import { Disconnect, implement, struct, text } from "../src/index.ts";
import type { ContextOf } from "../src/index.ts";
import { Foo1 } from "./foo.ts";
import { FakeConnection, gate, settle } from "./pair.ts";

type Run = (c: ContextOf<typeof Foo1, undefined>) => Promise<void>;

function protocolWith(run: Run | undefined, foo = () => ({ word: "bar" })) {
  const [protocol] = implement([Foo1], { on: { foo }, ...(run === undefined ? {} : { run }) });
  return protocol!;
}

test("`run` returning ends the connection as done", async () => {
  const connection = new FakeConnection();
  const run = connection.run(
    connection.near,
    protocolWith(async () => undefined),
  );
  expect(await run).toEqual({ error: undefined, reason: 0x08, wasFirst: true });
});

test("without `run` the connection lives until it is closed", async () => {
  const connection = new FakeConnection();
  const run = connection.run(connection.near, protocolWith(undefined));
  await connection.clock.advance(1_000_000);
  expect(connection.near.controller.signal.aborted).toBe(false);
  connection.end(connection.far);
  expect(await run).toMatchObject({ error: undefined, wasFirst: false });
});

test("`run` throwing a reason ends the connection with it", async () => {
  const connection = new FakeConnection();
  const run = connection.run(
    connection.near,
    protocolWith(async () => {
      throw new Disconnect(0x04);
    }),
  );
  expect(await run).toMatchObject({ reason: 0x04 });
});

test("`run` throwing what a schema threw ends the connection with 0x02", async () => {
  const connection = new FakeConnection();
  const run = connection.run(
    connection.near,
    protocolWith(async () => void struct({ inner: text }).decode(encodeRlp([[]]))),
  );
  expect(await run).toMatchObject({ reason: 0x02, error: { path: "inner" } });
});

test("`run` throwing anything else ends the connection with 0x10, the cause kept", async () => {
  const thrown = new Error("disk full");
  const connection = new FakeConnection();
  const run = connection.run(
    connection.near,
    protocolWith(() => Promise.reject(thrown)),
  );
  expect(await run).toEqual({ error: thrown, reason: 0x10, wasFirst: true });
});

test("`run` failing because the connection has ended is no error of its own", async () => {
  const connection = new FakeConnection();
  const run = connection.run(
    connection.near,
    protocolWith(async (c) => void (await c.call.foo({ word: "x" }))),
  );
  await settle();
  connection.end(connection.far, 0x04);
  const { error, wasFirst } = await run;
  expect(wasFirst).toBe(false);
  expect(error).toBe(connection.near.controller.signal.reason);
});

test("`run` and handlers work side by side", async () => {
  await using connection = new FakeConnection();
  const heard = gate<string>();
  const run: Run = async (c) => heard.open((await c.call.foo({ word: "x" })).word);
  void connection.run(connection.near, protocolWith(run));
  await connection.far.send(1, [9, ["y"]]);
  expect((await connection.far.read()).payload).toEqual(encodeRlp([1, ["x"]]));
  expect((await connection.far.read()).payload).toEqual(encodeRlp([9, ["bar"]]));
  await connection.far.send(2, [1, ["baz"]]);
  expect(await heard.promise).toBe("baz");
});

test("when a handler fails, `run` need not have ended for the connection to end", async () => {
  const connection = new FakeConnection();
  const stuck = gate();
  const run = connection.run(
    connection.near,
    protocolWith(
      () => stuck.promise,
      () => {
        throw new Disconnect(0x03);
      },
    ),
  );
  await connection.far.send(1, [1, ["x"]]);
  expect(await run).toMatchObject({ reason: 0x03 });
  stuck.fail(new Error("too late to matter"));
  await settle();
});

test("a `run` that outlasts the connection is waited for, so that a server can name it", async () => {
  const connection = new FakeConnection();
  const stuck = gate();
  let hasReturned = false;
  const run = connection.run(
    connection.near,
    protocolWith(() => stuck.promise),
  );
  void run.then(() => (hasReturned = true));
  await settle();
  connection.end(connection.far);
  await settle();
  expect(hasReturned).toBe(false);
  stuck.open();
  expect(await run).toMatchObject({ error: undefined, wasFirst: false });
});

test("once `run` has returned no further handler starts", async () => {
  const connection = new FakeConnection();
  const done = gate();
  let calls = 0;
  const run = connection.run(
    connection.near,
    protocolWith(
      () => done.promise,
      () => ({ word: `${++calls}` }),
    ),
  );
  await settle();
  done.open();
  await run;
  await connection.far.send(1, [1, ["x"]]).catch(() => undefined);
  await settle();
  expect(calls).toBe(0);
});

test("each connection has a state of its own", async () => {
  const [protocol] = implement([Foo1], {
    state: () => ({ words: [] as string[] }),
    on: {
      foo: (c, q) => ({ word: `${c.state.words.push(q.word)}` }),
    },
  });
  for (let i = 0; i < 2; i++) {
    await using connection = new FakeConnection();
    void connection.run(connection.near, protocol!);
    await connection.far.send(1, [1, ["x"]]);
    expect((await connection.far.read()).payload).toEqual(encodeRlp([1, ["1"]]));
    expect(connection.near.context).toMatchObject({ state: { words: ["x"] } });
  }
});

test("`peerInfo` sees the context once there is one", async () => {
  const [protocol] = implement([Foo1], {
    on: { foo: () => ({ word: "" }) },
    peerInfo: (c) => ({ version: c.version, asked: c.stats.requests.foo.sent }),
  });
  await using connection = new FakeConnection();
  expect(protocol?.peerInfo?.(connection.near.peer)).toBeUndefined();
  void connection.run(connection.near, protocol!);
  await settle();
  expect(protocol?.peerInfo?.(connection.near.peer)).toEqual({ version: 1, asked: 0 });
});

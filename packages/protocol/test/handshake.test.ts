import { encodeRlp } from "@heddle/identity";
import { RemoteProtocolError, TimeoutError } from "@heddle/p2p";
import { expect, test, vi } from "vitest";

import { Disconnect, HandlerError, implement, SchemaError, UselessPeer } from "../src/index.ts";
import type { Handshake } from "../src/index.ts";
import { Status1 } from "./foo.ts";
import { FakeConnection, gate, settle } from "./pair.ts";

const head = new Uint8Array(32);
const status = [1, head] as const;

function protocolWith(
  handshake: Partial<Handshake<typeof Status1, { seen: string[] }>>,
  seen: string[] = [],
) {
  const [protocol] = implement([Status1], {
    state: () => ({ seen }),
    handshake: { local: () => ({ network: 1, head }), ...handshake },
    on: {
      foo: () => ({ word: "bar" }),
      gossip: (c, words) => void c.state.seen.push(...words),
    },
  });
  return protocol!;
}

test("ours is written before theirs is read", async () => {
  await using connection = new FakeConnection();
  void connection.run(connection.near, protocolWith({}));
  const message = await connection.far.read();
  expect(message.code).toBe(0);
  expect(message.payload).toEqual(encodeRlp(status));
});

test("both ends get through although each waits for the other", async () => {
  await using connection = new FakeConnection();
  void connection.run(connection.near, protocolWith({}));
  void connection.run(connection.far, protocolWith({ local: () => ({ network: 2, head }) }));
  await settle();
  expect(connection.near.context).toMatchObject({ remote: { network: 2 } });
  expect(connection.far.context).toMatchObject({ remote: { network: 1 } });
});

test("theirs must come first", async () => {
  const connection = new FakeConnection();
  const run = connection.run(connection.near, protocolWith({}));
  await connection.far.send(3, ["early"]);
  const { error, reason } = await run;
  expect(error).toBeInstanceOf(RemoteProtocolError);
  expect(error).toMatchObject({ code: "ERR_PROTOCOL_HANDSHAKE" });
  expect(reason).toBe(0x02);
  expect(connection.near.context).toBeUndefined();
});

test("a second one is refused", async () => {
  const connection = new FakeConnection();
  const run = connection.run(connection.near, protocolWith({}));
  await connection.far.send(0, status);
  await connection.far.send(0, status);
  expect(await run).toMatchObject({
    reason: 0x02,
    error: { message: "status/1 status(0x00): a second handshake" },
  });
});

test("later messages and companions wait for its verification", async () => {
  await using connection = new FakeConnection();
  const verified = gate();
  const seen: string[] = [];
  void connection.run(connection.near, protocolWith({ verify: () => verified.promise }, seen));
  await connection.far.send(0, status);
  await connection.far.send(3, ["a", "b"]);
  await settle();
  expect(seen).toEqual([]);
  expect(connection.near.context).toBeUndefined();
  verified.open();
  await settle();
  expect(seen).toEqual(["a", "b"]);
  expect(connection.near.context).toMatchObject({ name: "status", remote: { network: 1 } });
});

test("verification sees theirs, the peer and the state, and may refuse with a reason", async () => {
  const connection = new FakeConnection();
  const verify = vi.fn<NonNullable<Handshake<typeof Status1, unknown>["verify"]>>((remote) => {
    if (remote.network !== 1) throw new UselessPeer();
  });
  const run = connection.run(connection.near, protocolWith({ verify }));
  await connection.far.send(0, [7, head]);
  expect(await run).toMatchObject({ reason: 0x03 });
  expect(verify.mock.calls[0]).toMatchObject([
    { network: 7 },
    { name: "status", version: 1, state: { seen: [] } },
  ]);
});

test("one that cannot be read ends the connection with 0x02 and a path", async () => {
  const connection = new FakeConnection();
  const run = connection.run(connection.near, protocolWith({}));
  await connection.far.send(0, [1, new Uint8Array(31)]);
  const { error, reason } = await run;
  expect(reason).toBe(0x02);
  expect(error).toMatchObject({
    code: "ERR_P2P_BAD_PAYLOAD",
    message: "status/1 status(0x00): status.head: 31 bytes, expected 32",
  });
  expect((error as Error).cause).toBeInstanceOf(SchemaError);
});

test("one that does not come in time ends the connection", async () => {
  const connection = new FakeConnection();
  const run = connection.run(connection.near, protocolWith({ timeoutMs: 700 }));
  await connection.clock.advance(699);
  expect(connection.near.controller.signal.aborted).toBe(false);
  await connection.clock.advance(1);
  const { error } = await run;
  expect(error).toBeInstanceOf(TimeoutError);
  expect(error).toMatchObject({ what: "status/1 status(0x00) handshake", ms: 700 });
});

test("by default five seconds are in time", async () => {
  const connection = new FakeConnection();
  const run = connection.run(connection.near, protocolWith({}));
  await connection.clock.advance(5_000);
  expect(await run).toMatchObject({ error: { ms: 5_000 } });
});

test("one of ours that cannot be encoded is our fault", async () => {
  const connection = new FakeConnection();
  const run = connection.run(
    connection.near,
    protocolWith({ local: () => ({ network: -1, head }) }),
  );
  const { error, reason } = await run;
  expect(reason).toBe(0x10);
  expect(error).toBeInstanceOf(HandlerError);
});

test("what making or verifying one throws ends the connection", async () => {
  for (const thrown of [new Error("no head"), new Disconnect(0x06)]) {
    const connection = new FakeConnection();
    const run = connection.run(
      connection.near,
      protocolWith({ local: () => Promise.reject(thrown) }),
    );
    expect(await run).toMatchObject({
      error: thrown,
      reason: thrown instanceof Disconnect ? 0x06 : 0x10,
    });
  }
});

test("a connection that ends before it is over is no error of ours", async () => {
  const connection = new FakeConnection();
  const run = connection.run(connection.near, protocolWith({}));
  await settle();
  connection.end(connection.far, 0x04);
  const { error, wasFirst } = await run;
  expect(wasFirst).toBe(false);
  expect(error).toBe(connection.near.controller.signal.reason);
});

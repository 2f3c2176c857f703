import { encodeRlp } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import { BaseMessage, MemoryNetwork, memoryStreamPair, rlpxUpgrade } from "../src/index.ts";
import type {
  ByteStream,
  MessageCodec,
  ServerOptions,
  StreamAddress,
  StreamHandlers,
} from "../src/index.ts";
import { Connection } from "../src/connection.ts";
import {
  dialRaw,
  keyOf,
  ManualClock,
  nextEvent,
  RawPeer,
  rejection,
  Scripted,
  settle,
  startServer,
  turn,
  until,
  within,
} from "./harness.ts";

/** Counts what a server writes, call by call. */
class CountingNetwork extends MemoryNetwork {
  readonly writes: number[] = [];
  readonly streams: ByteStream[] = [];

  protected override connect(from: StreamAddress, to: StreamAddress): [ByteStream, ByteStream] {
    const [near, far] = memoryStreamPair([from, to]);
    const write = far.write.bind(far);
    far.write = (chunk) => {
      this.writes.push(chunk.length);
      return write(chunk);
    };
    this.streams.push(far);
    return [near, far];
  }
}

async function rawPeer(options: Partial<ServerOptions> = {}) {
  const network = new CountingNetwork();
  const protocol = new Scripted();
  const server = await startServer({
    listen: "127.0.0.2:0",
    transport: network.transport("127.0.0.2"),
    protocols: [protocol],
    ...options,
  });
  const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
  await raw.greet();
  return { server, raw, run: await protocol.next(), network };
}

describe("the writer", () => {
  test("gathers what is sent in one turn into one write", async () => {
    const { run, network } = await rawPeer();
    await settle();
    const before = network.writes.length;
    for (let i = 0; i < 100; i += 1) void run.rw.send(0, i);
    await settle();
    expect(network.writes.length - before).toBe(1);
    for (let i = 0; i < 100; i += 1) await run.rw.send(0, i);
    await settle();
    expect(network.writes.length - before).toBe(2);
  });

  test("writes no batch of much more than 64 KiB at once", async () => {
    const { run, network, raw } = await rawPeer();
    const noise = crypto.getRandomValues(new Uint8Array(1_000));
    for (let i = 0; i < 1_000; i += 1) void run.rw.sendEncoded(0, noise);
    for (let i = 0; i < 1_000; i += 1) await raw.read();
    expect(Math.max(...network.writes)).toBeLessThan(66 * 1024);
  });

  test("drops a peer that does not take bytes for writeTimeoutMs", async () => {
    const clock = new ManualClock();
    const { run, raw, server } = await rawPeer({ clock });
    raw.stream.pause();
    const dropped = nextEvent(server, "peer:drop");
    const sends = Array.from({ length: 20 }, () =>
      run.rw.sendEncoded(0, crypto.getRandomValues(new Uint8Array(60_000))).catch(() => undefined),
    );
    await settle();
    await clock.advance(20_000);
    const { error } = await within("the drop", dropped);
    expect(error).toMatchObject({ reason: 0x01, by: "local" });
    expect(error.cause).toMatchObject({ name: "TimeoutError", what: "write", ms: 20_000 });
    await Promise.all(sends);
  });

  test("goes on where it stood when a slow peer takes bytes again in time", async () => {
    const clock = new ManualClock();
    const { run, raw } = await rawPeer({ clock });
    raw.stream.pause();
    const noise = crypto.getRandomValues(new Uint8Array(60_000));
    const sends = Array.from({ length: 20 }, () => run.rw.sendEncoded(0, noise));
    await clock.advance(14_000);
    raw.stream.resume();
    for (let i = 0; i < 20; i += 1) expect((await raw.read())?.payload).toEqual(noise);
    await Promise.all(sends);
    await settle();
    expect(run.peer.signal.aborted).toBe(false);
  });
});

test("a peer that pings and reads nothing is held at a bound, then dropped (CVE-2023-40591)", async () => {
  const clock = new ManualClock();
  const { server, raw, network } = await rawPeer({ clock });
  raw.stream.pause();
  const dropped = nextEvent(server, "peer:drop");
  const ping = encodeRlp([]);
  let isWritable = true;
  let pings = 0;
  while (isWritable && pings < 1_000_000) {
    for (let i = 0; i < 100; i += 1) raw.session.push(BaseMessage.ping, ping);
    isWritable = raw.stream.write(raw.session.take());
    pings += 100;
    await turn();
  }
  expect(isWritable).toBe(false);
  await settle();
  const answered = network.writes.reduce((sum, bytes) => sum + bytes, 0);
  expect(answered).toBeLessThan(256 * 1024);
  await clock.advance(20_000);
  const { error } = await within("the drop", dropped);
  expect(error.cause).toMatchObject({ name: "TimeoutError", what: "write" });
  await until("its stream is gone", () => raw.isClosed || raw.isEnded || server.peers.length === 0);
});

test("a peer that pings and reads gets every pong", async () => {
  const { raw } = await rawPeer();
  for (let i = 0; i < 1_000; i += 1) raw.session.push(BaseMessage.ping, encodeRlp([]));
  raw.stream.write(raw.session.take());
  for (let i = 0; i < 1_000; i += 1) {
    expect((await raw.read())?.msgId).toBe(BaseMessage.pong);
  }
});

test.each([
  { size: 64 * 1024, most: 4 },
  { size: 1024 * 1024, most: 2 },
])(
  "a message beside a flood of $size-byte ones waits for what is sealed already, $most of them at most",
  async ({ size, most }) => {
    const network = new MemoryNetwork();
    const [flood, ping] = [new Scripted("flood"), new Scripted("ping")];
    const server = await startServer({
      listen: "127.0.0.2:0",
      transport: network.transport("127.0.0.2"),
      protocols: [flood, ping],
    });
    const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
    await raw.greet([
      { name: "flood", version: 1 },
      { name: "ping", version: 1 },
    ]);
    const [{ rw: floodRw }, { rw: pingRw }] = [await flood.next(), await ping.next()];
    raw.stream.pause();
    const noise = crypto.getRandomValues(new Uint8Array(64 * 1024));
    const payload = new Uint8Array(size).map((_, i) => noise[i % noise.length] ?? 0);
    for (let i = 0; i < 20; i += 1) void floodRw.sendEncoded(0, payload);
    await settle();
    void pingRw.send(0, "ping");
    await settle();
    raw.stream.resume();
    const order: number[] = [];
    while (order.length < 21) {
      const { msgId } = (await raw.read()) ?? {};
      if (msgId !== undefined && msgId >= 0x10) order.push(msgId);
    }
    expect(order.indexOf(0x14)).toBeLessThanOrEqual(most);
    expect(order.filter((msgId) => msgId === 0x10)).toHaveLength(20);
  },
);

describe("a glance", () => {
  /** A started connection on a stream that notes what it is told; each chunk is one message. */
  function glancing() {
    const told: string[] = [];
    const received: number[] = [];
    const chunks: Uint8Array[] = [];
    let owner: StreamHandlers | undefined;
    const stream: Partial<ByteStream> = {
      open: (handlers) => void (owner = handlers),
      pause: () => void told.push("pause"),
      resume: () => void told.push("resume"),
      end: () => void told.push("end"),
      destroy: () => void told.push("destroy"),
    };
    const codec: Partial<MessageCodec> = {
      pendingBytes: 0,
      feed: (chunk) => void chunks.push(chunk),
      next: () => {
        const payload = chunks.shift();
        return payload === undefined ? undefined : { msgId: 0x10, payload };
      },
    };
    const connection = new Connection(
      {
        remoteId: new Uint8Array(64),
        stream: stream as ByteStream,
        codec: codec as MessageCodec,
      },
      {
        clock: new ManualClock(),
        limits: { writeTimeoutMs: 20_000, drainTimeoutMs: 2_000 },
        events: {
          message: ({ payload }) => void received.push(payload.length),
          failed: () => undefined,
        },
      },
    );
    connection.resume();
    connection.pause("inbox");
    told.length = 0;
    const arrive = (length: number): void => owner?.data(new Uint8Array(length));
    return { connection, told, received, arrive };
  }

  test("takes the next chunk, whenever that comes, and stops again before it is delivered", () => {
    const { connection, told, received, arrive } = glancing();
    connection.glance();
    expect([told, connection.isPaused]).toEqual([["resume"], true]);
    arrive(1);
    expect([told, received]).toEqual([["resume", "pause"], [1]]);
    // What a stream still delivers after a pause is taken as ever.
    arrive(2);
    expect([told, received]).toEqual([
      ["resume", "pause"],
      [1, 2],
    ]);
  });

  test("is over when the stream goes on: no chunk stops it then", () => {
    const { connection, told, arrive } = glancing();
    connection.glance();
    connection.resume("inbox");
    told.length = 0;
    arrive(1);
    expect([told, connection.isPaused]).toEqual([[], false]);
  });

  test("is none while the stream is not stopped, or stopped by anything else, or after the end", () => {
    const { connection, told } = glancing();
    connection.pause("pongs");
    connection.glance();
    connection.resume("inbox");
    connection.glance();
    connection.resume("pongs");
    expect(told).toEqual(["resume"]);
    connection.glance();
    expect(told).toEqual(["resume"]);
    connection.pause("inbox");
    connection.end();
    told.length = 0;
    connection.glance();
    expect(told).toEqual([]);
  });
});

describe("the end", () => {
  test("says why, half-closes, and gives the other side drainTimeoutMs to close", async () => {
    const clock = new ManualClock();
    const { run, raw } = await rawPeer({ clock });
    // A peer that reads but never closes its side.
    raw.stream.end = () => undefined;
    const gone = run.peer.disconnect(0x04);
    expect(await raw.readDisconnect()).toBe(0x04);
    await raw.over();
    expect(raw.isClosed).toBe(false);
    await clock.advance(2_000);
    await within("the end", gone);
    await until("the stream is destroyed", () => raw.isClosed);
  });

  test("closes at once when the other side does", async () => {
    const clock = new ManualClock();
    const { run, raw } = await rawPeer({ clock });
    const gone = run.peer.disconnect();
    expect(await raw.readDisconnect()).toBe(0x00);
    await within("the end", gone);
  });

  test("discards what still comes in, so that the reason is not lost to a reset", async () => {
    const { run, raw, server } = await rawPeer();
    const dropped = nextEvent(server, "peer:drop");
    run.done.resolve();
    await within("the drop", dropped);
    for (let i = 0; i < 100; i += 1) raw.send(0x10, new Uint8Array(1_000));
    raw.stream.write(new Uint8Array(10_000));
    expect(await raw.readDisconnect()).toBe(0x08);
  });
});

test("an upgrade with a signal that has aborted rejects with its reason", async () => {
  const [near, far] = memoryStreamPair();
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  expect(await rejection(rlpxUpgrade(near, { secretKey: keyOf(1), signal }))).toBe(reason);
  expect(new RawPeer(far, keyOf(2)).isClosed).toBe(false);
});

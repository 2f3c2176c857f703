import { encodeRlp, fromHex } from "@heddle/identity";
import type { RlpInput } from "@heddle/identity";
import { DisconnectedError, LocalProtocolError } from "@heddle/p2p";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  BadReply,
  bytes,
  defineProtocol,
  implement,
  notify,
  PeerGone,
  request,
  RequestError,
  RequestTimeout,
  SchemaValueError,
  text,
  uint,
} from "../src/index.ts";
import type { Context } from "../src/index.ts";
import { Foo1, Foo2 } from "./foo.ts";
import { FakeConnection, gate, settle } from "./pair.ts";
import type { FakeEnd, Outcome } from "./pair.ts";

type Foo = typeof Foo2;

interface Setup extends AsyncDisposable {
  readonly connection: FakeConnection;
  readonly far: FakeEnd;
  readonly c: Context<Foo>;
  readonly run: Promise<Outcome>;
}

/** Our typed end, and a far end that the test plays by hand. */
async function setup(options: { maxPending?: number } = {}): Promise<Setup> {
  const connection = new FakeConnection({ version: 2 });
  const [protocol] = implement([Foo2], {
    on: { foo: () => ({ word: "bar" }), blob: (_c, q) => new Uint8Array(q.at) },
    ...options,
  });
  const run = connection.run(connection.near, protocol!);
  await settle();
  return {
    connection,
    far: connection.far,
    c: connection.near.context as Context<Foo>,
    run,
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

const reply = (id: number | bigint, word = "bar"): RlpInput => [id, [word]];

test("ids start at 1 and are never used twice", async () => {
  await using s = await setup();
  for (let id = 1; id <= 3; id++) {
    const answer = s.c.call.foo({ word: "foo" });
    const message = await s.far.read();
    expect(message.code).toBe(1);
    expect(message.payload).toEqual(encodeRlp([id, ["foo"]]));
    await s.far.send(2, reply(id));
    expect(await answer).toEqual({ word: "bar" });
  }
});

test("replies find their requests in whatever order they come", async () => {
  await using s = await setup();
  const answers = ["a", "b", "c"].map((word) => s.c.call.foo({ word }));
  for (const id of [2, 3, 1]) await s.far.send(2, reply(id, `${id}`));
  expect(await Promise.all(answers)).toEqual([{ word: "1" }, { word: "2" }, { word: "3" }]);
});

test("a request without a reply is rejected when its time is over, to the millisecond", async () => {
  await using s = await setup();
  const errors: unknown[] = [];
  s.c.call.foo({ word: "x" }).catch((error: unknown) => errors.push(error));
  s.c.call.foo({ word: "y" }, { timeoutMs: 50 }).catch((error: unknown) => errors.push(error));
  await s.connection.clock.advance(49);
  expect(errors).toEqual([]);
  await s.connection.clock.advance(1);
  expect(errors).toHaveLength(1);
  await s.connection.clock.advance(4_949);
  expect(errors).toHaveLength(1);
  await s.connection.clock.advance(1);
  expect(errors).toHaveLength(2);
  expect(errors[0]).toBeInstanceOf(RequestTimeout);
  expect(errors[0]).toMatchObject({
    name: "RequestTimeout",
    code: "ERR_PROTOCOL_REQUEST_TIMEOUT",
    timeoutMs: 50,
    message: "foo/2 foo(0x01): no reply within 50 ms",
  });
  expect(s.c.stats.requests.foo).toMatchObject({ sent: 2, timedOut: 2, answered: 0 });
  expect(s.c.signal.aborted).toBe(false);
});

test("a late reply is counted, not punished, and not decoded", async () => {
  await using s = await setup();
  const answer = s.c.call.foo({ word: "x" }, { timeoutMs: 10 });
  await s.connection.clock.advance(10);
  await expect(answer).rejects.toBeInstanceOf(RequestTimeout);
  await s.far.sendEncoded(2, fromHex("c401c2ffff"));
  await settle();
  expect(s.c.stats.requests.foo.late).toBe(1);
  expect(s.c.signal.aborted).toBe(false);
});

test("a reply that comes twice counts as late", async () => {
  await using s = await setup();
  const answer = s.c.call.foo({ word: "x" });
  await s.far.send(2, reply(1));
  await s.far.send(2, reply(1));
  expect(await answer).toEqual({ word: "bar" });
  await settle();
  expect(s.c.stats.requests.foo).toMatchObject({ answered: 1, late: 1 });
});

test.each([
  ["0", 0],
  ["one more than was asked", 2],
  ["2^53", 2n ** 53n],
  ["2^64-1", 2n ** 64n - 1n],
])("a reply to id %s, which was never asked, ends the connection with 0x02", async (_name, id) => {
  const s = await setup();
  const answer = s.c.call.foo({ word: "x" });
  await s.far.send(2, reply(id));
  expect(await s.run).toMatchObject({
    reason: 0x02,
    error: {
      code: "ERR_PROTOCOL_UNKNOWN_REQUEST",
      message: "foo/2 foo.reply(0x02): answers a request that was never made",
    },
  });
  await expect(answer).rejects.toBeInstanceOf(PeerGone);
});

test("a reply that nobody asked for is refused before its body is looked at", async () => {
  const s = await setup();
  // A body that no decoder would take: 16 MiB are claimed, none are there.
  await s.far.sendEncoded(2, fromHex("c601c4ffffffff"));
  expect(await s.run).toMatchObject({ error: { code: "ERR_PROTOCOL_UNKNOWN_REQUEST" } });
});

test("the wrong kind of reply ends the connection, and its request with BadReply", async () => {
  const s = await setup();
  const answer = s.c.call.blob({ at: 3 });
  await s.far.send(2, reply(1));
  await expect(answer).rejects.toMatchObject({
    name: "BadReply",
    message: "foo/2 blob(0x04): answered by foo/2 foo.reply(0x02)",
  });
  expect(await s.run).toMatchObject({
    reason: 0x02,
    error: { code: "ERR_PROTOCOL_WRONG_REPLY" },
  });
});

test.each([
  ["that its declaration bounds", 100, undefined],
  ["that the call bounds", 40, 40],
])("a reply with more bytes %s is refused undecoded", async (_name, max, maxReplyBytes) => {
  for (const size of [max, max + 1]) {
    const s = await setup();
    const options = maxReplyBytes === undefined ? {} : { maxReplyBytes };
    const answer = s.c.call.blob({ at: 3 }, options);
    // [1, blob] takes 3 bytes more than its blob, or 4 from 56 bytes on.
    const blob = new Uint8Array(size - (size > 58 ? 5 : 3)).fill(7);
    const payload = encodeRlp([1, blob]);
    expect(payload).toHaveLength(size);
    await s.far.sendEncoded(5, payload);
    if (size === max) {
      expect(await answer).toEqual(blob);
      await s.connection[Symbol.asyncDispose]();
      continue;
    }
    await expect(answer).rejects.toMatchObject({
      name: "BadReply",
      message: `foo/2 blob(0x04): ${size} bytes, at most ${max} were to come`,
    });
    expect(await s.run).toMatchObject({
      reason: 0x02,
      error: { code: "ERR_PROTOCOL_REPLY_TOO_BIG" },
    });
  }
});

test("a reply that cannot be read is a BadReply with its path, and ends the connection", async () => {
  const s = await setup();
  const answer = s.c.call.foo({ word: "x" });
  await s.far.send(2, [1, [[]]]);
  const error: unknown = await answer.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(BadReply);
  expect(error).toBeInstanceOf(RequestError);
  expect(error).toMatchObject({
    code: "ERR_PROTOCOL_BAD_REPLY",
    request: "foo/2 foo(0x01)",
    cause: {
      code: "ERR_P2P_BAD_PAYLOAD",
      message: "foo/2 foo.reply(0x02): foo.reply.word: a list, expected a byte string",
    },
  });
  expect(await s.run).toMatchObject({ reason: 0x02 });
});

test.each([
  ["no body", "c101", "foo.reply: missing"],
  ["no id", "c0", "foo.reply.id: rlp needs"],
  ["no list", "80", "foo.reply: a byte string"],
  ["an id of 9 bytes", "ca89ffffffffffffffffff", "foo.reply.id: 9 bytes"],
])("a reply with %s ends the connection with 0x02", async (_name, hex, problem) => {
  const s = await setup();
  const answer = s.c.call.foo({ word: "x" });
  await s.far.sendEncoded(2, fromHex(hex));
  const { error, reason } = await s.run;
  expect(reason).toBe(0x02);
  expect((error as Error).message).toContain(problem);
  await expect(answer).rejects.toBeInstanceOf(RequestError);
});

test("when the peer goes, what waits is rejected with who and why", async () => {
  const s = await setup();
  const answers = [s.c.call.foo({ word: "x" }), s.c.call.blob({ at: 1 })];
  await settle();
  s.connection.end(s.far, 0x04);
  for (const answer of answers) {
    const error: unknown = await answer.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PeerGone);
    expect(error).toMatchObject({
      code: "ERR_PROTOCOL_PEER_GONE",
      reason: 0x04,
      by: "remote",
      cause: s.c.signal.reason as unknown,
    });
  }
  await expect(s.c.call.foo({ word: "later" })).rejects.toBeInstanceOf(PeerGone);
  await s.run;
  expect(s.connection.clock.armed).toBe(0);
});

test("a reply that arrived before the end still counts", async () => {
  const s = await setup();
  const answer = s.c.call.foo({ word: "x" });
  await settle();
  void s.far.send(2, reply(1));
  s.connection.end(s.far);
  expect(await answer).toEqual({ word: "bar" });
});

test("where reading goes on after the end, as in companions, what waits is still rejected", async () => {
  const s = await setup();
  const answer = s.c.call.foo({ word: "x" });
  const end = new DisconnectedError(0x00, "remote", "session");
  s.connection.near.controller.abort(end);
  await s.connection.clock.advance(0);
  await expect(answer).rejects.toMatchObject({ name: "PeerGone", cause: end });
  void s.far.send(2, reply(1));
  await settle();
  expect(s.c.stats.requests.foo.late).toBe(1);
  s.connection.end(s.far);
  await s.run;
});

test("a signal gives a request up with its reason; the reply is then late", async () => {
  await using s = await setup();
  const controller = new AbortController();
  const answer = s.c.call.foo({ word: "x" }, { signal: controller.signal });
  await s.far.read();
  const why = new Error("no longer needed");
  controller.abort(why);
  await expect(answer).rejects.toBe(why);
  await s.far.send(2, reply(1));
  await settle();
  expect(s.c.stats.requests.foo).toMatchObject({ cancelled: 1, late: 1, timedOut: 0 });
});

test("a signal that has aborted sends nothing", async () => {
  await using s = await setup();
  const signal = AbortSignal.abort(new Error("never"));
  await expect(s.c.call.foo({ word: "x" }, { signal })).rejects.toThrow("never");
  expect(s.far.queue).toEqual([]);
});

test("a signal that outlives its requests keeps none of them", async () => {
  await using s = await setup();
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (
    listeners--,
    remove(...args)
  );
  const answers = [1, 2, 3].map(() => s.c.call.foo({ word: "x" }, { signal }));
  expect(listeners).toBe(3);
  for (const id of [1, 2, 3]) await s.far.send(2, reply(id));
  await Promise.all(answers);
  expect(listeners).toBe(0);
  await Promise.all([
    expect(s.c.call.foo({ word: "x" }, { signal, timeoutMs: 1 })).rejects.toThrow(),
    s.connection.clock.advance(1),
  ]);
  expect(listeners).toBe(0);
});

test("the connection's own signal may be given, and needs no listener", async () => {
  const s = await setup();
  const answer = s.c.call.foo({ word: "x" }, { signal: s.c.signal });
  s.connection.end(s.far);
  await expect(answer).rejects.toBeInstanceOf(PeerGone);
});

test("requests that wait are capped", async () => {
  await using s = await setup({ maxPending: 2 });
  const answers = [s.c.call.foo({ word: "a" }), s.c.call.foo({ word: "b" })];
  const error: unknown = await s.c.call.foo({ word: "c" }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(LocalProtocolError);
  expect(error).toMatchObject({ code: "ERR_PROTOCOL_TOO_MANY_PENDING" });
  await s.far.send(2, reply(1));
  await answers[0];
  const more = s.c.call.foo({ word: "d" });
  await s.far.send(2, reply(4));
  expect(await more).toEqual({ word: "bar" });
});

test("a wrong value is thrown at once, with its path, and nothing is sent", async () => {
  await using s = await setup();
  expect(() => s.c.call.foo({ word: 7 as never })).toThrow(SchemaValueError);
  expect(() => s.c.call.foo({ word: 7 as never })).toThrow("foo.word: expected a text");
  expect(() => s.c.send.gossip([7 as never])).toThrow("gossip[0]: expected a text");
  expect(() => s.c.call.foo({ word: "x" }, { timeoutMs: 0 })).toThrow(RangeError);
  expect(() => s.c.call.foo({ word: "x" }, { maxReplyBytes: -1 })).toThrow(RangeError);
  await settle();
  expect(s.far.queue).toEqual([]);
});

test("a request that cannot be sent is rejected with the reason for that", async () => {
  await using s = await setup();
  const full = new LocalProtocolError("ERR_P2P_SEND_QUEUE_FULL", "full");
  s.connection.near.sendEncoded = () => Promise.reject(full);
  await expect(s.c.call.foo({ word: "x" })).rejects.toBe(full);
  const gone = new DisconnectedError(0x00, "remote", "session");
  s.connection.near.sendEncoded = () => Promise.reject(gone);
  await expect(s.c.call.foo({ word: "x" })).rejects.toMatchObject({
    name: "PeerGone",
    cause: gone,
  });
});

test("round-trip times are kept for each kind of request", async () => {
  await using s = await setup();
  expect(s.c.stats.requests.foo.rtt).toBeUndefined();
  for (const [id, ms] of [
    [1, 100],
    [2, 20],
    [3, 60],
  ] as const) {
    const answer = s.c.call.foo({ word: "x" });
    await s.connection.clock.advance(ms);
    await s.far.send(2, reply(id));
    await answer;
  }
  expect(s.c.stats.requests.foo.rtt).toEqual({
    lastMs: 60,
    minMs: 20,
    maxMs: 100,
    smoothedMs: 86.25,
  });
  expect(s.c.stats.requests.blob.rtt).toBeUndefined();
});

test("rejections that nobody awaits do not bring the process down", async () => {
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", listen);
  try {
    const s = await setup();
    void s.c.call.foo({ word: "x" });
    void s.c.call.foo({ word: "x" }, { signal: AbortSignal.abort() });
    void s.c.send.gossip(["x"]);
    s.connection.end(s.far);
    void s.c.call.foo({ word: "x" });
    void s.c.send.gossip(["x"]);
    await s.run;
    await settle();
  } finally {
    process.off("unhandledRejection", listen);
  }
  expect(unhandled).toEqual([]);
});

test("an idle connection keeps no timer once its requests are done and it has ended", async () => {
  const s = await setup();
  const answer = s.c.call.foo({ word: "x" });
  await s.far.send(2, reply(1));
  await answer;
  s.connection.end(s.far);
  await s.run;
  expect(s.connection.clock.armed).toBe(0);
});

test("any interleaving of replies, timeouts and cancellations matches none wrongly", async () => {
  const step = fc.record({
    wait: fc.nat(30),
    answer: fc.constantFrom("now", "late", "never"),
    cancel: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      await using s = await setup();
      const late: number[] = [];
      const outcomes = steps.map(async ({ answer, cancel, wait }, i) => {
        const controller = new AbortController();
        const options = { timeoutMs: 20 + wait, signal: controller.signal };
        const call = s.c.call.foo({ word: `${i}` }, options).then(
          ({ word }) => word,
          (error: unknown) => (error instanceof RequestTimeout ? "timeout" : "cancelled"),
        );
        if (cancel) controller.abort();
        if (answer === "now") void s.far.send(2, reply(i + 1, `${i}`));
        if (answer === "late") late.push(i);
        return call;
      });
      await s.connection.clock.advance(100);
      for (const i of late) void s.far.send(2, reply(i + 1, `${i}`));
      await settle();
      const expected = steps.map(({ answer, cancel }, i) => {
        if (cancel) return "cancelled";
        return answer === "now" ? `${i}` : "timeout";
      });
      expect(await Promise.all(outcomes)).toEqual(expected);
      expect(s.c.signal.aborted).toBe(false);
    }),
    { numRuns: 50 },
  );
});

describe("without ids", () => {
  const Plain = defineProtocol({
    name: "plain",
    version: 1,
    ids: false,
    messages: {
      ask: request(0, 1, uint, text),
      get: request(2, 3, uint, bytes, { ids: true }),
      tick: notify(4, uint),
    },
  });
  type PlainContext = Context<typeof Plain>;

  async function open(
    ask: (value: number) => string | Promise<string> = String,
    concurrency = 1,
  ): Promise<Pick<Setup, "connection" | "far" | "run"> & { c: PlainContext } & AsyncDisposable> {
    const connection = new FakeConnection();
    const [protocol] = implement([Plain], {
      on: { ask: (_c, value) => ask(value), get: () => new Uint8Array() },
      maxPending: 3,
      concurrency,
    });
    const run = connection.run(connection.near, protocol!);
    await settle();
    const c = connection.near.context as PlainContext;
    return {
      connection,
      far: connection.far,
      c,
      run,
      [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
    };
  }

  test("the body stands alone on the wire, in both directions", async () => {
    await using s = await open();
    const answer = s.c.call.ask(5);
    expect((await s.far.read()).payload).toEqual(encodeRlp(5));
    await s.far.send(1, "five");
    expect(await answer).toBe("five");
    await s.far.send(0, 6);
    expect(await s.far.read()).toMatchObject({ code: 1, payload: encodeRlp("6") });
  });

  test("a single request may have ids all the same", async () => {
    await using s = await open();
    void s.c.call.get(5);
    expect((await s.far.read()).payload).toEqual(encodeRlp([1, 5]));
  });

  test("replies are matched in order, also behind one that was given up", async () => {
    await using s = await open();
    const first = s.c.call.ask(1, { timeoutMs: 10 });
    const second = s.c.call.ask(2);
    await s.connection.clock.advance(10);
    await expect(first).rejects.toBeInstanceOf(RequestTimeout);
    await s.far.send(1, "one");
    await s.far.send(1, "two");
    expect(await second).toBe("two");
    expect(s.c.stats.requests.ask).toMatchObject({ late: 1, answered: 1, timedOut: 1 });
  });

  test("requests that were given up count against the cap until their replies came", async () => {
    await using s = await open();
    const calls = [1, 2, 3].map((value) => s.c.call.ask(value, { timeoutMs: 10 }));
    await s.connection.clock.advance(10);
    for (const call of calls) await expect(call).rejects.toBeInstanceOf(RequestTimeout);
    await expect(s.c.call.ask(4)).rejects.toMatchObject({ code: "ERR_PROTOCOL_TOO_MANY_PENDING" });
    await s.far.send(1, "one");
    await settle();
    void s.c.call.ask(5);
    await settle();
    expect(s.c.stats.requests.ask.sent).toBe(4);
  });

  test("a reply that nobody asked for ends the connection", async () => {
    const s = await open();
    await s.far.send(1, "what");
    expect(await s.run).toMatchObject({
      reason: 0x02,
      error: { code: "ERR_PROTOCOL_UNKNOWN_REQUEST" },
    });
  });

  test("replies leave in the order of the requests, however long each takes", async () => {
    const gates = [gate<string>(), gate<string>(), gate<string>()];
    await using s = await open((value) => gates[value]?.promise ?? "sync", 8);
    for (const value of [0, 1, 2, 3]) await s.far.send(0, value);
    for (const value of [2, 1, 0]) {
      gates[value]?.open(`${value}`);
      await settle();
    }
    const words: string[] = [];
    for (let i = 0; i < 4; i++) words.push(text.decode((await s.far.read()).payload));
    expect(words).toEqual(["0", "1", "2", "sync"]);
  });
});

test("two typed ends understand each other, whoever asks", async () => {
  await using connection = new FakeConnection();
  const [protocol] = implement([Foo1], { on: { foo: (_c, q) => ({ word: `${q.word}!` }) } });
  void connection.run(connection.near, protocol!);
  void connection.run(connection.far, protocol!);
  await settle();
  const ends = [connection.near, connection.far].map((end) => end.context as Context<typeof Foo1>);
  const words = await Promise.all(
    ends.flatMap((c, i) =>
      Array.from({ length: 200 }, (_, n) => c.call.foo({ word: `${i}-${n}` })),
    ),
  );
  expect(words.map(({ word }) => word)).toEqual(
    ends.flatMap((_, i) => Array.from({ length: 200 }, (_each, n) => `${i}-${n}!`)),
  );
});

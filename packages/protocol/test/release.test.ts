import { decodeRlp, encodeRlp } from "@heddle/identity";
import { expect, test } from "vitest";

import {
  bytes,
  defineProtocol,
  fixedBytes,
  implement,
  mapped,
  notify,
  releaseMessage,
  request,
  tuple,
  uint,
} from "../src/index.ts";
import type { Context } from "../src/index.ts";
import { FakeConnection, settle } from "./pair.ts";

/** Large enough for its memory to be given away. */
const SIZE = 8_192;

const counted = mapped(bytes, {
  decode(view) {
    const { length } = view;
    releaseMessage(view);
    return length;
  },
  encode: (size: number) => new Uint8Array(size),
});

const Blob = defineProtocol({
  name: "blob",
  version: 1,
  messages: {
    put: request(0, 1, bytes, uint),
    get: request(2, 3, uint, bytes),
    plain: request(4, 5, bytes, uint, { ids: false }),
    tell: notify(6, bytes),
    count: request(7, 8, counted, uint),
    echo: request(9, 10, bytes, tuple(mapped(bytes, { decode: (v) => v, encode: letGo }))),
  },
});

/** Encodes a copy, and releases what was given. */
function letGo(view: Uint8Array): Uint8Array {
  const copy = new Uint8Array(view);
  releaseMessage(view);
  return copy;
}

interface Setup extends AsyncDisposable {
  readonly connection: FakeConnection;
  readonly c: Context<typeof Blob>;
}

/** Handlers that release what they were given as soon as they have looked at it. */
async function setup(wait: () => Promise<void> | undefined): Promise<Setup> {
  const connection = new FakeConnection();
  const measure = (view: Uint8Array): number | Promise<number> => {
    const { length } = view;
    releaseMessage(view);
    expect(view).toHaveLength(0);
    return wait()?.then(() => length) ?? length;
  };
  const [protocol] = implement([Blob], {
    on: {
      put: (_c, view) => measure(view),
      get: (_c, size) => new Uint8Array(size).fill(7),
      plain: (_c, view) => measure(view),
      tell: (_c, view) => measure(view),
      count: (_c, size) => size,
      echo: (_c, view) => [view] as const,
    },
  });
  void connection.run(connection.near, protocol!);
  await settle();
  return {
    connection,
    c: connection.near.context as Context<typeof Blob>,
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

const WAITS: [string, () => Promise<void> | undefined][] = [
  ["at once", () => undefined],
  ["later", settle],
];
const IDS = [0, 1, 127, 128, 2 ** 31, 2 ** 53 - 1, 2n ** 53n, 2n ** 64n - 1n];

test.each(WAITS)(
  "a handler that releases its request and answers %s is heard under any id",
  async (_when, wait) => {
    await using s = await setup(wait);
    const { far } = s.connection;
    for (const id of IDS) {
      await far.sendEncoded(0, encodeRlp([id, new Uint8Array(SIZE).fill(9)]));
      expect((await far.read()).payload).toEqual(encodeRlp([id, SIZE]));
    }
  },
);

test.each(WAITS)(
  "a handler that releases what has no id, and ends %s, goes on to the next",
  async (_when, wait) => {
    await using s = await setup(wait);
    const { far } = s.connection;
    for (let i = 0; i < 3; i++) {
      await far.sendEncoded(6, encodeRlp(new Uint8Array(SIZE)));
      await far.sendEncoded(4, encodeRlp(new Uint8Array(SIZE + i)));
    }
    for (let i = 0; i < 3; i++) {
      expect((await far.read()).payload).toEqual(encodeRlp(SIZE + i));
    }
    expect(s.c.stats.notifies.tell.received).toBe(3);
  },
);

test("a schema that releases the last thing it decodes, or what it encodes, changes nothing else", async () => {
  await using s = await setup(() => undefined);
  const { far } = s.connection;
  await far.sendEncoded(7, encodeRlp([5, new Uint8Array(SIZE)]));
  expect((await far.read()).payload).toEqual(encodeRlp([5, SIZE]));
  await far.sendEncoded(9, encodeRlp([6, new Uint8Array(SIZE).fill(9)]));
  const [id, [body]] = decodeRlp((await far.read()).payload) as [Uint8Array, [Uint8Array]];
  expect(id).toEqual(Uint8Array.of(6));
  expect(body).toEqual(new Uint8Array(SIZE).fill(9));
});

test("a caller that releases a reply finds the next one whole", async () => {
  await using s = await setup(() => undefined);
  const { far } = s.connection;
  for (let id = 1; id <= 3; id++) {
    const answer = s.c.call.get(SIZE);
    await far.sendEncoded(3, encodeRlp([id, new Uint8Array(SIZE).fill(id)]));
    const view = await answer;
    expect(view).toEqual(new Uint8Array(SIZE).fill(id));
    releaseMessage(view);
    expect(view).toHaveLength(0);
  }
  expect(s.c.stats.requests.get.answered).toBe(3);
});

test("fixed sizes survive the release of their message, as copies do", () => {
  const schema = tuple(fixedBytes(64), bytes({ copy: true }), bytes);
  const payload = encodeRlp([new Uint8Array(64).fill(1), Uint8Array.of(2), new Uint8Array(SIZE)]);
  const [fixed, copied, view] = schema.decode(payload);
  releaseMessage(view);
  expect(payload).toHaveLength(0);
  expect(fixed).toEqual(new Uint8Array(64).fill(1));
  expect(copied).toEqual(Uint8Array.of(2));
});

import { encodeRlp } from "@heddle/identity";
import { LocalProtocolError } from "@heddle/p2p";
import type { MessageReadWriter } from "@heddle/p2p";
import { expect, test } from "vitest";

import { implement } from "../src/index.ts";
import type { Context } from "../src/index.ts";
import { Foo1 } from "./foo.ts";
import { FakeConnection, settle } from "./pair.ts";

const tooBig = new LocalProtocolError("ERR_P2P_MESSAGE_TOO_BIG", "too big");

/** The ways in which a send may be refused. */
const REFUSALS: [string, MessageReadWriter["sendEncoded"]][] = [
  ["rejected", () => Promise.reject(tooBig)],
  [
    "thrown",
    () => {
      throw tooBig;
    },
  ],
];

async function setup() {
  const connection = new FakeConnection();
  const [protocol] = implement([Foo1], { on: { foo: () => ({ word: "bar" }) } });
  const run = connection.run(connection.near, protocol!);
  await settle();
  return { connection, run, c: connection.near.context as Context<typeof Foo1> };
}

test.each(REFUSALS)(
  "a refusal that is %s rejects requests and notifications",
  async (_how, send) => {
    const { connection, c } = await setup();
    connection.near.sendEncoded = send;
    await expect(c.call.foo({ word: "x" })).rejects.toBe(tooBig);
    await expect(c.send.gossip(["x"])).rejects.toBe(tooBig);
    await connection[Symbol.asyncDispose]();
  },
);

test.each(REFUSALS)(
  "what is %s does not count as sent, what is accepted does, once it is",
  async (_how, refuse) => {
    const { connection, c } = await setup();
    const { near } = connection;
    const accept = near.sendEncoded.bind(near);
    for (const send of [accept, refuse, accept, refuse]) {
      near.sendEncoded = send;
      await c.send.gossip(["x"]).catch(() => undefined);
      await c.call.foo({ word: "x" }, { timeoutMs: 1, signal: soon() }).catch(() => undefined);
    }
    expect(c.stats.notifies.gossip.sent).toBe(2);
    expect(c.stats.requests.foo.sent).toBe(2);
    let accepted = (): void => undefined;
    near.sendEncoded = () => new Promise((resolve) => (accepted = resolve));
    const sending = c.send.gossip(["x"]);
    await settle();
    expect(c.stats.notifies.gossip.sent).toBe(2);
    accepted();
    await sending;
    expect(c.stats.notifies.gossip.sent).toBe(3);
    await connection[Symbol.asyncDispose]();
  },
);

/** Aborts when everything that is ready has happened. */
function soon(): AbortSignal {
  const controller = new AbortController();
  setImmediate(() => controller.abort());
  return controller.signal;
}

test.each(REFUSALS)(
  "a reply whose sending is %s ends the connection with 0x10",
  async (_how, send) => {
    const { connection, run } = await setup();
    connection.near.sendEncoded = send;
    await connection.far.sendEncoded(1, encodeRlp([1, ["foo"]]));
    expect(await run).toMatchObject({ error: tooBig, reason: 0x10, wasFirst: true });
  },
);

import { curve, encodeRlp, fromHex, nodeIdOf } from "@heddle/identity";
import { BaseMessage, tcpTransport } from "@heddle/p2p";
import type { ByteStream, Server, ServerEvents } from "@heddle/p2p";
import { Initiator } from "@heddle/rlpx";
import { asyncProperty, assert, integer, nat, uint8Array } from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";

import {
  dialRaw,
  keyOf,
  nextEvent,
  RawPeer,
  rejection,
  Scripted,
  startServer,
  until,
  watchEscapes,
  within,
} from "./helpers.ts";

let server: Server;
let protocol: Scripted;
let escaped: unknown[];

beforeEach(async () => {
  protocol = new Scripted("test", { length: 4 });
  server = await startServer({ listen: "127.0.0.1:0", protocols: [protocol] });
});

function validAuth(): Uint8Array {
  return new Initiator({ secretKey: keyOf(900), remoteId: server.id }).auth;
}

async function connect(): Promise<ByteStream> {
  if (server.address === undefined) throw new Error("the server does not listen");
  return tcpTransport.dial(server.address, { signal: AbortSignal.timeout(5_000) });
}

/** The next inbound connection that fails; take it before causing it. */
function nextFailure(): Promise<ServerEvents["handshake"]> {
  return within(
    "a failed connection",
    nextEvent(server, "handshake", ({ failed }) => failed !== undefined),
  );
}

/** Sends bytes in place of a handshake; returns how the server saw it, and how much it answered. */
async function attack(bytes: Uint8Array, options: { ends?: boolean } = {}) {
  const failure = nextFailure();
  const raw = new RawPeer(await connect(), keyOf(900));
  raw.stream.write(bytes);
  if (options.ends === true) raw.stream.end();
  const { phase, failed } = await failure;
  await raw.over();
  raw.stream.destroy();
  return { phase, failed, answered: raw.bytesIn };
}

/** An honest peer comes in, is heard and leaves. */
async function expectToServe(): Promise<void> {
  const before = server.peers.length;
  const honest = await (await dialRaw(server, keyOf(999))).initiate(server.id);
  await honest.greet();
  const { rw } = await protocol.next();
  honest.send(0x10, encodeRlp(7));
  expect((await within("an honest message", rw.read())).payload).toEqual(encodeRlp(7));
  honest.stream.destroy();
  await until("the honest peer is gone", () => server.peers.length === before);
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  const at = Math.floor(bit / 8) % copy.length;
  copy[at] = (copy[at] ?? 0) ^ (1 << (bit % 8));
  return copy;
}

describe("a handshake packet", () => {
  /** An auth packet whose ECIES public key is replaced. */
  const withKey = (point: Uint8Array): Uint8Array => {
    const auth = validAuth().slice();
    auth.set(point, 2);
    return auth;
  };
  const offCurve = (): Uint8Array => {
    const point = new Uint8Array(65).fill(0x11);
    point[0] = 0x04;
    expect(curve.isPoint(point.subarray(1))).toBe(false);
    return point;
  };
  /** x = P + 1 stands for x = 1, which is on the curve: only a check of the range refuses it. */
  const beyondP = (): Uint8Array => {
    const y = fromHex("4218f20ae6c646b363db68605822fb14264ca8d2587fdd6fbc750d587e76a7ee");
    const low = new Uint8Array(64);
    low[31] = 1;
    low.set(y, 32);
    expect(curve.isPoint(low)).toBe(true);
    const x = fromHex("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30");
    return Uint8Array.from([0x04, ...x, ...y]);
  };
  const cases: { what: string; bytes: () => Uint8Array; code: string }[] = [
    {
      what: "a size over 2048, after two bytes",
      bytes: () => Uint8Array.of(0x08, 0x01),
      code: "ERR_RLPX_HANDSHAKE_SIZE",
    },
    {
      what: "a size too small for ECIES",
      bytes: () => Uint8Array.of(0x00, 0x10),
      code: "ERR_RLPX_HANDSHAKE_SIZE",
    },
    {
      what: "HTTP",
      bytes: () => new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
      code: "ERR_RLPX_HANDSHAKE_SIZE",
    },
    {
      what: "a point that is not on the curve",
      bytes: () => withKey(offCurve()),
      code: "ERR_RLPX_BAD_HANDSHAKE",
    },
    {
      what: "a coordinate beyond the field",
      bytes: () => withKey(beyondP()),
      code: "ERR_RLPX_BAD_HANDSHAKE",
    },
    {
      what: "a compressed point's prefix",
      bytes: () => flip(validAuth(), 16),
      code: "ERR_RLPX_BAD_HANDSHAKE",
    },
    {
      what: "a wrong tag",
      bytes: () => flip(validAuth(), (validAuth().length - 1) * 8),
      code: "ERR_RLPX_BAD_HANDSHAKE",
    },
    {
      what: "one for another node",
      bytes: () => new Initiator({ secretKey: keyOf(900), remoteId: nodeIdOf(keyOf(5)) }).auth,
      code: "ERR_RLPX_BAD_HANDSHAKE",
    },
  ];

  test.each(cases)("with $what ends its connection, and nothing else", async ({ bytes, code }) => {
    escaped = watchEscapes();
    const { phase, failed, answered } = await attack(bytes());
    expect(phase).toBe("handshake");
    expect(failed).toMatchObject({ reason: 0x02, side: "local" });
    expect(failed?.error.cause).toMatchObject({ name: "RemoteProtocolError", code });
    // Every failure looks the same from outside: no answer, the end.
    expect(answered).toBe(0);
    await expectToServe();
    expect(escaped).toEqual([]);
  });

  test("cut off anywhere is the remote side's end", async () => {
    escaped = watchEscapes();
    await assert(
      asyncProperty(nat(1_000), async (cut) => {
        const auth = validAuth();
        const { phase, failed } = await attack(auth.subarray(0, cut % auth.length), { ends: true });
        expect(phase).toBe("handshake");
        expect(failed).toMatchObject({ reason: 0x01, side: "remote" });
      }),
      { numRuns: 20 },
    );
    await expectToServe();
    expect(escaped).toEqual([]);
  });

  test("with any bit flipped is refused", async () => {
    escaped = watchEscapes();
    await assert(
      asyncProperty(nat(20_000), async (bit) => {
        const { phase, failed } = await attack(flip(validAuth(), bit), { ends: true });
        expect(phase).toBe("handshake");
        expect(failed?.error.cause).not.toBeInstanceOf(TypeError);
      }),
      { numRuns: 30 },
    );
    await expectToServe();
    expect(escaped).toEqual([]);
  });

  test("of random bytes is refused", async () => {
    escaped = watchEscapes();
    await assert(
      asyncProperty(uint8Array({ minLength: 1, maxLength: 3_000 }), async (bytes) => {
        const { phase, failed } = await attack(bytes, { ends: true });
        expect(phase).toBe("handshake");
        expect(failed?.error.cause).not.toBeInstanceOf(TypeError);
      }),
      { numRuns: 30 },
    );
    await expectToServe();
    expect(escaped).toEqual([]);
  });

  test("followed by 32 more bytes in the same write does not hang", async () => {
    escaped = watchEscapes();
    const failure = nextFailure();
    const raw = await dialRaw(server, keyOf(900));
    await raw.initiate(server.id, { behindAuth: new Uint8Array(32).fill(0x55) });
    const { phase, failed } = await failure;
    expect(phase).toBe("hello");
    expect(failed).toMatchObject({ reason: 0x02, side: "local" });
    expect(failed?.error.cause).toMatchObject({ code: "ERR_RLPX_BAD_HEADER_MAC" });
    await expectToServe();
    expect(escaped).toEqual([]);
  });
});

describe("after the handshake", () => {
  /** A hand-made peer among the server's peers, and its run there. */
  async function enter() {
    const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
    await raw.greet();
    return { raw, run: await protocol.next() };
  }

  const frames: {
    what: string;
    code: string;
    send: (raw: RawPeer) => void;
  }[] = [
    {
      what: "a header with a wrong MAC",
      code: "ERR_RLPX_BAD_HEADER_MAC",
      send: (raw) => {
        raw.session.push(0x10, encodeRlp(1));
        raw.stream.write(flip(raw.session.take(), 16 * 8));
      },
    },
    {
      what: "a header with a flipped bit",
      code: "ERR_RLPX_BAD_HEADER_MAC",
      send: (raw) => {
        raw.session.push(0x10, encodeRlp(1));
        raw.stream.write(flip(raw.session.take(), 3));
      },
    },
    {
      what: "frame data with a flipped bit",
      code: "ERR_RLPX_BAD_FRAME_MAC",
      send: (raw) => {
        raw.session.push(0x10, encodeRlp(1));
        raw.stream.write(flip(raw.session.take(), 32 * 8));
      },
    },
    {
      what: "random bytes",
      code: "ERR_RLPX_BAD_HEADER_MAC",
      send: (raw) => raw.stream.write(crypto.getRandomValues(new Uint8Array(60_000))),
    },
    {
      what: "a code beyond the protocol's",
      code: "ERR_P2P_MSG_ID_RANGE",
      send: (raw) => raw.send(0x14, encodeRlp(1)),
    },
    {
      what: "a message id of four bytes",
      code: "ERR_P2P_MSG_ID_RANGE",
      send: (raw) => raw.send(0xffffffff, encodeRlp(1)),
    },
  ];

  test.each(frames)("$what ends that one connection with 0x02", async ({ send, code }) => {
    escaped = watchEscapes();
    const { raw, run } = await enter();
    const end = rejection(run.rw.read());
    send(raw);
    const error = await end;
    expect(error).toMatchObject({ reason: 0x02, by: "local", phase: "session" });
    expect(error.cause).toMatchObject({ name: "RemoteProtocolError", code });
    expect(await raw.readDisconnect()).toBe(0x02);
    await expectToServe();
    expect(escaped).toEqual([]);
  });

  test.each([
    ["promises more than 16 MiB", [0xff, 0xff, 0xff, 0xff, 0x0f]],
    ["promises more than it holds", [0x0a, 0x00, 0x01]],
    ["is empty", []],
    ["copies from before its start", [0x04, 0x01, 0xff]],
  ])("a Snappy payload that %s ends that one connection with 0x02", async (_what, bytes) => {
    escaped = watchEscapes();
    const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
    raw.sendHello();
    await raw.read();
    // Says version 5 and does not compress: what it sends is taken for Snappy as it is.
    raw.session.helloAccepted(4);
    const { rw } = await protocol.next();
    const end = rejection(rw.read());
    raw.send(0x10, Uint8Array.from(bytes));
    const error = await end;
    expect(error).toMatchObject({ reason: 0x02, by: "local", phase: "session" });
    expect(error.cause).toMatchObject({ name: "RemoteProtocolError" });
    await expectToServe();
    expect(escaped).toEqual([]);
  });

  test("any flipped bit in a stream of messages is found", async () => {
    escaped = watchEscapes();
    await assert(
      asyncProperty(nat(1_000_000), integer({ min: 1, max: 5 }), async (bit, count) => {
        const { raw, run } = await enter();
        const end = within(
          "the end",
          (async () => {
            let read = 0;
            for await (const message of run.rw) read += message.size > 0 ? 1 : 0;
            return read;
          })(),
        );
        for (let i = 0; i < count; i += 1) raw.session.push(0x10, encodeRlp(i + 1));
        raw.stream.write(flip(raw.session.take(), bit));
        // A flipped size may ask for more than there is: then our end decides.
        raw.stream.end();
        expect(await end).toBeLessThan(count);
        expect(run.peer.signal.reason).toMatchObject({ phase: "session" });
        raw.stream.destroy();
        await until("it is gone", () => server.peers.length === 0);
      }),
      { numRuns: 25 },
    );
    await expectToServe();
    expect(escaped).toEqual([]);
  });

  test("any payload of a base message is survived", async () => {
    escaped = watchEscapes();
    const worst = new Uint8Array(64).fill(0xff);
    const examples = Object.values(BaseMessage).map((id): [number, Uint8Array<ArrayBuffer>] => [
      id,
      worst,
    ]);
    await assert(
      asyncProperty(nat(15), uint8Array({ maxLength: 64 }), async (msgId, payload) => {
        const { raw, run } = await enter();
        const end = rejection(run.rw.read());
        raw.send(msgId, payload);
        raw.send(BaseMessage.disconnect, encodeRlp([0]));
        expect(await end).toMatchObject({ by: "remote", phase: "session" });
        raw.stream.destroy();
        await until("it is gone", () => server.peers.length === 0);
      }),
      { numRuns: 25, examples },
    );
    expect(escaped).toEqual([]);
  });
});

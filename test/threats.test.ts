import {
  bytesEqual,
  concatBytes,
  curve,
  decodeRlp,
  encodeRlp,
  Enr,
  fromHex,
  nodeIdOf,
  portableCurve,
  RlpError,
  rlpItemLength,
} from "@heddle/identity";
import type { Curve, RlpInput } from "@heddle/identity";
import { BaseMessage, consoleLogger, decodeHello, Disconnect } from "@heddle/p2p";
import type { Protocol } from "@heddle/p2p";
import {
  bigint,
  defineProtocol,
  implement,
  list,
  mapped,
  notify,
  request,
  struct,
  text,
  tuple,
  uint,
} from "@heddle/protocol";
import { decompress, Initiator, openHandshake, Recipient, sealHandshake } from "@heddle/rlpx";
import { connectedPair, scriptedPeer } from "@heddle/testing";
import { describe, expect, test } from "vitest";

import {
  allEvents,
  idle,
  keyOf,
  nextEvent,
  rejection,
  settle,
  until,
  watchEscapes,
  within,
} from "./helpers.ts";
import { startTarget } from "./threats-target.ts";

/** What went wrong in other nodes of the network, and was published: each could have gone wrong here. */

const OUR_KEY = keyOf(1);
const OUR_ID = nodeIdOf(OUR_KEY);
const PEER_KEY = keyOf(2);

/** A curve that computes each result once, so that thousands of packets take no minutes; and notes which. */
function watchedCurve(): { curve: Curve; multiplied: Uint8Array[] } {
  const known = new Map<string, Uint8Array>();
  const multiplied: Uint8Array[] = [];
  const once = (name: string, args: Uint8Array[], compute: () => Uint8Array): Uint8Array => {
    const key = `${name}:${args.join(":")}`;
    const result = known.get(key) ?? compute();
    known.set(key, result);
    return result.slice();
  };
  const noble = portableCurve;
  return {
    multiplied,
    curve: {
      ...noble,
      publicKey: (key) => once("public", [key], () => noble.publicKey(key)),
      sign: (digest, key) => once("sign", [digest, key], () => noble.sign(digest, key)),
      sharedSecret(key, point) {
        multiplied.push(point.slice());
        return once("secret", [key, point], () => noble.sharedSecret(key, point));
      },
    },
  };
}

/** The error that a packet is refused with; undefined while more of it is awaited. */
function refusalOf(run: () => unknown): Error | undefined {
  try {
    expect(run()).toBeUndefined();
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** Entropy of which nothing secret depends here. */
const sevens = (length: number): Uint8Array => new Uint8Array(length).fill(7);

const remoteFault = (code: string) =>
  expect.objectContaining({ name: "RemoteProtocolError", code });

/** What is inside an auth packet that a peer would send us. */
function authFields(): RlpInput[] {
  const { auth } = new Initiator({ secretKey: PEER_KEY, remoteId: OUR_ID });
  const plaintext = openHandshake(OUR_KEY, auth);
  return [...(decodeRlp(plaintext.subarray(0, rlpItemLength(plaintext))) as Uint8Array[])];
}

/** An auth for us, or an ack for the dialer that `remoteId` names, with any public key in it. */
function withKey(what: "auth" | "ack", key: Uint8Array): Uint8Array {
  if (what === "ack") return sealHandshake(OUR_ID, encodeRlp([key, keyOf(5), 4]));
  return sealHandshake(OUR_ID, encodeRlp(authFields().with(1, key)));
}

/** How our side takes a packet, as the one dialed or the one that dialed. */
function receive(what: "auth" | "ack", packet: Uint8Array, on: Curve = curve): Error | undefined {
  const options = { secretKey: OUR_KEY, curve: on, randomBytes: sevens };
  return refusalOf(() =>
    what === "auth"
      ? new Recipient(options).receive(packet)
      : new Initiator({ ...options, remoteId: nodeIdOf(PEER_KEY) }).receive(packet),
  );
}

const P = 2n ** 256n - 2n ** 32n - 977n;
const wide = (n: bigint): Uint8Array => fromHex(n.toString(16).padStart(64, "0"));

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, base % P];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

/** The point with the least x, and one with a small y: those have a second encoding, beyond P. */
function pointsWithTwins(): { name: string; point: Uint8Array; twin: Uint8Array }[] {
  const y = power(1n + 7n, (P + 1n) / 4n);
  let smallY = 1n;
  let x = 0n;
  for (; ; smallY += 1n) {
    const cube = (smallY * smallY - 7n + P) % P;
    // A cube root, P being 7 modulo 9.
    x = power(cube, (P + 2n) / 9n);
    if (power(x, 3n) === cube) break;
  }
  return [
    { name: "x", point: concatBytes(wide(1n), wide(y)), twin: concatBytes(wide(1n + P), wide(y)) },
    {
      name: "y",
      point: concatBytes(wide(x), wide(smallY)),
      twin: concatBytes(wide(x), wide(smallY + P)),
    },
  ];
}

/** Points of other curves that differ in the constant alone, on which ECDH would work, and leak. */
const foreign: [string, Uint8Array][] = [
  ["of order 2", concatBytes(wide(1n), wide(0n))],
  ["of order 3", concatBytes(wide(0n), wide(5n))],
  ["off the curve", new Uint8Array(64).fill(0x11)],
  ["of zeros", new Uint8Array(64)],
];

describe("CVE-2026-22862: lengths of handshake packets", () => {
  test.each(["auth", "ack"] as const)(
    "an %s of any length up to 2048 is refused in its bounds",
    (what) => {
      const { curve: quick } = watchedCurve();
      for (let size = 0; size <= 2_048; size += 1) {
        const packet = new Uint8Array(2 + size).fill(0x04);
        packet.set([size >> 8, size & 0xff]);
        const code = size < 113 ? "ERR_RLPX_HANDSHAKE_SIZE" : "ERR_RLPX_BAD_HANDSHAKE";
        expect(receive(what, packet, quick), `size ${size}`).toEqual(remoteFault(code));
      }
    },
  );

  /** A packet that would be accepted. */
  function validPacket(what: "auth" | "ack", on: Curve): Uint8Array {
    const options = { curve: on, randomBytes: sevens };
    if (what === "auth") {
      return new Initiator({ ...options, secretKey: PEER_KEY, remoteId: OUR_ID }).auth;
    }
    const remoteId = nodeIdOf(PEER_KEY);
    const { auth } = new Initiator({ ...options, secretKey: OUR_KEY, remoteId });
    const answer = new Recipient({ ...options, secretKey: PEER_KEY }).receive(auth);
    return answer?.ack ?? new Uint8Array(0);
  }

  test.each(["auth", "ack"] as const)("an %s cut off anywhere is waited for", (what) => {
    const { curve: quick } = watchedCurve();
    const packet = validPacket(what, quick);
    expect(packet.length).toBeGreaterThan(300);
    for (let end = 0; end < packet.length; end += 1) {
      expect(receive(what, packet.subarray(0, end), quick), `${end} bytes`).toBeUndefined();
    }
  });

  test.each(["auth", "ack"] as const)(
    "an %s cut off anywhere and sealed again is refused",
    (what) => {
      const { curve: quick } = watchedCurve();
      const plaintext = openHandshake(OUR_KEY, validPacket(what, quick), quick);
      const fields = plaintext.subarray(0, rlpItemLength(plaintext));
      for (let end = 0; end < fields.length; end += 1) {
        const cut = fields.subarray(0, end);
        const packet = sealHandshake(OUR_ID, cut, { curve: quick, randomBytes: sevens });
        expect(receive(what, packet, quick)).toEqual(remoteFault("ERR_RLPX_BAD_HANDSHAKE"));
      }
    },
  );
});

test("CVE-2026-22868: who sends what only a costly check finds wrong is dropped, counted, and not checked again", async () => {
  let checks = 0;
  const Proof1 = defineProtocol({
    name: "proof",
    version: 1,
    messages: { proof: notify(0, uint) },
  });
  const protocols = implement([Proof1], {
    on: {
      proof(_context, value) {
        checks += 1;
        if (value !== 42) throw new Disconnect(0x02, "the proof does not hold");
      },
    },
  });
  const { server, enter } = await startTarget({ protocols });
  const raw = await enter("10.0.0.2", undefined, { capabilities: [{ name: "proof", version: 1 }] });
  for (const value of [42, 1, 2, 3]) raw.session.push(0x10, encodeRlp(value));
  raw.stream.write(raw.session.take());
  expect(await raw.readDisconnect()).toBe(0x02);
  expect(checks).toBe(2);
  expect(server.counters.disconnects.local).toEqual({ [0x02]: 1 });
});

describe("GHSA-m6j8-rg6r-7mv8: points before ECDH", () => {
  test.each(foreign)(
    "an ECIES key %s is multiplied with nothing, and told from a wrong tag by nobody",
    (_name, point) => {
      const { auth } = new Initiator({ secretKey: PEER_KEY, remoteId: OUR_ID });
      const [withPoint, withTag] = [auth.slice(), auth.slice()];
      withPoint.set(point, 3);
      withTag[auth.length - 1] = ~(auth.at(-1) ?? 0);
      const watched = watchedCurve();
      const [refusal, refusalOfTag] = [withPoint, withTag].map((packet) => {
        return receive("auth", packet, watched.curve);
      });
      expect(refusal).toEqual(remoteFault("ERR_RLPX_BAD_HANDSHAKE"));
      expect([refusal?.name, refusal?.message]).toEqual([
        refusalOfTag?.name,
        refusalOfTag?.message,
      ]);
      // As many multiplications for the one as for the other, and none with the point that came.
      expect(watched.multiplied).toHaveLength(2);
      expect(watched.multiplied.some((used) => bytesEqual(used, point))).toBe(false);
    },
  );
});

describe("GHSA-2gjw-fg97-vg3r: coordinates beyond the field", () => {
  test.each(pointsWithTwins())(
    "a second encoding of $name is no point anywhere",
    ({ point, twin }) => {
      expect(curve.isPoint(point)).toBe(true);
      expect(curve.isPoint(twin)).toBe(false);
      expect(portableCurve.isPoint(twin)).toBe(false);
      const { auth } = new Initiator({ secretKey: PEER_KEY, remoteId: OUR_ID });
      const asEcies = auth.slice();
      asEcies.set(twin, 3);
      for (const packet of [asEcies, withKey("auth", twin)]) {
        expect(receive("auth", packet)).toEqual(remoteFault("ERR_RLPX_BAD_HANDSHAKE"));
      }
      expect(receive("ack", withKey("ack", twin))).toEqual(remoteFault("ERR_RLPX_BAD_HANDSHAKE"));
    },
  );
});

describe("CVE-2025-24883: public keys inside packets", () => {
  test.each(foreign)(
    "a key %s in auth or ack is refused, as a node to dial, too",
    (_name, point) => {
      for (const what of ["auth", "ack"] as const) {
        expect(receive(what, withKey(what, point))).toEqual(remoteFault("ERR_RLPX_BAD_HANDSHAKE"));
      }
      expect(() => new Initiator({ secretKey: OUR_KEY, remoteId: point })).toThrow(
        expect.objectContaining({ code: "ERR_RLPX_BAD_REMOTE_ID" }),
      );
    },
  );

  test("a node record with a key that is no point is refused", () => {
    const key = concatBytes(Uint8Array.of(0x02), wide(5n));
    const record = encodeRlp([new Uint8Array(64), 1, "id", "v4", "secp256k1", key]);
    expect(() => Enr.decode(record)).toThrow(
      expect.objectContaining({ code: "ERR_ENR_BAD_PUBLIC_KEY" }),
    );
  });
});

describe("GHSA-689v-6xwf-5jf3: replies that nobody asked for", () => {
  async function asked() {
    let decoded = 0;
    const counted = mapped(uint, { decode: (n) => ((decoded += 1), n), encode: (n: number) => n });
    const Items1 = defineProtocol({
      name: "items",
      version: 1,
      messages: { items: request(0, 1, uint, list(counted, { max: 8 }), { maxReplyBytes: 64 }) },
    });
    let answer: Promise<unknown> = Promise.resolve();
    const protocols = implement([Items1], {
      on: { items: () => [] },
      async run(context) {
        answer = context.call.items(1);
        answer.catch(() => undefined);
        await answer;
      },
    });
    const { server, enter } = await startTarget({ protocols });
    const raw = await enter("10.0.0.2", undefined, {
      capabilities: [{ name: "items", version: 1 }],
    });
    // The request, so that there is a reply to give.
    expect((await raw.read())?.msgId).toBe(0x10);
    return { raw, server, answer: () => rejection(answer), decodedItems: () => decoded };
  }

  test.each([
    ["to another id", [99, [1, 2, 3]], "ERR_PROTOCOL_UNKNOWN_REQUEST"],
    ["of too many bytes", [1, [new Uint8Array(200)]], "ERR_PROTOCOL_REPLY_TOO_BIG"],
    ["of too many items", [1, [1, 2, 3, 4, 5, 6, 7, 8, 9]], "ERR_P2P_BAD_PAYLOAD"],
  ])("one %s ends the connection before its items are decoded", async (_what, reply, code) => {
    const { raw, answer, server, decodedItems } = await asked();
    const dropped = nextEvent(server, "peer:drop");
    raw.send(0x11, encodeRlp(reply));
    expect(await raw.readDisconnect()).toBe(0x02);
    const { error } = await dropped;
    expect([error.cause, (await answer()).cause]).toContainEqual(
      expect.objectContaining({ name: "RemoteProtocolError", code }),
    );
    expect(decodedItems()).toBeLessThanOrEqual(8);
    if (code !== "ERR_P2P_BAD_PAYLOAD") expect(decodedItems()).toBe(0);
  });
});

describe("CVE-2024-32972: amounts in requests", () => {
  const MAX = 1_024;
  const Headers1 = defineProtocol({
    name: "headers",
    version: 1,
    messages: {
      get: request(
        0,
        1,
        struct({ origin: bigint({ max: 2n ** 64n - 1n }), amount: uint({ max: MAX }) }),
        list(uint),
      ),
    },
  });
  const protocols = (): Protocol[] =>
    implement([Headers1], {
      // Counts down from the last one, the way that went wrong with amount - 1.
      on: { get: (_c, { amount }) => Array.from({ length: amount }, (_, i) => amount - 1 - i) },
    });

  test.each([0, 1, MAX - 1, MAX])("%i is answered with as many items", async (amount) => {
    await using pair = await connectedPair(protocols());
    const { call } = await pair.peerOnA.protocol(Headers1);
    expect(await call.get({ origin: 2n ** 64n - 1n, amount })).toHaveLength(amount);
  });

  test.each([BigInt(MAX) + 1n, 2n ** 32n, 2n ** 53n, 2n ** 64n - 1n, 2n ** 64n])(
    "%i ends the connection, no handler having run",
    async (amount) => {
      const { enter } = await startTarget({ protocols: protocols() });
      const raw = await enter("10.0.0.2", undefined, {
        capabilities: [{ name: "headers", version: 1 }],
      });
      raw.send(0x10, encodeRlp([1, [0, amount]]));
      expect((await raw.read())?.msgId).toBe(BaseMessage.disconnect);
    },
  );
});

test("go-ethereum #30029: a handshake packet of 2049 bytes is refused after its two bytes of size", async () => {
  const { server, connect } = await startTarget();
  const failure = nextEvent(server, "handshake", ({ failed }) => failed !== undefined);
  const raw = await connect("10.0.0.2");
  raw.stream.write(Uint8Array.of(2_049 >> 8, 2_049 & 0xff));
  const { failed } = await within("a refusal", failure);
  expect(failed?.error.cause).toEqual(remoteFault("ERR_RLPX_HANDSHAKE_SIZE"));
  await raw.over();
  expect(raw.bytesIn).toBe(0);
});

test("CVE-2023-40591: pings from a peer that reads nothing are held back, then the peer is dropped", async () => {
  const { server, clock, enter } = await startTarget({ protocols: [idle()] });
  const raw = await enter("10.0.0.2");
  await until("a peer", () => server.peers.length === 1);
  raw.stream.pause();
  const PINGS = 1_000;
  let sent = 0;
  for (let hasRoom = true; hasRoom && sent < 1_000_000; sent += PINGS) {
    for (let i = 0; i < PINGS; i += 1) raw.session.push(BaseMessage.ping, Uint8Array.of(0xc0));
    hasRoom = raw.stream.write(raw.session.take());
    await settle();
  }
  // The server has stopped reading: what waits, waits with the sender.
  expect(sent).toBeLessThan(100_000);
  const dropped = nextEvent(server, "peer:drop");
  await clock.advance(server.config.limits.writeTimeoutMs);
  expect((await within("the drop", dropped)).error).toMatchObject({ by: "local", reason: 0x01 });
});

describe("CVE-2022-29177: reasons to disconnect", () => {
  const long = new Uint8Array(1_000).fill(0x41);
  const payloads: [string, Uint8Array][] = [
    ...[
      0n,
      1n,
      127n,
      128n,
      255n,
      256n,
      2n ** 31n,
      2n ** 32n,
      2n ** 53n,
      2n ** 63n,
      2n ** 64n - 1n,
    ].flatMap((n): [string, Uint8Array][] => [
      [`${n} in a list`, encodeRlp([n])],
      [`${n} bare`, encodeRlp(n)],
    ]),
    ["absent", new Uint8Array(0)],
    ["an empty list", encodeRlp([])],
    ["nested", encodeRlp([[[1]]])],
    ["nested deeply", new Uint8Array(1_000).fill(0xc1)],
    ["long", encodeRlp([long])],
    ["many", encodeRlp([1, 2, 3])],
  ];

  test.each(["debug", "info", "warn", "error"] as const)(
    "of any value are survived and logged at level %s",
    async (level) => {
      const escaped = watchEscapes();
      const lines: unknown[] = [];
      const note = (line: unknown): void => void lines.push(line);
      const target = { debug: note, info: note, warn: note, error: note };
      const { server, enter } = await startTarget({
        protocols: [idle()],
        logger: consoleLogger(target, level),
      });
      for (const [at, [what, payload]] of payloads.entries()) {
        const dropped = nextEvent(server, "peer:drop");
        const raw = await enter(`10.0.1.${at}`);
        raw.send(BaseMessage.disconnect, payload);
        const { error } = await within(`the drop after ${what}`, dropped);
        expect(error.by, what).toBe("remote");
        expect(error.reason, what).toBeGreaterThanOrEqual(0);
        expect(error.reason, what).toBeLessThanOrEqual(255);
        raw.stream.destroy();
      }
      if (level === "debug" || level === "info")
        expect(lines.length).toBeGreaterThan(payloads.length);
      expect(escaped).toEqual([]);
    },
  );
});

describe("handlers that crash", () => {
  const Trie1 = defineProtocol({
    name: "trie",
    version: 1,
    messages: {
      nodes: request(0, 1, list(list(text)), text),
      proofs: notify(2, tuple(uint, uint)),
    },
  });

  /** Two peers; what one of them sends makes its handler throw. */
  async function crash(send: (raw: Awaited<ReturnType<typeof scriptedPeer>>) => void) {
    const escaped = watchEscapes();
    const protocols = implement([Trie1], {
      on: {
        // What an index that is not there gives, and a TypeError then.
        nodes: (_c, paths) => (paths[7] as readonly string[])[0] as string,
        proofs: (_c, [at]) => void "x".repeat(at - 10),
      },
    });
    await using pair = await connectedPair(protocols);
    const errors = allEvents(pair.b, "protocol:error");
    await using raw = await scriptedPeer(pair.b);
    send(raw);
    await raw.expectDisconnect(0x10);
    expect(errors).toHaveLength(1);
    expect(pair.b.peers).toHaveLength(1);
    await pair.peerOnA.ping();
    expect(escaped).toEqual([]);
  }

  test("CVE-2021-41173: a request that crashes its handler ends that peer's connection alone", async () => {
    await crash((raw) => raw.capability("trie").send(0, [1, [["a"]]]));
  });

  test("CVE-2020-26264: a notification that crashes its handler ends that peer's connection alone", async () => {
    await crash((raw) => raw.capability("trie").send(2, [3, 4]));
  });
});

test("EL-2018-04 to EL-2018-07: one address gets one connection in a window of time, others are let in beside it", async () => {
  const { server, connect, enter, clock } = await startTarget({ protocols: [idle()] });
  const first = await enter("10.0.0.2");
  await until("a peer", () => server.peers.length === 1);
  for (let i = 0; i < 100; i += 1) {
    const again = await connect("10.0.0.2");
    await again.over();
    expect(again.bytesIn).toBe(0);
  }
  expect(server.counters.serves.refused).toBe(100);
  await enter("10.0.0.3");
  await until("another peer", () => server.peers.length === 2);
  first.stream.destroy();
  await clock.advance(server.config.limits.inboundThrottleMs);
  await enter("10.0.0.2");
});

describe("EL-2024-06, EL-2024-20, EL-2025-12, EL-2025-18: floods of strangers", () => {
  const FLOOD = 300;

  test.each([
    ["handshakes that are begun and never finished", false],
    ["handshakes of which some are finished, and followed by nothing", true],
  ])("%s hold no more than the pending slots", async (_what, isShaken) => {
    const { server, connect, enter } = await startTarget({ protocols: [idle()] });
    const crowd = [];
    for (let i = 0; i < FLOOD; i += 1) {
      const raw = await connect(`10.1.${i >> 8}.${i & 0xff}`);
      if (isShaken && i % 10 === 0) await raw.initiate(server.id);
      else raw.stream.write(Uint8Array.of(0x01));
      crowd.push(raw);
    }
    await settle();
    const open = crowd.filter(({ isClosed, isEnded }) => !isClosed && !isEnded);
    expect(open.length).toBeLessThanOrEqual(server.config.limits.maxPendingHandshakes);
    await enter("10.0.0.2");
    await until("the honest peer is in", () => server.peers.length === 1);
  });

  test.each([
    ["connections in the name of a trusted node", true],
    ["connections in one name that nobody trusts", false],
  ])("%s become one peer, whatever their number", async (_what, isTrusted) => {
    const key = keyOf(77);
    const enode = `enode://${Buffer.from(nodeIdOf(key)).toString("hex")}@10.0.0.9:30303`;
    const { server, connect } = await startTarget({
      protocols: [idle()],
      maxPeers: 3,
      ...(isTrusted ? { trusted: [enode] } : {}),
    });
    const crowd = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const raw = await connect(`10.2.0.${i}`, key);
        await raw.initiate(server.id);
        if (raw.isClosed) return raw;
        raw.sendHello();
        return raw;
      }),
    );
    const open = () => crowd.filter(({ isClosed, isEnded }) => !isClosed && !isEnded);
    await until("one is left", () => open().length === 1);
    expect(server.peers).toHaveLength(1);
  });
});

test("EL-2025-03: every input of up to two bytes brings every decoder to its end", () => {
  const decoders: ((bytes: Uint8Array) => unknown)[] = [
    decodeRlp,
    decodeHello,
    (bytes) => decompress(bytes, 1_024),
    (bytes) => list(text).decode(bytes),
    (bytes) => Enr.decode(bytes),
  ];
  const names = new Set<string>();
  const outcomes = { read: 0, refused: 0 };
  for (let n = 0; n < 0x1_0100; n += 1) {
    const bytes = n < 0x100 ? Uint8Array.of(n) : Uint8Array.of((n - 0x100) >> 8, n & 0xff);
    for (const decode of decoders) {
      try {
        decode(bytes);
        outcomes.read += 1;
      } catch (error) {
        outcomes.refused += 1;
        names.add(error instanceof RlpError ? "RlpError" : (error as Error).name);
      }
    }
  }
  expect(outcomes.read + outcomes.refused).toBe(0x1_0100 * decoders.length);
  expect([...names].sort()).toEqual(["EnrError", "RemoteProtocolError", "RlpError"]);
});

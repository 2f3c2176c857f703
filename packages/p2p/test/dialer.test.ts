import { getEventListeners } from "node:events";

import { nodeIdOf } from "@heddle/identity";
import type { Enode } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import { createConfig } from "../src/config.ts";
import type { ServerOptions } from "../src/config.ts";
import { createCounters } from "../src/counters.ts";
import { ScopeGroup } from "../src/deadline.ts";
import { Dialer } from "../src/dialer.ts";
import type { DialerHost } from "../src/dialer.ts";
import { Disconnect } from "../src/disconnect.ts";
import { DialError } from "../src/errors.ts";
import { EstablishError } from "../src/establish.ts";
import type { LivePeer } from "../src/peer.ts";
import type { ByteStream } from "../src/stream.ts";
import { TaskSet } from "../src/tasks.ts";
import { defer, keyOf, ManualClock, rejection, settle, watchEscapes } from "./harness.ts";
import type { Deferred } from "./harness.ts";

const OUR_KEY = keyOf(1);

function nodeOf(n: number, changes: Partial<Enode> = {}): Enode {
  return { id: nodeIdOf(keyOf(n)), host: "10.0.0.9", tcpPort: 1, udpPort: 1, ...changes };
}

/** A peer and a stream, as far as a dialer looks at them. */
const peerOf = (node: Enode): LivePeer => ({ id: node.id }) as LivePeer;
function streamOf(): ByteStream & { isDestroyed: boolean } {
  const stream = {
    isDestroyed: false,
    open: () => undefined,
    destroy: () => void (stream.isDestroyed = true),
  };
  return stream as Partial<ByteStream> as ByteStream & { isDestroyed: boolean };
}

interface Attempt {
  readonly address: { host: string; port: number };
  readonly signal: AbortSignal;
  readonly stream: Deferred<ByteStream>;
}

interface Admission {
  readonly node: Enode;
  readonly signal: AbortSignal;
  readonly peer: Deferred<LivePeer>;
}

/** A server as its dialer sees it; connecting and admission are the test's to settle. */
class Host implements DialerHost {
  readonly clock = new ManualClock();
  readonly attempts: Attempt[] = [];
  readonly admissions: Admission[] = [];
  readonly outcomes: (DialError | undefined)[] = [];
  readonly peers = new Set<LivePeer>();
  readonly controller = new AbortController();
  readonly signal = this.controller.signal;
  readonly scopes = new ScopeGroup();
  readonly tasks = new TaskSet();
  readonly counters = createCounters();
  readonly nodeId = nodeIdOf(OUR_KEY);
  readonly config: DialerHost["config"];
  greeting: Promise<void> | undefined;
  added: Deferred<LivePeer> = defer<LivePeer>();
  onDialed: () => void = () => undefined;

  constructor(options: Partial<ServerOptions> = {}) {
    this.config = createConfig({
      key: OUR_KEY,
      clientId: "test/1",
      clock: this.clock,
      transport: {
        name: "scripted",
        listen: () => Promise.reject(new Error("no listening")),
        dial: (address, { signal }) => {
          const stream = defer<ByteStream>();
          this.attempts.push({ address, signal, stream });
          return stream.promise;
        },
      },
      ...options,
    });
  }

  peerOf(id: Uint8Array): LivePeer | undefined {
    return [...this.peers].find((peer) => peer.id === id);
  }

  /** The node says Hello to us until `greeting` settles. */
  greet(greeting: Promise<void>): void {
    this.greeting = greeting.finally(() => (this.greeting = undefined));
  }

  inboundDecided(): Promise<void> | undefined {
    return this.greeting;
  }

  peerAdded(_id: Uint8Array, signal: AbortSignal): Promise<LivePeer> {
    signal.addEventListener("abort", () => this.added.reject(signal.reason), { once: true });
    return this.added.promise;
  }

  admit(_stream: ByteStream, node: Enode, signal: AbortSignal): Promise<LivePeer> {
    const peer = defer<LivePeer>();
    this.admissions.push({ node, signal, peer });
    signal.addEventListener("abort", () => peer.reject(signal.reason), { once: true });
    return peer.promise;
  }

  dialed(_node: Enode, error: DialError | undefined): void {
    this.outcomes.push(error);
    this.onDialed();
  }
}

function setUp(options: Partial<ServerOptions> = {}): { host: Host; dialer: Dialer } {
  const host = new Host(options);
  return { host, dialer: new Dialer(host) };
}

const refusedBy = (side: "local" | "remote", reason: number): EstablishError =>
  new EstablishError("refused", { phase: "hello", reason, side });

describe("a dial", () => {
  test("connects to the node's TCP port and resolves with the peer that is made of the stream", async () => {
    const { host, dialer } = setUp();
    const node = nodeOf(2, { tcpPort: 30_303 });
    const outcome = dialer.dial(node);
    expect([dialer.size, dialer.isDialing(node.id)]).toEqual([1, true]);
    await settle();
    expect(host.attempts.map(({ address }) => address)).toEqual([
      { host: "10.0.0.9", port: 30_303 },
    ]);
    host.attempts[0]?.stream.resolve(streamOf());
    await settle();
    const peer = peerOf(node);
    host.admissions[0]?.peer.resolve(peer);
    expect(await outcome).toBe(peer);
    expect(host.outcomes).toEqual([undefined]);
    expect(host.counters.dials).toEqual({ succeeded: 1, failed: {} });
    expect([dialer.size, dialer.isDialing(node.id)]).toEqual([0, false]);
    expect(host.clock.pending).toBe(0);
  });

  test("of a node that is a peer already does not connect", async () => {
    const { host, dialer } = setUp();
    const node = nodeOf(2);
    const peer = peerOf(node);
    host.peers.add(peer);
    expect(await dialer.dial(node)).toBe(peer);
    expect(await dialer.dial(node, AbortSignal.abort())).toBe(peer);
    expect([host.attempts, host.outcomes]).toEqual([[], []]);
  });

  test("of a node that another caller dials is the same dial, told of once", async () => {
    const { host, dialer } = setUp();
    const node = nodeOf(2);
    const outcomes = [
      dialer.dial(node),
      dialer.dial(node, new AbortController().signal),
      dialer.dial(node),
    ];
    await settle();
    outcomes.push(dialer.dial(node));
    expect(host.attempts).toHaveLength(1);
    host.attempts[0]?.stream.resolve(streamOf());
    await settle();
    const peer = peerOf(node);
    host.admissions[0]?.peer.resolve(peer);
    expect(await Promise.all(outcomes)).toEqual([peer, peer, peer, peer]);
    expect(host.outcomes).toHaveLength(1);
  });

  test("of another node is another dial", async () => {
    const { host, dialer } = setUp();
    const outcomes = [rejection(dialer.dial(nodeOf(2))), rejection(dialer.dial(nodeOf(3)))];
    await settle();
    expect(host.attempts).toHaveLength(2);
    for (const { stream } of host.attempts) stream.reject(new Error("gone"));
    await Promise.all(outcomes);
  });

  test("that failed is over: the next one connects anew", async () => {
    const { host, dialer } = setUp();
    for (const n of [1, 2]) {
      const outcome = rejection(dialer.dial(nodeOf(2)));
      await settle();
      expect(host.attempts).toHaveLength(n);
      host.attempts[n - 1]?.stream.reject(new Error("gone"));
      await outcome;
    }
    expect(host.counters.dials).toEqual({ succeeded: 0, failed: { dial: 2 } });
  });

  test("by whoever is told of a failure connects anew, too", async () => {
    const { host, dialer } = setUp();
    const again: Promise<Error>[] = [];
    host.onDialed = () => {
      if (again.length === 0) again.push(rejection(dialer.dial(nodeOf(2))));
    };
    const outcome = rejection(dialer.dial(nodeOf(2)));
    await settle();
    host.attempts[0]?.stream.reject(new Error("first"));
    expect((await outcome).message).toContain("first");
    await settle();
    expect(host.attempts).toHaveLength(2);
    host.attempts[1]?.stream.reject(new Error("second"));
    expect((await again[0])?.message).toContain("second");
  });

  test("that nobody may make is told of later, so that dialing again in answer does no harm", async () => {
    const { host, dialer } = setUp();
    const again: Promise<Error>[] = [];
    host.onDialed = () => {
      if (again.length < 10) again.push(rejection(dialer.dial(nodeOf(1))));
    };
    const outcome = rejection(dialer.dial(nodeOf(1)));
    expect(host.outcomes).toEqual([]);
    await outcome;
    await settle();
    await Promise.all(again);
    expect(host.outcomes).toHaveLength(11);
  });

  test("waits for the node's own connection, if it is just saying Hello", async () => {
    const { host, dialer } = setUp();
    const greeting = defer();
    host.greet(greeting.promise);
    const node = nodeOf(2);
    const outcome = dialer.dial(node);
    await settle();
    expect(host.attempts).toEqual([]);
    const peer = peerOf(node);
    host.peers.add(peer);
    greeting.resolve();
    expect(await outcome).toBe(peer);
    expect(host.attempts).toEqual([]);
  });

  test("goes on by itself when the node's own connection comes to nothing", async () => {
    const { host, dialer } = setUp();
    const greeting = defer();
    host.greet(greeting.promise);
    const outcome = rejection(dialer.dial(nodeOf(2)));
    greeting.resolve();
    await settle();
    expect(host.attempts).toHaveLength(1);
    host.attempts[0]?.stream.reject(new Error("gone"));
    await outcome;
  });
});

describe("a failure says how far it got, why it ended and on which side", () => {
  test.each([
    ["ourselves", nodeOf(1), {}, 0x0a, "cannot dial ourselves"],
    ["a node without a TCP port", nodeOf(2, { tcpPort: 0 }), {}, 0x00, "has no TCP port"],
    [
      "a node outside the allowed ranges",
      nodeOf(2, { host: "10.9.0.1" }),
      { allow: ["10.0.0.0/16"] },
      0x00,
      "10.9.0.1 is outside the allowed ranges",
    ],
  ])("for %s, which is not dialed", async (_name, node, options, reason, message) => {
    const { host, dialer } = setUp(options);
    const error = await rejection(dialer.dial(node));
    expect(error).toBeInstanceOf(DialError);
    expect(error).toMatchObject({ code: "ERR_P2P_DIAL", phase: "dial", side: "local", reason });
    expect(error.message).toContain(message);
    expect(host.attempts).toEqual([]);
    expect(host.outcomes).toEqual([error]);
  });

  test("on a server that has stopped", async () => {
    const { host, dialer } = setUp();
    host.controller.abort();
    expect(await rejection(dialer.dial(nodeOf(2)))).toMatchObject({ reason: 0x08, side: "local" });
    expect(host.attempts).toEqual([]);
  });

  test("of the transport", async () => {
    const { host, dialer } = setUp();
    const outcome = rejection(dialer.dial(nodeOf(2)));
    await settle();
    const cause = new Error("unreachable");
    host.attempts[0]?.stream.reject(cause);
    const error = await outcome;
    expect(error).toMatchObject({ phase: "dial", reason: 0x01, side: "local", cause });
    expect(error.message).toBe("dialing 10.0.0.9:1 failed in phase dial: unreachable");
    expect(host.admissions).toEqual([]);
  });

  test("of a transport that throws what is no error", async () => {
    const { host, dialer } = setUp();
    const outcome = rejection(dialer.dial(nodeOf(2)));
    await settle();
    host.attempts[0]?.stream.reject("just text");
    expect(await outcome).toMatchObject({ phase: "dial", cause: "just text" });
  });

  test.each([
    ["hello", 0x04, "remote"],
    ["hello", 0x05, "local"],
    ["handshake", 0x01, "remote"],
  ] as const)("of phase %s, reason %i, %s side", async (phase, reason, side) => {
    const { host, dialer } = setUp();
    const outcome = rejection(dialer.dial(nodeOf(2)));
    await settle();
    host.attempts[0]?.stream.resolve(streamOf());
    await settle();
    const cause = new EstablishError("why", { phase, reason, side });
    host.admissions[0]?.peer.reject(cause);
    host.added.reject(new Error("no other connection"));
    expect(await outcome).toMatchObject({ phase, reason, side, cause });
    expect(host.counters.dials.failed).toEqual({ [phase]: 1 });
  });

  test("after dialTimeoutMs without a connection, and what comes later is destroyed", async () => {
    const { host, dialer } = setUp({ limits: { dialTimeoutMs: 100 } });
    const outcome = rejection(dialer.dial(nodeOf(2)));
    await host.clock.advance(99);
    expect(host.attempts[0]?.signal.aborted).toBe(false);
    await host.clock.advance(1);
    const error = await outcome;
    expect(error).toMatchObject({ phase: "dial", reason: 0x01 });
    expect(error.cause).toMatchObject({ name: "TimeoutError", what: "dial", ms: 100 });
    const late = streamOf();
    host.attempts[0]?.stream.resolve(late);
    await settle();
    expect(late.isDestroyed).toBe(true);
    expect(host.clock.pending).toBe(0);
  });

  test("counts the handshake's deadline from the connection on", async () => {
    const { host, dialer } = setUp({ limits: { dialTimeoutMs: 100, handshakeTimeoutMs: 70 } });
    const outcome = rejection(dialer.dial(nodeOf(2)));
    await host.clock.advance(90);
    host.attempts[0]?.stream.resolve(streamOf());
    await host.clock.advance(69);
    expect(host.admissions[0]?.signal.aborted).toBe(false);
    await host.clock.advance(1);
    expect(host.admissions[0]?.signal.reason).toMatchObject({ what: "handshake", ms: 70 });
    await outcome;
    expect(host.clock.pending).toBe(0);
  });
});

describe("a connection that goes to the other side's dial", () => {
  test("resolves with the peer that is there already", async () => {
    const { host, dialer } = setUp();
    const node = nodeOf(2);
    const outcome = dialer.dial(node);
    await settle();
    host.attempts[0]?.stream.resolve(streamOf());
    await settle();
    const peer = peerOf(node);
    host.peers.add(peer);
    host.admissions[0]?.peer.reject(refusedBy("remote", 0x05));
    expect(await outcome).toBe(peer);
  });

  test("waits for that peer to be added, within the deadline", async () => {
    const { host, dialer } = setUp();
    const node = nodeOf(2);
    const outcome = dialer.dial(node);
    await settle();
    host.attempts[0]?.stream.resolve(streamOf());
    await settle();
    host.admissions[0]?.peer.reject(refusedBy("remote", 0x05));
    await settle();
    const peer = peerOf(node);
    host.added.resolve(peer);
    expect(await outcome).toBe(peer);
    expect(host.clock.pending).toBe(0);
  });

  test("fails as it was refused when no such peer comes", async () => {
    const { host, dialer } = setUp({ limits: { handshakeTimeoutMs: 50 } });
    const outcome = rejection(dialer.dial(nodeOf(2)));
    await settle();
    host.attempts[0]?.stream.resolve(streamOf());
    await settle();
    host.admissions[0]?.peer.reject(refusedBy("remote", 0x05));
    await host.clock.advance(50);
    expect(await outcome).toMatchObject({ reason: 0x05, side: "remote", phase: "hello" });
  });
});

describe("cancellation", () => {
  test("by a signal that had aborted before dials nothing and tells of nothing", async () => {
    const { host, dialer } = setUp();
    const reason = new Error("changed my mind");
    const error = await rejection(dialer.dial(nodeOf(2), AbortSignal.abort(reason)));
    expect(error).toMatchObject({ phase: "dial", reason: 0x00, side: "local", cause: reason });
    await settle();
    expect([host.attempts, host.outcomes, dialer.size]).toEqual([[], [], 0]);
  });

  test("by one of two callers leaves the dial to the other", async () => {
    const { host, dialer } = setUp();
    const node = nodeOf(2);
    const mine = new AbortController();
    const theirs = new AbortController();
    const left = rejection(dialer.dial(node, mine.signal));
    const stayed = dialer.dial(node, theirs.signal);
    await settle();
    const reason = new Error("enough");
    mine.abort(reason);
    expect(await left).toMatchObject({ reason: 0x00, cause: reason });
    expect(host.attempts[0]?.signal.aborted).toBe(false);
    host.attempts[0]?.stream.resolve(streamOf());
    await settle();
    const peer = peerOf(node);
    host.admissions[0]?.peer.resolve(peer);
    expect(await stayed).toBe(peer);
  });

  test("by everybody who brought a signal leaves the dial to who brought none", async () => {
    const { host, dialer } = setUp();
    const mine = new AbortController();
    const left = rejection(dialer.dial(nodeOf(2), mine.signal));
    const stayed = rejection(dialer.dial(nodeOf(2)));
    await settle();
    mine.abort();
    await left;
    expect(host.attempts[0]?.signal.aborted).toBe(false);
    host.attempts[0]?.stream.reject(new Error("gone"));
    expect((await stayed).message).toContain("gone");
  });

  test("by the last caller ends it, once, whatever it waits for", async () => {
    for (const phase of ["dial", "handshake", "inbound"] as const) {
      const { host, dialer } = setUp();
      if (phase === "inbound") host.greeting = new Promise(() => undefined);
      const controllers = [new AbortController(), new AbortController()];
      const outcomes = controllers.map(({ signal }) => rejection(dialer.dial(nodeOf(2), signal)));
      await settle();
      if (phase === "handshake") host.attempts[0]?.stream.resolve(streamOf());
      await settle();
      const reasons = controllers.map((_, i) => new Error(`caller ${i} leaves`));
      for (const [i, controller] of controllers.entries()) controller.abort(reasons[i]);
      for (const [i, outcome] of outcomes.entries()) {
        const error = await outcome;
        expect(error).toMatchObject({ name: "DialError", reason: 0x00 });
        expect(error.cause).toBe(reasons[i]);
      }
      expect(host.outcomes).toHaveLength(1);
      expect(dialer.size).toBe(0);
      expect(host.clock.pending).toBe(0);
    }
  });

  test("by the last caller is not the next caller's: its dial is a new one", async () => {
    const { host, dialer } = setUp();
    const node = nodeOf(2);
    const controller = new AbortController();
    const left = rejection(dialer.dial(node, controller.signal));
    await settle();
    controller.abort();
    const next = dialer.dial(node);
    expect(await left).toMatchObject({ reason: 0x00 });
    await settle();
    expect(host.attempts.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    expect([dialer.size, dialer.isDialing(node.id)]).toEqual([1, true]);
    host.attempts[1]?.stream.resolve(streamOf());
    await settle();
    const peer = peerOf(node);
    host.admissions[0]?.peer.resolve(peer);
    expect(await next).toBe(peer);
  });

  test("also finds a new dial from within the abort itself", async () => {
    const { host, dialer } = setUp();
    const controller = new AbortController();
    const left = rejection(dialer.dial(nodeOf(2), controller.signal));
    await settle();
    const again: Promise<Error>[] = [];
    host.attempts[0]?.signal.addEventListener("abort", () => {
      again.push(rejection(dialer.dial(nodeOf(2))));
    });
    controller.abort();
    await left;
    await settle();
    expect(host.attempts).toHaveLength(2);
    host.attempts[1]?.stream.reject(new Error("gone"));
    expect((await again[0])?.message).toContain("gone");
  });

  test("leaves no listener on the caller's signal, however the dial ends", async () => {
    const escaped = watchEscapes();
    const { host, dialer } = setUp();
    const { signal } = new AbortController();
    const outcome = rejection(dialer.dial(nodeOf(2), signal));
    await settle();
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    host.attempts[0]?.stream.reject(new Error("gone"));
    await outcome;
    await settle();
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(escaped).toEqual([]);
  });

  test("by the server's end is everybody's", async () => {
    const { host, dialer } = setUp();
    const outcomes = [
      rejection(dialer.dial(nodeOf(2))),
      rejection(dialer.dial(nodeOf(2), new AbortController().signal)),
    ];
    await settle();
    host.scopes.abort(new Disconnect(0x08));
    for (const outcome of outcomes) expect(await outcome).toMatchObject({ reason: 0x08 });
    expect(host.clock.pending).toBe(0);
  });
});

test("a node that cannot be written as a URL fails its dial, not what would show it later", async () => {
  const { host, dialer } = setUp();
  const error = await rejection(dialer.dial(nodeOf(2, { host: "fe80::1%eth0" })));
  expect(error).toMatchObject({
    name: "DialError",
    phase: "dial",
    side: "local",
    cause: { code: "ERR_ENODE_BAD_HOST" },
  });
  expect(host.attempts).toEqual([]);
});

describe("decided()", () => {
  test("has nothing to wait for where no dial is under way, or none that is connected", async () => {
    const { host, dialer } = setUp();
    const node = nodeOf(2);
    expect(dialer.decided(node.id)).toBeUndefined();
    const outcome = rejection(dialer.dial(node));
    await settle();
    expect(dialer.decided(node.id)).toBeUndefined();
    host.attempts[0]?.stream.reject(new Error("gone"));
    await outcome;
  });

  test("resolves when the dial has come to its end, also to a bad one", async () => {
    const { host, dialer } = setUp();
    const node = nodeOf(2);
    const outcome = rejection(dialer.dial(node));
    await settle();
    host.attempts[0]?.stream.resolve(streamOf());
    await settle();
    let isDecided = false;
    const decided = dialer.decided(node.id)?.then(() => (isDecided = true));
    await settle();
    expect(isDecided).toBe(false);
    host.admissions[0]?.peer.reject(new Error("gone"));
    await decided;
    expect(isDecided).toBe(true);
    await outcome;
    expect(dialer.decided(node.id)).toBeUndefined();
  });
});

describe("a dial that connects while the node says Hello to us", () => {
  /** Connected, and waiting for its turn. */
  async function late() {
    const { host, dialer } = setUp();
    const node = nodeOf(2);
    const controller = new AbortController();
    const outcome = dialer.dial(node, controller.signal);
    outcome.catch(() => undefined);
    await settle();
    const [greeting, stream] = [defer(), streamOf()];
    host.greet(greeting.promise);
    host.attempts[0]?.stream.resolve(stream);
    await settle();
    expect(host.admissions).toEqual([]);
    // Each would wait for the other.
    expect(dialer.decided(node.id)).toBeUndefined();
    return { host, node, outcome, greeting, stream, controller };
  }

  test("takes the peer that comes of it, and leaves its own stream", async () => {
    const { host, node, outcome, greeting, stream } = await late();
    const peer = peerOf(node);
    host.peers.add(peer);
    greeting.resolve();
    expect(await outcome).toBe(peer);
    expect(stream.isDestroyed).toBe(true);
    expect(host.admissions).toEqual([]);
  });

  test("goes on when nothing comes of it", async () => {
    const { host, node, outcome, greeting, stream } = await late();
    greeting.resolve();
    await settle();
    const peer = peerOf(node);
    host.admissions[0]?.peer.resolve(peer);
    expect(await outcome).toBe(peer);
    expect(stream.isDestroyed).toBe(false);
  });

  test("waits no longer than a handshake may take, or its caller wants it", async () => {
    const timed = await late();
    await timed.host.clock.advance(5_000);
    expect(await rejection(timed.outcome)).toMatchObject({
      cause: { what: "handshake", ms: 5_000 },
    });
    const aborted = await late();
    const reason = new Error("enough");
    aborted.controller.abort(reason);
    expect(await rejection(aborted.outcome)).toMatchObject({ reason: 0x00, cause: reason });
    for (const { stream } of [timed, aborted]) expect(stream.isDestroyed).toBe(true);
  });
});

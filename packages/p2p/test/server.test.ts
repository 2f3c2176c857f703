import { EnodeError, generateSecretKey, nodeIdOf, parseEnode, toHex } from "@heddle/identity";
import type { Enode } from "@heddle/identity";
import { describe, expect, test } from "vitest";

import { consoleLogger, DialError, Disconnect, MemoryNetwork } from "../src/index.ts";
import type { Server, Transport } from "../src/index.ts";
import {
  allEvents,
  connectPair,
  connectScripted,
  createServer,
  defer,
  dialRaw,
  idle,
  keyOf,
  ManualClock,
  networks,
  nextEvent,
  RawPeer,
  rejection,
  Scripted,
  settle,
  startServer,
  until,
  watchEscapes,
  within,
} from "./harness.ts";

/** Connects `count` hand-made peers; returns those that were let in and the reasons of the others. */
async function knock(server: Server, count: number, firstKey = 2_000) {
  const reasons: (number | undefined)[] = [];
  const raws: RawPeer[] = [];
  for (let i = 0; i < count; i += 1) {
    const before = server.peers.length;
    const raw = await (await dialRaw(server, keyOf(firstKey + i))).initiate(server.id);
    raw.sendHello();
    await until("a decision", () => server.peers.length > before || raw.isEnded);
    if (raw.isEnded) reasons.push(await raw.readDisconnect());
    else raws.push(raw);
  }
  return { raws, reasons };
}

describe("admission", () => {
  test("beyond the inbound share is refused with 0x04", async () => {
    const server = await startServer({
      ...networks().memory("127.0.0.2"),
      protocols: [idle()],
      maxPeers: 6,
      dialRatio: 3,
    });
    const { raws, reasons } = await knock(server, 6);
    expect(raws).toHaveLength(4);
    expect(reasons).toEqual([0x04, 0x04]);
    expect(server.peers.every(({ inbound }) => inbound)).toBe(true);
  });

  test("a peer that leaves makes room", async () => {
    const server = await startServer({
      ...networks().memory("127.0.0.2"),
      protocols: [idle()],
      maxPeers: 1,
      dialRatio: 1,
    });
    const { raws } = await knock(server, 1);
    expect((await knock(server, 1, 2_100)).reasons).toEqual([0x04]);
    raws[0]?.stream.destroy();
    await until("it is gone", () => server.peers.length === 0);
    expect((await knock(server, 1, 2_200)).raws).toHaveLength(1);
  });

  test("maxPeers holds when many say Hello in the same moment", async () => {
    const server = await startServer({
      ...networks().memory("127.0.0.2"),
      protocols: [idle()],
      maxPeers: 3,
      dialRatio: 1,
    });
    const raws = await Promise.all(
      Array.from({ length: 12 }, async (_, i) =>
        (await dialRaw(server, keyOf(2_000 + i))).initiate(server.id),
      ),
    );
    for (const raw of raws) raw.sendHello();
    await settle();
    expect(server.peers).toHaveLength(3);
    expect(raws.filter(({ isEnded }) => isEnded)).toHaveLength(9);
  });

  test("maxPeers holds for what we dial, too", async () => {
    const on = networks().memory;
    const fars = [
      await startServer({ ...on("127.0.0.2"), protocols: [idle()] }),
      await startServer({ ...on("127.0.0.3"), protocols: [idle()] }),
    ];
    const near = await startServer({ ...on("127.0.0.1"), protocols: [idle()], maxPeers: 1 });
    await near.dial(fars[0]?.enode ?? "");
    expect(await rejection(near.dial(fars[1]?.enode ?? ""))).toMatchObject({
      name: "DialError",
      reason: 0x04,
      side: "local",
      phase: "hello",
    });
  });

  test("the far side's refusal is a DialError with its reason", async () => {
    const on = networks().memory;
    const far = await startServer({ ...on("127.0.0.2"), protocols: [idle()], maxPeers: 0 });
    const near = await startServer({ ...on("127.0.0.1"), protocols: [idle()] });
    expect(await rejection(near.dial(far.enode))).toMatchObject({
      reason: 0x04,
      side: "remote",
      phase: "hello",
      message: expect.stringMatching(
        /failed in phase hello, remote side, too many peers \(0x04\)$/,
      ),
    });
  });

  test("trusted nodes pass the caps", async () => {
    const trusted = { id: nodeIdOf(keyOf(2_005)), host: "127.0.0.1", tcpPort: 1, udpPort: 1 };
    const server = await startServer({
      ...networks().memory("127.0.0.2"),
      protocols: [idle()],
      maxPeers: 2,
      trusted: [trusted],
    });
    const { raws, reasons } = await knock(server, 6);
    expect(reasons).toEqual([0x04, 0x04, 0x04, 0x04]);
    expect(raws).toHaveLength(2);
    expect(server.peer(trusted.id)?.info().network.trusted).toBe(true);
  });

  test("addresses outside the allowed ranges are neither accepted nor dialed", async () => {
    const network = new MemoryNetwork();
    const server = await startServer({
      listen: "10.1.0.1:0",
      transport: network.transport("10.1.0.1"),
      protocols: [idle()],
      allow: ["10.1.0.0/16", "fd00::/8"],
    });
    const from = async (host: string): Promise<RawPeer> => {
      const { signal } = new AbortController();
      const address = server.address ?? { host: "", port: 0 };
      return new RawPeer(await network.transport(host).dial(address, { signal }), keyOf(2_000));
    };
    const outside = await from("10.2.0.1");
    await outside.over();
    expect(server.counters.serves.refused).toBe(1);
    const inside = await (await from("10.1.0.2")).initiate(server.id);
    await inside.greet();
    const node = { id: nodeIdOf(keyOf(3)), host: "10.2.0.1", tcpPort: 1, udpPort: 1 };
    expect(await rejection(server.dial(node))).toMatchObject({ phase: "dial", side: "local" });
  });

  test("one address may come once in the throttle's window, loopback at any time", async () => {
    const clock = new ManualClock();
    const network = new MemoryNetwork();
    const server = await startServer({
      listen: "10.0.0.1:0",
      transport: network.transport("10.0.0.1"),
      clock,
    });
    const from = async (host: string): Promise<RawPeer> => {
      const { signal } = new AbortController();
      const address = server.address ?? { host: "", port: 0 };
      return new RawPeer(await network.transport(host).dial(address, { signal }), keyOf(2_000));
    };
    const hosts = ["10.0.0.2", "10.0.0.2", "fd00::1", "fd00::2", "127.0.0.1", "127.0.0.1"];
    const raws = [];
    for (const host of hosts) raws.push(await from(host));
    await settle();
    expect(raws.map(({ isClosed }) => isClosed)).toEqual([false, true, false, true, false, false]);
    await clock.advance(30_000);
    const again = await from("10.0.0.2");
    await settle();
    expect(again.isClosed).toBe(false);
  });
});

describe("dial()", () => {
  const node = (host: string, key: number, tcpPort = 1) => {
    return { id: nodeIdOf(keyOf(key)), host, tcpPort, udpPort: tcpPort };
  };
  /** A transport that never connects, and never notices that nobody waits any more. */
  const deaf: Transport = {
    name: "deaf",
    listen: () => Promise.reject(new Error("deaf")),
    dial: () => new Promise(() => undefined),
  };

  test.each(["tcp", "memory"] as const)("says that %s refused the connection", async (net) => {
    const on = networks()[net];
    const far = await startServer(on("127.0.0.2"));
    const { enode } = far;
    await far.stop();
    const near = await startServer(on("127.0.0.1"));
    const dials = allEvents(near, "dial");
    const error = await rejection(near.dial(enode));
    expect(error).toBeInstanceOf(DialError);
    expect(error).toMatchObject({ phase: "dial", reason: 0x01, side: "local" });
    expect(error.message).toMatch(/refused/i);
    expect(dials).toMatchObject([{ error }]);
    expect(near.counters.dials).toEqual({ succeeded: 0, failed: { dial: 1 } });
  });

  test("gives up on a transport after dialTimeoutMs", async () => {
    const clock = new ManualClock();
    const server = await startServer({ clock, transport: deaf });
    const outcome = rejection(server.dial(node("127.0.0.9", 3)));
    await clock.advance(15_000);
    const error = await outcome;
    expect(error).toMatchObject({ phase: "dial", reason: 0x01, side: "local" });
    expect(error.cause).toMatchObject({ name: "TimeoutError", what: "dial", ms: 15_000 });
    expect(clock.pending).toBe(0);
  });

  test("with the wrong key fails in the handshake, by the remote side", async () => {
    const on = networks().memory;
    const far = await startServer({ ...on("127.0.0.2"), protocols: [idle()] });
    const near = await startServer({ ...on("127.0.0.1"), protocols: [idle()] });
    const wrong = { ...parseEnode(far.enode), id: nodeIdOf(generateSecretKey()) };
    const failed = nextEvent(far, "handshake", (event) => event.failed !== undefined);
    expect(await rejection(near.dial(wrong))).toMatchObject({
      phase: "handshake",
      reason: 0x01,
      side: "remote",
      message: expect.stringMatching(
        /; a node whose key is not the one in the enode URL ends it like this$/,
      ),
    });
    const at = await within("the far side's failure", failed);
    expect(at).toMatchObject({ phase: "handshake", failed: { reason: 0x02, side: "local" } });
    expect(at.failed?.error.cause).toMatchObject({ code: "ERR_RLPX_BAD_HANDSHAKE" });
  });

  test("ends with its signal, and only for the caller whose signal it is", async () => {
    const late = defer<never>();
    const server = await startServer({ transport: { ...deaf, dial: () => late.promise } });
    const mine = new AbortController();
    const theirs = new AbortController();
    const dials = allEvents(server, "dial");
    const one = rejection(server.dial(node("127.0.0.9", 3), { signal: mine.signal }));
    const other = server.dial(node("127.0.0.9", 3), { signal: theirs.signal });
    const otherEnd = rejection(other);
    mine.abort();
    expect(await one).toMatchObject({ phase: "dial", reason: 0x00, side: "local" });
    expect(dials).toEqual([]);
    theirs.abort();
    expect(await otherEnd).toMatchObject({ phase: "dial", reason: 0x00, side: "local" });
    expect(dials).toHaveLength(1);
  });

  test("with a signal that has aborted does not dial", async () => {
    const server = await startServer({ transport: deaf });
    const signal = AbortSignal.abort();
    expect(await rejection(server.dial(node("127.0.0.9", 3), { signal }))).toMatchObject({
      name: "DialError",
      reason: 0x00,
    });
  });

  test("aborted in the handshake ends the connection", async () => {
    const network = new MemoryNetwork();
    const accepted = defer<RawPeer>();
    const { address } = await network
      .transport("127.0.0.9")
      .listen({ host: "127.0.0.9", port: 0 }, (stream) =>
        accepted.resolve(new RawPeer(stream, keyOf(3))),
      );
    const server = await startServer({ transport: network.transport("127.0.0.1") });
    const controller = new AbortController();
    const outcome = rejection(
      server.dial(node(address.host, 3, address.port), { signal: controller.signal }),
    );
    const raw = await within("a connection", accepted.promise);
    await settle();
    controller.abort();
    expect(await outcome).toMatchObject({ phase: "handshake", reason: 0x00, side: "local" });
    await raw.over();
  });

  test("destroys a stream that comes too late", async () => {
    const network = new MemoryNetwork();
    const accepted = defer<RawPeer>();
    const { address } = await network
      .transport("127.0.0.9")
      .listen({ host: "127.0.0.9", port: 0 }, (stream) =>
        accepted.resolve(new RawPeer(stream, keyOf(3))),
      );
    const [asked, gate] = [defer(), defer()];
    const slow: Transport = {
      ...deaf,
      dial: async (to) => {
        asked.resolve();
        await gate.promise;
        return network.transport("127.0.0.1").dial(to, { signal: new AbortController().signal });
      },
    };
    const server = await startServer({ transport: slow });
    const controller = new AbortController();
    const { signal } = controller;
    const outcome = rejection(server.dial(node(address.host, 3, address.port), { signal }));
    await within("the transport is asked", asked.promise);
    controller.abort();
    await outcome;
    gate.resolve();
    await (await within("the late stream", accepted.promise)).over();
  });

  test("of a server that does not run is refused", async () => {
    const server = createServer();
    expect(await rejection(server.dial(node("127.0.0.9", 3)))).toMatchObject({
      name: "DialError",
      phase: "dial",
      side: "local",
    });
  });

  test("ends with 0x08 when the server stops meanwhile", async () => {
    const server = await startServer({ transport: deaf });
    const outcome = rejection(server.dial(node("127.0.0.9", 3)));
    await server.stop();
    expect(await outcome).toMatchObject({ name: "DialError", phase: "dial", reason: 0x08 });
  });

  test("of a malformed enode rejects with what is wrong with it", async () => {
    const server = await startServer();
    expect(await rejection(server.dial("enode://xyz@127.0.0.1:1"))).toMatchObject({
      name: "EnodeError",
    });
  });

  test.each([
    ["an IPv6 zone", { host: "fe80::1%eth0" }, "ERR_ENODE_BAD_HOST"],
    ["no UDP port", { udpPort: undefined }, "ERR_ENODE_BAD_PORT"],
    ["an id that is too short", { id: new Uint8Array(63) }, "ERR_ENODE_BAD_ID"],
  ])("of parts with %s rejects at once", async (_what, changes, code) => {
    const server = await startServer({ transport: deaf });
    const parts = { ...node("127.0.0.9", 3), ...changes } as Enode;
    expect(await rejection(server.dial(parts))).toMatchObject({ name: "EnodeError", code });
    expect(() => server.maintain(parts)).toThrow(EnodeError);
  });

  test.each([
    [undefined, "undefined"],
    [null, "null"],
    [{}, "an object"],
    [{ id: new Uint8Array(64) }, "an object"],
  ])("of %j, which is no node, says what was expected", async (none, shown) => {
    const server = await startServer({ transport: deaf });
    const error = await rejection(server.dial(none as string));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe(`expected an enode URL or its parts, got ${shown}`);
  });
});

describe("what can be seen", () => {
  const network = new MemoryNetwork();
  const ignore = (): void => undefined;

  test("events tell who came, what was negotiated, and every message", async () => {
    const on = networks().memory;
    const names = { messageNames: { 1: "word" } };
    const far = await startServer({ ...on("127.0.0.2"), protocols: [idle("a"), idle("b", 2, 3)] });
    const run = defer<Parameters<typeof idle>[0]>();
    const near = await startServer({
      ...on("127.0.0.1"),
      protocols: [
        idle("a"),
        {
          ...idle("b", 2, 3),
          ...names,
          run: async (peer, rw) => {
            await rw.sendItems(1, "hi");
            run.resolve("sent");
            await new Promise((done) => peer.signal.addEventListener("abort", done));
          },
        },
      ],
    });
    const added = nextEvent(near, "peer:add");
    const sent = nextEvent(near, "message", ({ direction }) => direction === "out");
    const received = nextEvent(far, "message", ({ direction }) => direction === "in");
    const peer = await within("a dial", near.dial(far.enode));
    expect((await added).protocols).toEqual([
      { name: "a", version: 1, offset: 0x10, length: 4, isRunning: true },
      { name: "b", version: 2, offset: 0x14, length: 3, isRunning: true },
    ]);
    await run.promise;
    expect(await within("a message out", sent)).toEqual({
      peer,
      direction: "out",
      protocol: "b/2",
      code: 1,
      description: "b/2 word(0x01)",
      size: 4,
    });
    expect(await within("a message in", received)).toMatchObject({
      direction: "in",
      protocol: "b/2",
      code: 1,
      description: "b/2 0x01",
      size: 4,
    });
  });

  test("a listener that throws is reported, and keeps nothing from happening", async () => {
    const reported: unknown[] = [];
    const silent = (): void => undefined;
    const logger = {
      debug: silent,
      info: silent,
      warn: silent,
      error: (...args: unknown[]) => void reported.push(args),
    };
    const on = networks().memory;
    const far = await startServer({ ...on("127.0.0.2"), protocols: [idle()] });
    const near = await startServer({ ...on("127.0.0.1"), protocols: [idle()], logger });
    near.on("peer:add", () => {
      throw new Error("listener");
    });
    await within("a dial", near.dial(far.enode));
    expect(reported).toHaveLength(1);
  });

  test("a logger that throws keeps nothing from happening", async () => {
    const escaped = watchEscapes();
    const fail = (): never => {
      throw new Error("logger");
    };
    const logger = { debug: fail, info: fail, warn: fail, error: fail };
    const { near, far, nearPeer, farRun } = await connectScripted({ logger });
    near.on("peer:drop", fail);
    const over = nearPeer.closed();
    farRun.done.reject(new Error("boom"));
    await within("the end", over);
    expect([near.peers, far.peers]).toEqual([[], []]);
    await within("both stop", Promise.all([near.stop(), far.stop()]));
    expect(escaped).toEqual([]);
  });

  test("a peer may come from anywhere, an IPv6 zone or no IP address included", async () => {
    for (const [host, shown] of [
      ["fe80::1%eth0", "[fe80::1]:7"],
      ["somewhere", "0.0.0.0:7"],
    ] as const) {
      const escaped = watchEscapes();
      const transport = network.transport("127.0.0.2");
      const server = await startServer({
        listen: "127.0.0.2:0",
        protocols: [idle()],
        logger: consoleLogger(
          { debug: ignore, info: ignore, warn: ignore, error: ignore },
          "debug",
        ),
        transport: {
          ...transport,
          listen: (address, accept) =>
            transport.listen(address, (stream) => {
              Object.defineProperty(stream, "remoteAddress", { value: { host, port: 7 } });
              accept(stream);
            }),
        },
      });
      const near = await startServer({
        transport: network.transport("127.0.0.1"),
        protocols: [idle()],
      });
      const added = nextEvent(server, "peer:add");
      await within("a dial", near.dial(server.enode));
      const { peer } = await within("the peer", added);
      expect(peer.remoteAddress).toEqual({ host, port: 7 });
      expect(server.info().peers[0]?.enode).toBe(`enode://${toHex(near.id)}@${shown}`);
      await within("the stop", server.stop());
      expect(server.peers).toEqual([]);
      expect(escaped).toEqual([]);
    }
  });

  test("info() shows the node and its peers", async () => {
    const { near, far, nearPeer } = await connectPair({ protocols: [idle()] });
    expect(near.info()).toMatchObject({
      enode: near.enode,
      clientId: "test/1",
      isRunning: true,
      protocols: { "test/1": { length: 4 } },
      peers: [
        {
          enode: far.enode,
          clientId: "test/1",
          capabilities: ["flow/1", "test/1"],
          network: { inbound: false, trusted: false },
          protocols: { "test/1": { version: 1 } },
        },
      ],
    });
    expect(nearPeer.info().id).toHaveLength(128);
    expect(far.info().peers[0]?.network).toMatchObject({ inbound: true });
  });

  test("a hostile client id is escaped where it is shown", async () => {
    const server = await startServer({ ...networks().memory("127.0.0.2"), protocols: [idle()] });
    const raw = await (await dialRaw(server, keyOf(900))).initiate(server.id);
    raw.sendHello({ clientId: "evil\u001B[2J\n" });
    await until("a peer", () => server.peers.length === 1);
    const shown = server.info().peers[0]?.clientId ?? "";
    expect(shown).toContain("evil");
    expect(Array.from(shown).every((character) => character >= " ")).toBe(true);
  });

  test("messages and bytes are counted by code, both ways", async () => {
    const { near, far, nearRun, farRun } = await connectScripted();
    await nearRun.rw.sendEncoded(0, new Uint8Array(10));
    await nearRun.rw.sendEncoded(0, new Uint8Array(20));
    await nearRun.rw.sendEncoded(3, new Uint8Array(5));
    for (let i = 0; i < 3; i += 1) await within("a message", farRun.rw.read());
    const counts = { 0: { messages: 2, bytes: 30 }, 3: { messages: 1, bytes: 5 } };
    expect(near.counters.protocols).toEqual({ "test/1": { in: {}, out: counts, discarded: 0 } });
    expect(far.counters.protocols).toEqual({ "test/1": { in: counts, out: {}, discarded: 0 } });
    expect(near.counters.dials).toEqual({ succeeded: 1, failed: {} });
    expect(far.counters.serves).toEqual({ succeeded: 1, failed: {}, refused: 0 });
    const dropped = nextEvent(near, "peer:drop");
    farRun.done.reject(new Disconnect(0x03));
    await within("the end", dropped);
    expect(near.counters.disconnects).toEqual({ local: {}, remote: { 3: 1 } });
    expect(far.counters.disconnects).toEqual({ local: { 3: 1 }, remote: {} });
  });
});

describe("requires", () => {
  const companion = { name: "base" };

  test("companions start first, whatever the order of names", async () => {
    const order: string[] = [];
    const noting = (name: string, requires?: readonly { name: string }[]) => ({
      ...idle(name),
      ...(requires === undefined ? {} : { requires }),
      run: (peer: Parameters<ReturnType<typeof idle>["run"]>[0], rw: never) => {
        order.push(name);
        return idle().run(peer, rw);
      },
    });
    const protocols = [noting("a", [{ name: "z" }]), noting("m", [{ name: "a" }]), noting("z")];
    await connectPair({ protocols }, { protocols: [idle("a"), idle("m"), idle("z")] });
    expect(order).toEqual(["z", "a", "m"]);
  });

  test("without its companion a protocol does not run; its messages are discarded and counted", async () => {
    const dependent = new Scripted("top", { requires: [companion] });
    const sender = new Scripted("top");
    const other = idle("other");
    const { near, far, nearPeer } = await connectPair(
      { protocols: [sender, other] },
      { protocols: [idle("base"), dependent, other] },
    );
    const { rw } = await sender.next();
    for (let i = 0; i < 1_000; i += 1) await rw.sendEncoded(0, new Uint8Array(1_000));
    await within("a ping", nearPeer.ping());
    await until("all are discarded", () => far.counters.protocols["top/1"]?.discarded === 1_000);
    expect(dependent.count).toBe(0);
    expect(near.peers).toHaveLength(1);
    expect(
      await rejection(far.peers[0]?.protocol({ name: "top" }) ?? Promise.resolve()),
    ).toMatchObject({ name: "LocalProtocolError", code: "ERR_P2P_NOT_SHARED" });
  });

  test("peer.protocol() resolves with what the companion provides, before or after it is asked for", async () => {
    const base = new Scripted("base");
    const top = new Scripted("top", { requires: [companion] });
    await connectPair({ protocols: [base, top] }, { protocols: [idle("base"), idle("top")] });
    const { peer, rw } = await base.next();
    const before = peer.protocol<string>({ name: "base", version: 1 });
    rw.provide("context");
    expect(await within("the context", before)).toBe("context");
    expect(await peer.protocol({ name: "base" })).toBe("context");
    expect(await rejection(peer.protocol({ name: "base", version: 2 }))).toMatchObject({
      code: "ERR_P2P_NOT_SHARED",
    });
  });

  test.each([undefined, null, "test", {}])("peer.protocol(%j) says what it takes", async (none) => {
    const { nearPeer } = await connectScripted();
    const error = await rejection(nearPeer.protocol(none as { name: string }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/^handle: expected a protocol or \{ name, version \}, got /);
  });

  test("peer.protocol() rejects when the connection ends first", async () => {
    const { nearPeer } = await connectScripted();
    const waiting = rejection(nearPeer.protocol({ name: "test" }));
    await nearPeer.disconnect();
    expect(await waiting).toBe(nearPeer.signal.reason);
    expect(await rejection(nearPeer.protocol({ name: "test" }))).toBe(nearPeer.signal.reason);
  });

  test("a companion can still be read from until those that require it have returned", async () => {
    const base = new Scripted("base");
    const top = new Scripted("top", { requires: [companion] });
    const { nearPeer } = await connectPair(
      { protocols: [base, top] },
      { protocols: [idle("base"), idle("top")] },
    );
    const baseRun = await base.next();
    const topRun = await top.next();
    topRun.lingers = true;
    baseRun.lingers = true;
    let isBaseOver = false;
    const baseRead = rejection(baseRun.rw.read()).finally(() => (isBaseOver = true));
    const gone = nearPeer.disconnect();
    expect(await rejection(topRun.rw.read())).toBe(nearPeer.signal.reason);
    await gone;
    expect(isBaseOver).toBe(false);
    topRun.done.resolve();
    expect(await baseRead).toBe(nearPeer.signal.reason);
    baseRun.done.resolve();
  });
});

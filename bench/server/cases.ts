import { connect } from "node:net";
import type { Socket } from "node:net";

import { generateSecretKey, parseEnode } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { MessageReadWriter, Peer, Protocol } from "@heddle/p2p";
import { Initiator } from "@heddle/rlpx";

import { PeerProcess, RING } from "./peer-process.ts";

/** One line of the result: what was measured and its figures. */
export interface Row {
  readonly name: string;
  readonly figures: Readonly<Record<string, string | number | boolean>>;
}

/** How long each measurement runs: quick ones for a look, full ones for the record. */
export interface Effort {
  readonly seconds: number;
  readonly runs: number;
  readonly peers: number;
}

const MIB = 1024 * 1024;

interface Client extends AsyncDisposable {
  readonly server: Server;
  readonly peer: Peer;
  readonly flood: MessageReadWriter;
  readonly echo: MessageReadWriter;
}

/** A connection whose two ends of the protocols the measurement drives itself. */
async function connectTo(enode: string, flowControl = true): Promise<Client> {
  const handles = new Map<string, MessageReadWriter>();
  const open = (name: string, length: number): Protocol => ({
    name,
    version: 1,
    length,
    async run(peer, rw) {
      handles.set(name, rw);
      await new Promise((resolve) => peer.signal.addEventListener("abort", resolve));
    },
  });
  const server = new Server({
    key: generateSecretKey(),
    clientId: "bench/1",
    flowControl,
    protocols: [open("flood", 2), open("echo", 1)],
  });
  await server.start();
  const peer = await server.dial(enode);
  const [flood, echo] = [handles.get("flood"), handles.get("echo")];
  if (flood === undefined || echo === undefined) throw new Error("the protocols did not start");
  return { server, peer, flood, echo, [Symbol.asyncDispose]: () => server.stop() };
}

/**
 * RLP byte strings of `size` bytes in all, incompressible, numbered modulo {@link RING} in their last
 * byte: made once and sent again and again, so that the measurement makes no garbage of its own.
 */
function numbered(size: number): (n: number) => Uint8Array {
  const ring = Array.from({ length: RING }, (_, n) => {
    const payload = new Uint8Array(size);
    for (let at = 0; at < size; at += 65_536) {
      crypto.getRandomValues(payload.subarray(at, Math.min(size, at + 65_536)));
    }
    payload.set(stringPrefix(size));
    payload[size - 1] = n;
    return payload;
  });
  return (n) => ring[n % RING] ?? new Uint8Array(size);
}

/** The RLP prefix that makes a byte string of what is left of `size` bytes behind it. */
function stringPrefix(size: number): number[] {
  if (size <= 56) return [0x80 + size - 1];
  if (size <= 258) return [0xb8, size - 2];
  if (size <= 65_538) return [0xb9, (size - 3) >> 8, (size - 3) & 0xff];
  return [0xba, (size - 4) >> 16, ((size - 4) >> 8) & 0xff, (size - 4) & 0xff];
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function summary(times: readonly number[]): Record<string, number> {
  const sorted = times.toSorted((a, b) => a - b);
  const round = (ms: number): number => Math.round(ms * 100) / 100;
  return {
    pings: sorted.length,
    p50_ms: round(percentile(sorted, 0.5)),
    p99_ms: round(percentile(sorted, 0.99)),
    max_ms: round(percentile(sorted, 1)),
  };
}

/** How a ping goes beside a flood: on its own protocol, or in the flood's own line for contrast. */
export type Lane = "fair" | "fifo";

/** A ping of 32 bytes beside a flood, whose reader releases or keeps what it read. */
export async function fairness(
  { size, how, reader }: { size: number; how: Lane; reader: "read" | "keep" },
  effort: Effort,
): Promise<Row> {
  // The contrast has neither queues of their own nor windows: what is sent first, arrives first.
  await using child = await PeerProcess.start(reader, how === "fair" ? "flow" : "plain");
  await using client = await connectTo(child.enode);
  const until = performance.now() + effort.seconds * 1000;
  const make = numbered(size);
  const ping = numbered(32);
  const times: number[] = [];
  let sent = 0;
  const flooding = (async () => {
    while (performance.now() < until) await client.flood.sendEncoded(0, make(sent++));
  })();
  const rw = how === "fair" ? client.echo : client.flood;
  const code = how === "fair" ? 0 : 1;
  while (performance.now() < until) {
    const start = performance.now();
    await rw.sendEncoded(code, ping(how === "fair" ? 0 : sent++));
    await rw.read();
    times.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await flooding;
  const { inOrder } = await child.report();
  const mbps = Math.round((sent * size) / effort.seconds / 1e6);
  return {
    name: `ping beside ${size / 1024} KiB flood, ${how === "fair" ? "own protocol" : "naive FIFO"}, reader ${reader === "read" ? "releases" : "keeps"}`,
    figures: { ...summary(times), flood_MBps: mbps, inOrder },
  };
}

/** A reader that takes 20 ms a message against a writer that awaits every send. */
export async function slowReader(
  effort: Effort,
  flow: "flow" | "plain",
  size: number,
): Promise<Row> {
  await using child = await PeerProcess.start("slow", flow);
  await using client = await connectTo(child.enode);
  const before = process.memoryUsage().rss;
  const childBefore = (await child.report()).memory.rss;
  const until = performance.now() + effort.seconds * 1000;
  const make = numbered(size);
  let sent = 0;
  let [most, childMost] = [0, 0];
  while (performance.now() < until) {
    await Promise.race([client.flood.sendEncoded(0, make(sent)), pause(1_000)]);
    sent += 1;
    most = Math.max(most, process.memoryUsage().rss - before);
    if (sent % 10 === 0)
      childMost = Math.max(childMost, (await child.report()).memory.rss - childBefore);
  }
  const { messages, inOrder } = await child.report();
  return {
    name: `reader of 20 ms a message of ${size} bytes, ${flow}`,
    figures: {
      sent,
      read: messages,
      inOrder,
      alive: !client.peer.signal.aborted,
      writer_MiB: Math.round(most / MIB),
      reader_MiB: Math.round(childMost / MIB),
    },
  };
}

/** Messages of 1 MiB at full speed, again and again. */
export async function fullSpeed(effort: Effort): Promise<Row> {
  let complete = 0;
  const speeds: number[] = [];
  for (let run = 0; run < effort.runs; run += 1) {
    await using child = await PeerProcess.start("read");
    const client = await connectTo(child.enode);
    const make = numbered(MIB);
    const start = performance.now();
    let sent = 0;
    while (performance.now() - start < effort.seconds * 1000)
      await client.flood.sendEncoded(0, make(sent++));
    const dropped = child.nextDrop();
    await client[Symbol.asyncDispose]();
    const { messages, inOrder } = await dropped;
    speeds.push((messages * MIB) / (performance.now() - start) / 1000);
    if (messages === sent && inOrder) complete += 1;
  }
  const sorted = speeds.toSorted((a, b) => a - b);
  return {
    name: `1 MiB messages for ${effort.seconds} s`,
    figures: {
      complete: `${complete} of ${effort.runs}`,
      MBps: Math.round(percentile(sorted, 0.5)),
    },
  };
}

/** A protocol that never reads, while a gibibyte is offered to it. */
export async function neverReads(flow: "flow" | "plain"): Promise<Row> {
  await using child = await PeerProcess.start("never", flow);
  await using client = await connectTo(child.enode);
  const before = (await child.report()).memory.rss;
  const make = numbered(64 * 1024);
  const offered = (async () => {
    for (let n = 0; n < 16_384 && !client.peer.signal.aborted; n += 1) {
      await client.flood.sendEncoded(0, make(n)).catch(() => undefined);
    }
  })();
  const dropped = child.nextDrop();
  const start = performance.now();
  const ping = numbered(32);
  const [echoes, pings]: [number[], number[]] = [[], []];
  let most = 0;
  while (child.drops.length === 0) {
    const from = performance.now();
    const echoed = client.echo.sendEncoded(0, ping(0)).then(() => client.echo.read());
    const isEchoed = await Promise.race([
      echoed.then(
        () => true,
        () => false,
      ),
      pause(1_000),
    ]);
    if (isEchoed === true) echoes.push(performance.now() - from);
    const rtt = await Promise.race([client.peer.ping().catch(() => undefined), pause(1_000)]);
    if (typeof rtt === "number") pings.push(rtt);
    most = Math.max(most, (await child.report()).memory.rss - before);
    await pause(250);
  }
  const { drop } = await dropped;
  await offered;
  return {
    name: `a protocol that never reads, ${flow}`,
    figures: {
      dropped_after_s: Math.round((performance.now() - start) / 1000),
      growth_MiB: Math.round(most / MIB),
      echoes: echoes.length,
      echo_p99_ms: summary(echoes)["p99_ms"] ?? 0,
      pings: pings.length,
      drop,
    },
  };
}

/** 500 connections that misbehave in one way, and honest peers that want in meanwhile. */
export async function flooded(kind: "silent" | "after-ecies" | "trickle"): Promise<Row> {
  await using child = await PeerProcess.start("read");
  const node = parseEnode(child.enode);
  const before = (await child.report()).memory.rss;
  const sockets: Socket[] = [];
  const trickles: ReturnType<typeof setInterval>[] = [];
  for (let n = 0; n < 500; n += 1) {
    const socket = connect({ host: node.host, port: node.tcpPort });
    socket.on("error", () => undefined);
    sockets.push(socket);
    if (kind === "silent") continue;
    const { auth } = new Initiator({ secretKey: generateSecretKey(), remoteId: node.id });
    if (kind === "after-ecies") socket.write(auth);
    else {
      let at = 0;
      trickles.push(setInterval(() => socket.write(auth.subarray(at, ++at)), 1_000));
    }
  }
  const admitted: number[] = [];
  for (let n = 0; n < 10; n += 1) {
    const start = performance.now();
    const client = await connectTo(child.enode);
    admitted.push(performance.now() - start);
    await client[Symbol.asyncDispose]();
  }
  const closing = performance.now();
  await Promise.all(sockets.map((socket) => closed(socket)));
  const freed = performance.now() - closing;
  trickles.forEach(clearInterval);
  const { memory } = await child.report();
  return {
    name: `500 connections, ${kind}`,
    figures: {
      honest_of_10: admitted.length,
      slowest_ms: Math.round(Math.max(...admitted)),
      all_closed_after_ms: Math.round(freed),
      growth_MiB: Math.round((memory.rss - before) / MIB),
    },
  };
}

/** Many idle peers in one process pair; what each costs the accepting side. */
export async function manyPeers({ peers }: Effort): Promise<Row> {
  await using child = await PeerProcess.start("read");
  const before = await child.report({ gc: true });
  const clients: Server[] = [];
  const idle: Protocol = {
    name: "echo",
    version: 1,
    length: 1,
    run: (peer) => new Promise((resolve) => peer.signal.addEventListener("abort", () => resolve())),
  };
  for (let n = 0; n < peers; n += 1) {
    const server = new Server({ key: generateSecretKey(), clientId: "bench/1", protocols: [idle] });
    await server.start();
    await server.dial(child.enode);
    clients.push(server);
  }
  await child.report({ gc: true });
  const after = await child.report({ gc: true });
  const cost = (kind: "heapUsed" | "external"): number =>
    Math.round(((after.memory[kind] - before.memory[kind]) / peers / 1024) * 10) / 10;
  const row: Row = {
    name: `${peers} idle peers, cost of each`,
    figures: {
      connected: after.peers,
      heap_KiB: cost("heapUsed"),
      external_KiB: cost("external"),
      rss_KiB: Math.round((after.memory.rss - before.memory.rss) / peers / 1024),
    },
  };
  await Promise.all(clients.map((server) => server.stop()));
  return row;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function closed(socket: Socket): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    socket.resume();
    socket.once("end", () => socket.destroy());
    socket.once("close", () => resolve());
  });
}

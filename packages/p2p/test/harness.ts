import { Initiator, Recipient } from "@heddle/rlpx";
import type { RlpxMessage, RlpxSession } from "@heddle/rlpx";
import { afterEach, onTestFinished } from "vitest";

import { encodeRlp, nodeIdOf, parseEnode } from "@heddle/identity";
import {
  BaseMessage,
  decodeDisconnect,
  encodeHello,
  MemoryNetwork,
  PROTOCOL_VERSION,
  Server,
} from "../src/index.ts";
import type {
  ByteStream,
  Capability,
  Clock,
  Hello,
  Message,
  MessageReadWriter,
  Peer,
  Protocol,
  ServerEvents,
  ServerOptions,
} from "../src/index.ts";

/** How long a test waits for anything that must happen, in milliseconds. */
const WAIT_MS = 25_000;

/** A promise and the means to settle it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function defer<T = void>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((resolve_, reject_) => {
    resolve = resolve_;
    reject = reject_;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

/** Fails the test, naming what did not happen, instead of letting it hang. */
export async function within<T>(what: string, promise: Promise<T>, ms = WAIT_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`did not happen in ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The error a promise rejects with; fails the test when it resolves. */
export async function rejection(promise: Promise<unknown>, what = "a rejection"): Promise<Error> {
  const outcome = await within(
    what,
    promise.then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
  if (outcome instanceof Error) return outcome;
  throw new Error(`expected ${what}, got ${String(outcome)}`);
}

/** Looks again after every turn of the event loop until something holds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const give = Date.now() + WAIT_MS;
  while (!holds()) {
    if (Date.now() > give) throw new Error(`did not come true in ${WAIT_MS} ms: ${what}`);
    await turn();
  }
}

/** One turn of the event loop, input and output included. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Enough turns for everything that is under way in memory to arrive. */
export async function settle(turns = 20): Promise<void> {
  for (let i = 0; i < turns; i += 1) await turn();
}

/** A secret key that tests can name. */
export function keyOf(n: number): Uint8Array {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(28, n);
  return key;
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly task: () => void;
}

/** Time that passes when a test says so. */
export class ManualClock implements Clock {
  #now = 1_000;
  #order = 0;
  readonly #timers = new Set<Timer>();

  constructor() {
    clocks.push(this);
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return 1_700_000_000_000 + this.#now;
  }

  setTimeout(task: () => void, ms: number): unknown {
    const timer = { at: this.#now + ms, order: (this.#order += 1), task };
    this.#timers.add(timer);
    return timer;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as Timer);
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets time pass; timers run in order, with the event loop turning between them. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const next = [...this.#timers]
        .filter(({ at }) => at <= end)
        .toSorted((a, b) => a.at - b.at || a.order - b.order)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.task();
      await settle();
    }
    this.#now = end;
  }
}

/** Collects what escapes every handler while a test runs; the test says that nothing may. */
export function watchEscapes(): unknown[] {
  const escaped: unknown[] = [];
  const note = (error: unknown): void => void escaped.push(error);
  process.on("unhandledRejection", note);
  process.on("uncaughtException", note);
  onTestFinished(() => {
    process.off("unhandledRejection", note);
    process.off("uncaughtException", note);
  });
  return escaped;
}

let nextKey = 1;
const started: Server[] = [];

const clocks: ManualClock[] = [];

afterEach(async () => {
  const state = { isStopped: false };
  const stops = started.splice(0).map((server) => within("a server stops", server.stop()));
  const stopped = Promise.all(stops).finally(() => (state.isStopped = true));
  const turned = clocks.splice(0);
  while (!state.isStopped && turned.length > 0) {
    for (const clock of turned) await clock.advance(10_000);
  }
  await stopped;
}, 60_000);

/** A server that is stopped after the test; with its own key, not listening, unless told. */
export function createServer(options: Partial<ServerOptions> = {}): Server {
  const server = new Server({ key: keyOf(nextKey), clientId: "test/1", ...options });
  nextKey += 1;
  started.push(server);
  return server;
}

/** {@link createServer}, started. */
export async function startServer(options: Partial<ServerOptions> = {}): Promise<Server> {
  const server = createServer(options);
  await within("a server starts", server.start());
  return server;
}

/** How two servers reach each other. */
export type Net = "tcp" | "memory";

/** Options that put a server on the given kind of network. */
export function networks(): Record<Net, (host: string) => Partial<ServerOptions>> {
  const network = new MemoryNetwork();
  return {
    tcp: () => ({ listen: "127.0.0.1:0" }),
    memory: (host) => ({ listen: `${host}:0`, transport: network.transport(host) }),
  };
}

/** Two connected servers and each one's view of the other. */
export interface Pair {
  readonly near: Server;
  readonly far: Server;
  /** At the side that dialed. */
  readonly nearPeer: Peer;
  readonly farPeer: Peer;
}

/** Starts two servers and lets `near` dial `far`. */
export async function connectPair(
  near: Partial<ServerOptions>,
  far: Partial<ServerOptions> = near,
  net: Net = "memory",
): Promise<Pair> {
  const on = networks()[net];
  const farServer = await startServer({ ...on("127.0.0.2"), ...far });
  const nearServer = await startServer({ ...on("127.0.0.1"), ...near });
  const added = nextEvent(farServer, "peer:add");
  const nearPeer = await within("a dial", nearServer.dial(farServer.enode));
  const { peer: farPeer } = await within("the far side adds its peer", added);
  return { near: nearServer, far: farServer, nearPeer, farPeer };
}

/** The next event of a kind; take the promise before what causes it. */
export function nextEvent<Name extends keyof ServerEvents>(
  server: Server,
  name: Name,
  picks: (event: ServerEvents[Name]) => boolean = () => true,
): Promise<ServerEvents[Name]> {
  return new Promise((resolve) => {
    const off = server.on(name, (event) => {
      if (!picks(event)) return;
      off();
      resolve(event);
    });
  });
}

/** Every event of a kind from now on. */
export function allEvents<Name extends keyof ServerEvents>(
  server: Server,
  name: Name,
): ServerEvents[Name][] {
  const events: ServerEvents[Name][] = [];
  server.on(name, (event) => events.push(event));
  return events;
}

/** One run of a scripted protocol, handed to the test. */
export interface Run {
  readonly peer: Peer;
  readonly rw: MessageReadWriter;
  /** Lets the run return, or throw. */
  readonly done: Deferred<void>;
  /** Set, it goes on after the connection's end, until the test lets it return. */
  lingers: boolean;
}

/** A protocol whose runs the test plays itself; runs also end when their connection does. */
export class Scripted implements Protocol {
  readonly name: string;
  readonly version: number;
  readonly length: number;
  readonly requires?: readonly { name: string; version?: number }[];
  readonly #waiting: ((run: Run) => void)[] = [];
  readonly #runs: Run[] = [];
  /** How many runs were started. */
  count = 0;

  constructor(
    name = "test",
    options: {
      version?: number;
      length?: number;
      requires?: readonly { name: string; version?: number }[];
    } = {},
  ) {
    this.name = name;
    this.version = options.version ?? 1;
    this.length = options.length ?? 4;
    if (options.requires !== undefined) this.requires = options.requires;
  }

  async run(peer: Peer, rw: MessageReadWriter): Promise<void> {
    const run: Run = { peer, rw, done: defer(), lingers: false };
    this.count += 1;
    const taker = this.#waiting.shift();
    if (taker === undefined) this.#runs.push(run);
    else taker(run);
    const onEnd = (): void => {
      if (!run.lingers) run.done.resolve();
    };
    peer.signal.addEventListener("abort", onEnd, { once: true });
    await run.done.promise;
  }

  /** The next run that was not handed out yet. */
  next(): Promise<Run> {
    const run = this.#runs.shift();
    if (run !== undefined) return Promise.resolve(run);
    return within(
      `a run of ${this.name}`,
      new Promise<Run>((resolve) => this.#waiting.push(resolve)),
    );
  }
}

/** Two servers with scripted runs on both sides. */
export interface ScriptedPair extends Pair {
  readonly nearRun: Run;
  readonly farRun: Run;
}

export async function connectScripted(
  options: Partial<ServerOptions> = {},
  net: Net = "memory",
  farOptions: Partial<ServerOptions> = options,
): Promise<ScriptedPair> {
  const near = new Scripted();
  const far = new Scripted();
  const pair = await connectPair(
    { ...options, protocols: [near] },
    { ...farOptions, protocols: [far] },
    net,
  );
  return { ...pair, nearRun: await near.next(), farRun: await far.next() };
}

/** A protocol that does nothing until its connection ends. */
export function idle(name = "test", version = 1, length = 4): Protocol {
  return {
    name,
    version,
    length,
    run: (peer) =>
      new Promise((resolve) =>
        peer.signal.addEventListener("abort", () => resolve(), { once: true }),
      ),
  };
}

/** Bytes of a message's payload as a number, as `numbered` made them. */
export function numberOf(message: Message): number {
  return new DataView(message.payload.buffer, message.payload.byteOffset).getUint32(4);
}

/** RLP of a byte string of `size` bytes in all that begins with a number; size 56 to 2^24. */
export function numbered(n: number, size: number): Uint8Array {
  const content = new Uint8Array(size);
  new DataView(content.buffer).setUint32(0, n);
  const encoded = encodeRlp(content);
  const offset = encoded.length - size;
  // Always four bytes of prefix, so that the number stands in the same place.
  if (offset !== 4) throw new Error(`a size of ${size} has a prefix of ${offset} bytes`);
  return encoded;
}

/** An end of a stream that speaks RLPx by hand, and badly if asked to. */
export class RawPeer {
  readonly stream: ByteStream;
  readonly #key: Uint8Array;
  #session: RlpxSession | undefined;
  #receive: ((chunk: Uint8Array) => void) | undefined;
  #early: Uint8Array[] = [];
  readonly #messages: RlpxMessage[] = [];
  readonly #waiting: (() => void)[] = [];
  /** Whether messages are read as they come. */
  isReading = true;
  /** Whether it leaves its side open when the other one ends. */
  lingers = false;
  isClosed = false;
  isEnded = false;
  bytesIn = 0;

  constructor(stream: ByteStream, key: Uint8Array) {
    this.stream = stream;
    this.#key = key;
    stream.open({
      data: (chunk) => {
        this.bytesIn += chunk.length;
        if (this.#receive === undefined) this.#early.push(chunk);
        else this.#receive(chunk);
        this.#wake();
      },
      drain: () => this.#wake(),
      end: () => {
        this.isEnded = true;
        if (!this.lingers) this.stream.end();
        this.#wake();
      },
      close: () => {
        this.isClosed = true;
        this.#wake();
      },
    });
    stream.resume();
  }

  get session(): RlpxSession {
    if (this.#session === undefined) throw new Error("no session yet");
    return this.#session;
  }

  get id(): Uint8Array {
    return nodeIdOf(this.#key);
  }

  /** Shakes hands as the side that dialed. */
  async initiate(remoteId: Uint8Array, options: { behindAuth?: Uint8Array } = {}): Promise<this> {
    const initiator = new Initiator({ secretKey: this.#key, remoteId });
    this.#open((chunk) => this.#begin(initiator.receive(chunk)));
    const behind = options.behindAuth ?? new Uint8Array(0);
    const bytes = new Uint8Array(initiator.auth.length + behind.length);
    bytes.set(initiator.auth);
    bytes.set(behind, initiator.auth.length);
    this.stream.write(bytes);
    await this.#until("a session", () => this.#session !== undefined || this.isClosed);
    return this;
  }

  /** Shakes hands as the side that was dialed. */
  async respond(): Promise<this> {
    const recipient = new Recipient({ secretKey: this.#key });
    this.#open((chunk) => {
      const result = recipient.receive(chunk);
      if (result !== undefined) this.stream.write(result.ack);
      this.#begin(result?.session);
    });
    await this.#until("a session", () => this.#session !== undefined || this.isClosed);
    return this;
  }

  /** Sends one message; returns what the stream's `write` does. */
  send(msgId: number, payload: Uint8Array): boolean {
    this.session.push(msgId, payload);
    return this.stream.write(this.session.take());
  }

  sendHello(changes: Partial<Hello> = {}): void {
    this.send(
      BaseMessage.hello,
      encodeHello({
        protocolVersion: PROTOCOL_VERSION,
        clientId: "raw/1",
        capabilities: [{ name: "test", version: 1 }],
        listenPort: 0,
        nodeId: this.id,
        ...changes,
      }),
    );
  }

  /** Exchanges Hellos; from here on messages are compressed if the version says so. */
  async greet(
    capabilities: readonly Capability[] = [{ name: "test", version: 1 }],
    protocolVersion: number = PROTOCOL_VERSION,
  ): Promise<this> {
    this.sendHello({ capabilities, protocolVersion });
    const hello = await this.read();
    if (hello?.msgId !== BaseMessage.hello) throw new Error("expected a Hello");
    this.session.helloAccepted(protocolVersion);
    return this;
  }

  /** The next message, or undefined when the stream ends first. */
  async read(): Promise<RlpxMessage | undefined> {
    let message: RlpxMessage | undefined;
    await this.#until("a message", () => {
      message = this.#take();
      return message !== undefined || this.isClosed || this.isEnded;
    });
    return message;
  }

  /** The reason of the Disconnect that must come; messages before it are skipped. */
  async readDisconnect(): Promise<number | undefined> {
    for (;;) {
      const message = await this.read();
      if (message === undefined) return undefined;
      if (message.msgId === BaseMessage.disconnect) return decodeDisconnect(message.payload);
    }
  }

  /** Resolves when the other side has ended or destroyed the stream. */
  over(): Promise<void> {
    return this.#until("the end of the stream", () => this.isClosed || this.isEnded);
  }

  #take(): RlpxMessage | undefined {
    return this.#messages.shift() ?? this.#session?.next();
  }

  #open(receive: (chunk: Uint8Array) => void): void {
    this.#receive = receive;
    for (const chunk of this.#early.splice(0)) this.#receive(chunk);
  }

  #begin(session: RlpxSession | undefined): void {
    if (session === undefined) return;
    this.#session = session;
    this.#receive = (chunk) => session.feed(chunk);
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    await within(
      what,
      (async () => {
        while (!holds()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      })(),
    );
  }
}

/** Dials a server by hand. */
export async function dialRaw(server: Server, key: Uint8Array): Promise<RawPeer> {
  const { host, tcpPort: port } = parseEnode(server.enode);
  const stream = await server.config.transport.dial(
    { host, port },
    { signal: AbortSignal.timeout(WAIT_MS) },
  );
  const raw = new RawPeer(stream, key);
  onTestFinished(() => raw.stream.destroy());
  return raw;
}

import { isLoopback } from "./cidr.ts";
import type { ByteStream, Listener, StreamAddress, StreamHandlers, Transport } from "./stream.ts";

/** Bytes a memory stream holds for a reader that is paused before `write` asks its writer to wait. */
const HIGH_WATER_MARK = 64 * 1024;

/** How bytes get from one end to the other; the default is the next microtask. */
export interface MemoryLink {
  /** Calls `deliver` later, in the order of calls, with the bytes that have then arrived. */
  schedule(deliver: () => void, bytes: number): void;
}

const IMMEDIATE: MemoryLink = { schedule: (deliver) => queueMicrotask(deliver) };

/** Two connected streams in this process, with backpressure and half-close as TCP has them. */
export function memoryStreamPair(
  addresses: readonly [StreamAddress, StreamAddress] = [
    { host: "127.0.0.1", port: 1 },
    { host: "127.0.0.1", port: 2 },
  ],
  links: readonly [MemoryLink, MemoryLink] = [IMMEDIATE, IMMEDIATE],
): [ByteStream, ByteStream] {
  const a = new MemoryStream(addresses[0], addresses[1], links[0]);
  const b = new MemoryStream(addresses[1], addresses[0], links[1]);
  a.connect(b);
  b.connect(a);
  return [a, b];
}

/** The ports that dials come from, and that listeners get who ask for none. */
const FIRST_EPHEMERAL_PORT = 50_000;
const LAST_PORT = 65_535;

interface MemoryListener {
  readonly accept: (stream: ByteStream) => void;
  /** Whether it listens on every address of its host, loopback included. */
  readonly isWildcard: boolean;
}

/** Hosts of one in-memory network: listeners by address, streams made on dial. */
export class MemoryNetwork {
  readonly #listeners = new Map<string, MemoryListener>();
  #nextPort = FIRST_EPHEMERAL_PORT;

  /**
   * A transport whose dials come from `host`. To listen on `::` or `0.0.0.0` is to listen on `host` and
   * on loopback: a host has one address here.
   */
  transport(host: string): Transport {
    return {
      name: "memory",
      listen: (address, accept) => this.#listen(host, address, accept),
      dial: (address, { signal }) => this.#dial(host, address, signal),
    };
  }

  /** The streams of one dial; override to add latency, loss or bandwidth. */
  protected connect(from: StreamAddress, to: StreamAddress): [ByteStream, ByteStream] {
    return memoryStreamPair([from, to]);
  }

  async #listen(
    own: string,
    asked: StreamAddress,
    accept: (stream: ByteStream) => void,
  ): Promise<Listener> {
    const isWildcard = asked.host === "::" || asked.host === "0.0.0.0";
    const host = isWildcard ? own : asked.host;
    const port = asked.port === 0 ? this.#takePort(host) : asked.port;
    const key = `${host}:${port}`;
    if (this.#listeners.has(key)) throw new Error(`memory address ${key} is in use`);
    const listener: MemoryListener = { accept, isWildcard };
    this.#listeners.set(key, listener);
    return {
      address: { host, port },
      close: async () => {
        // A second close must not free the address for one who listens there by now.
        if (this.#listeners.get(key) === listener) this.#listeners.delete(key);
      },
    };
  }

  async #dial(host: string, to: StreamAddress, signal: AbortSignal): Promise<ByteStream> {
    signal.throwIfAborted();
    const listener = this.#find(host, to);
    if (listener === undefined) throw new Error(`connection refused: ${to.host}:${to.port}`);
    const [near, far] = this.connect({ host, port: this.#takePort(host) }, to);
    queueMicrotask(() => listener.accept(far));
    return near;
  }

  #find(from: string, { host, port }: StreamAddress): MemoryListener | undefined {
    const listener = this.#listeners.get(`${host}:${port}`);
    if (listener !== undefined || !isLoopback(host)) return listener;
    const own = this.#listeners.get(`${from}:${port}`);
    return own?.isWildcard === true ? own : undefined;
  }

  /** The next port in turn on which nobody listens. */
  #takePort(host: string): number {
    for (let tries = FIRST_EPHEMERAL_PORT; tries <= LAST_PORT; tries += 1) {
      this.#nextPort = this.#nextPort >= LAST_PORT ? FIRST_EPHEMERAL_PORT : this.#nextPort + 1;
      if (!this.#listeners.has(`${host}:${this.#nextPort}`)) return this.#nextPort;
    }
    throw new Error(`memory host ${host} has no free port`);
  }
}

class MemoryStream implements ByteStream {
  readonly localAddress: StreamAddress;
  readonly remoteAddress: StreamAddress;
  readonly #link: MemoryLink;
  #other: MemoryStream | undefined;
  #handlers: StreamHandlers | undefined;
  /** The owners who know of the other side's last byte, and of the stream's end. */
  #toldEnd: StreamHandlers | undefined;
  #toldClose: StreamHandlers | undefined;
  #received: (Uint8Array | "end")[] = [];
  #inFlight = 0;
  #isPaused = true;
  #isDelivering = false;
  #isWriterWaiting = false;
  #hasEnded = false;
  #wasEnded = false;
  #state: "open" | "closed" = "open";

  constructor(local: StreamAddress, remote: StreamAddress, link: MemoryLink) {
    this.localAddress = local;
    this.remoteAddress = remote;
    this.#link = link;
  }

  connect(other: MemoryStream): void {
    this.#other = other;
  }

  open(handlers: StreamHandlers): void {
    this.#handlers = handlers;
    // What happened while nobody owned the stream is told to the new owner.
    if (this.#state === "closed") queueMicrotask(() => this.#tellClose());
    else if (this.#wasEnded) queueMicrotask(() => this.#tellEnd());
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    queueMicrotask(() => this.#deliver());
  }

  write(chunk: Uint8Array): boolean {
    const other = this.#other;
    if (this.#state === "closed" || this.#hasEnded || other === undefined) return true;
    this.#send(chunk, chunk.length);
    if (this.#inFlight <= HIGH_WATER_MARK) return true;
    this.#isWriterWaiting = true;
    return false;
  }

  end(): void {
    if (this.#state === "closed" || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#send("end", 0);
    if (this.#wasEnded) this.#close();
  }

  destroy(): void {
    this.#close();
    const other = this.#other;
    this.#link.schedule(() => other?.reset(), 0);
  }

  /** Takes what the other end sent. */
  receive(item: Uint8Array | "end"): void {
    if (this.#state === "closed") return;
    this.#received.push(item);
    this.#deliver();
  }

  /** The other end is gone: what arrived before is delivered first, if it is read. */
  reset(): void {
    if (this.#received.length > 0 && !this.#isPaused) this.#deliver();
    this.#close();
  }

  /** The other end has handed on `bytes` of ours. */
  delivered(bytes: number): void {
    this.#inFlight -= bytes;
    if (!this.#isWriterWaiting || this.#inFlight > 0) return;
    this.#isWriterWaiting = false;
    if (this.#state === "open") this.#handlers?.drain();
  }

  #send(item: Uint8Array | "end", bytes: number): void {
    this.#inFlight += bytes;
    const other = this.#other;
    this.#link.schedule(() => other?.receive(item), bytes);
  }

  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    while (!this.#isPaused && this.#state === "open") {
      const item = this.#received.shift();
      if (item === undefined) break;
      if (item === "end") {
        this.#wasEnded = true;
        this.#tellEnd();
      } else {
        this.#handlers?.data(item);
        const other = this.#other;
        queueMicrotask(() => other?.delivered(item.length));
      }
    }
    this.#isDelivering = false;
    if (this.#wasEnded && this.#hasEnded && this.#state === "open") this.#close();
  }

  #close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#received = [];
    queueMicrotask(() => this.#tellClose());
  }

  #tellEnd(): void {
    if (this.#state === "closed" || this.#toldEnd === this.#handlers) return;
    this.#toldEnd = this.#handlers;
    this.#handlers?.end();
  }

  /** Once to each owner: one that takes over at the moment of the end would else be told twice. */
  #tellClose(): void {
    if (this.#toldClose === this.#handlers) return;
    this.#toldClose = this.#handlers;
    this.#handlers?.close(undefined);
  }
}

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

/** Hosts of one in-memory network: listeners by address, streams made on dial. */
export class MemoryNetwork {
  readonly #accepts = new Map<string, (stream: ByteStream) => void>();
  #nextPort = 50_000;

  /** A transport whose dials come from `host`. */
  transport(host: string): Transport {
    return {
      name: "memory",
      listen: (address, accept) => this.#listen(address, accept),
      dial: (address, { signal }) => this.#dial(host, address, signal),
    };
  }

  /** The streams of one dial; override to add latency, loss or bandwidth. */
  protected connect(from: StreamAddress, to: StreamAddress): [ByteStream, ByteStream] {
    return memoryStreamPair([from, to]);
  }

  async #listen(asked: StreamAddress, accept: (stream: ByteStream) => void): Promise<Listener> {
    const port = asked.port === 0 ? this.#takePort() : asked.port;
    const key = `${asked.host}:${port}`;
    if (this.#accepts.has(key)) throw new Error(`memory address ${key} is in use`);
    this.#accepts.set(key, accept);
    return {
      address: { host: asked.host, port },
      close: async () => void this.#accepts.delete(key),
    };
  }

  async #dial(host: string, to: StreamAddress, signal: AbortSignal): Promise<ByteStream> {
    signal.throwIfAborted();
    const accept =
      this.#accepts.get(`${to.host}:${to.port}`) ?? this.#accepts.get(`0.0.0.0:${to.port}`);
    if (accept === undefined) throw new Error(`connection refused: ${to.host}:${to.port}`);
    const [near, far] = this.connect({ host, port: this.#takePort() }, to);
    queueMicrotask(() => accept(far));
    return near;
  }

  #takePort(): number {
    this.#nextPort = this.#nextPort >= 65_535 ? 50_000 : this.#nextPort + 1;
    return this.#nextPort;
  }
}

class MemoryStream implements ByteStream {
  readonly localAddress: StreamAddress;
  readonly remoteAddress: StreamAddress;
  readonly #link: MemoryLink;
  #other: MemoryStream | undefined;
  #handlers: StreamHandlers | undefined;
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
    if (this.#state === "closed") queueMicrotask(() => this.#handlers?.close(undefined));
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
        this.#handlers?.end();
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
    queueMicrotask(() => this.#handlers?.close(undefined));
  }
}

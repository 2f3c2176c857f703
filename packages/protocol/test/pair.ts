import { encodeRlp } from "@heddle/identity";
import type { RlpInput } from "@heddle/identity";
import { DisconnectedError, disconnectReasonFor, Message, TimeoutError } from "@heddle/p2p";
import type { Clock, MessageReadWriter, Peer, Protocol, ReadOptions, Side } from "@heddle/p2p";

/** Time that passes only when a test says so. */
export class ManualClock implements Clock {
  #now = 1_000;
  #timers = new Map<number, { at: number; task: () => void }>();
  #lastHandle = 0;

  /** Timers that are armed. */
  get armed(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return this.#now;
  }

  setTimeout(task: () => void, ms: number): unknown {
    this.#timers.set(++this.#lastHandle, { at: this.#now + ms, task });
    return this.#lastHandle;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as number);
  }

  /** Lets time pass, running what becomes due in order. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settle();
      const next = [...this.#timers]
        .filter(([, { at }]) => at <= end)
        .sort(([, a], [, b]) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers.delete(next[0]);
      this.#now = Math.max(this.#now, next[1].at);
      next[1].task();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets everything happen that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** One end of a connection in memory: a bounded queue, as the mux has one. */
export class FakeEnd implements MessageReadWriter {
  readonly version: number;
  readonly clock: ManualClock;
  readonly controller = new AbortController();
  readonly peer: Peer;
  context: unknown;
  /** Arrived and not read. */
  readonly queue: Message[] = [];
  #other: FakeEnd | undefined;
  #error: Error | undefined;
  #reader: ((message: Message | undefined) => void) | undefined;
  #room: (() => void)[] = [];
  readonly #capacity: number;

  constructor(version: number, clock: ManualClock, capacity: number) {
    this.version = version;
    this.clock = clock;
    this.#capacity = capacity;
    this.peer = { signal: this.controller.signal, id: new Uint8Array(64) } as unknown as Peer;
  }

  connect(other: FakeEnd): void {
    this.#other = other;
  }

  async read({ timeoutMs }: ReadOptions = {}): Promise<Message> {
    let timer: unknown;
    const late = Symbol("late");
    const deadline = new Promise<typeof late>((resolve) => {
      if (timeoutMs !== undefined) timer = this.clock.setTimeout(() => resolve(late), timeoutMs);
    });
    const message = await Promise.race([this.#next(), deadline]);
    this.clock.clearTimeout(timer);
    if (message === late) throw new TimeoutError("read", timeoutMs ?? 0);
    if (message === undefined) throw this.#error as Error;
    return message;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message, undefined> {
    for (;;) {
      const message = await this.#next();
      if (message === undefined) return undefined;
      yield message;
    }
  }

  send(code: number, value: RlpInput): Promise<void> {
    return this.sendEncoded(code, encodeRlp(value));
  }

  sendItems(code: number, ...items: readonly RlpInput[]): Promise<void> {
    return this.send(code, items);
  }

  async sendEncoded(code: number, payload: Uint8Array): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    const other = this.#other as FakeEnd;
    other.push(new Message(code, payload));
    while (other.queue.length > other.#capacity && this.#error === undefined) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
    if (this.#error !== undefined) throw this.#error as Error;
  }

  provide(context: unknown): void {
    this.context = context;
  }

  /** Ends this side; what has arrived can still be read. */
  close(error: DisconnectedError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    if (this.queue.length === 0) this.#deliver(undefined);
    this.wakeSenders();
    this.controller.abort(error);
  }

  /** A message arrives. */
  push(message: Message): void {
    if (this.#error !== undefined) return;
    this.queue.push(message);
    if (this.#reader !== undefined) this.#deliver(this.#take());
  }

  #take(): Message | undefined {
    const message = this.queue.shift();
    this.#other?.wakeSenders();
    return message;
  }

  #next(): Promise<Message | undefined> {
    if (this.queue.length > 0 || this.#error !== undefined) return Promise.resolve(this.#take());
    return new Promise((resolve) => (this.#reader = resolve));
  }

  #deliver(message: Message | undefined): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.(message);
  }

  /** There is room, or no connection any more. */
  wakeSenders(): void {
    for (const wake of this.#room.splice(0)) wake();
  }
}

/** How a protocol's `run` came to its end. */
export interface Outcome {
  /** What was thrown; undefined when it returned. */
  readonly error: unknown;
  readonly reason: number;
  /** Whether it was `run` that ended the connection. */
  readonly wasFirst: boolean;
}

/** A connection in memory whose ends behave as a server's do when `run` settles. */
export class FakeConnection implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly near: FakeEnd;
  readonly far: FakeEnd;
  #hasEnded = false;

  constructor(options: { version?: number; capacity?: number } = {}) {
    const { version = 1, capacity = 1_000 } = options;
    this.near = new FakeEnd(version, this.clock, capacity);
    this.far = new FakeEnd(version, this.clock, capacity);
    this.near.connect(this.far);
    this.far.connect(this.near);
  }

  /** Starts a protocol on one end, as a server would. */
  async run(end: FakeEnd, protocol: Protocol): Promise<Outcome> {
    let outcome: Outcome;
    try {
      await protocol.run(end.peer, end);
      outcome = { error: undefined, reason: 0x08, wasFirst: !this.#hasEnded };
    } catch (error) {
      outcome = { error, reason: disconnectReasonFor(error), wasFirst: !this.#hasEnded };
    }
    if (outcome.wasFirst) this.end(end, outcome.reason);
    return outcome;
  }
  /** Ends the connection; `end` did it. */
  end(end: FakeEnd, reason = 0x00): DisconnectedError {
    const sideOf = (each: FakeEnd): Side => (each === end ? "local" : "remote");
    const errors = [this.near, this.far].map((each) => {
      const error = new DisconnectedError(reason, sideOf(each), "session");
      each.close(error);
      return error;
    });
    this.#hasEnded = true;
    return errors[0] as DisconnectedError;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end(this.near);
    await this.clock.advance(0);
  }
}

/** A promise and the functions that settle it. */
export interface Gate<T = void> {
  readonly promise: Promise<T>;
  open(value: T): void;
  fail(error: unknown): void;
}

/** Makes a {@link Gate}: for handlers that finish when the test says so. */
export function gate<T = void>(): Gate<T> {
  let open: (value: T) => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}

import { TimeoutError } from "./errors.ts";
import type { Message } from "./message.ts";
import type { Clock } from "./clock.ts";
import type { ReadOptions } from "./protocol.ts";

/**
 * What a queued message counts for beside its payload, in bytes: its objects cost about that much, and
 * it makes one bound hold for many small messages as for few large ones.
 */
export const MESSAGE_OVERHEAD = 256;

/** What a message counts for against byte bounds: its payload and a fixed overhead. */
export function messageCost(payload: Uint8Array): number {
  return payload.length + MESSAGE_OVERHEAD;
}

interface Reader {
  resolve(message: Message): void;
  reject(error: unknown): void;
}

const DONE: IteratorResult<Message, undefined> = { done: true, value: undefined };

/**
 * Received messages of one protocol on one connection, in order, until its `run` takes them.
 *
 * The inbox itself never refuses a message: it says when it is full, and whoever fills it stops
 * reading. After `close` what had arrived is still handed out; then every read gets the error.
 */
export class Inbox {
  readonly #clock: Clock;
  readonly #onTake: (cost: number) => void;
  #queue: (Message | undefined)[] = [];
  #head = 0;
  #readers: Reader[] = [];
  #error: Error | undefined;
  /** Cost of everything queued, in bytes. */
  cost = 0;

  /** @param onTake - told of every queued message taken, so that reading may resume */
  constructor(clock: Clock, onTake: (cost: number) => void) {
    this.#clock = clock;
    this.#onTake = onTake;
  }

  /** How many messages are queued. */
  get size(): number {
    return this.#queue.length - this.#head;
  }

  /** Hands the message to a waiting reader, or queues it; dropped once closed. */
  push(message: Message): void {
    if (this.#error !== undefined) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      this.#onTake(messageCost(message.payload));
      reader.resolve(message);
      return;
    }
    this.#queue.push(message);
    this.cost += messageCost(message.payload);
  }

  /** No more will come: queued messages can still be read, then reads reject with `error`. */
  close(error: Error): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    for (const reader of this.#readers.splice(0)) reader.reject(error);
  }

  /** Drops what is queued: nobody will read it any more. */
  clear(): void {
    this.#queue = [];
    this.#head = 0;
    this.cost = 0;
  }

  read(options: ReadOptions = {}): Promise<Message> {
    if (options.signal?.aborted === true) return rejected(options.signal.reason);
    const message = this.#take();
    if (message !== undefined) return Promise.resolve(message);
    if (this.#error !== undefined) return rejected(this.#error);
    const { signal, timeoutMs } = options;
    const waiting = new Promise<Message>((resolve, reject) => {
      if (signal === undefined && timeoutMs === undefined) {
        this.#readers.push({ resolve, reject });
      } else {
        this.#wait(resolve, reject, signal, timeoutMs);
      }
    });
    // A read that nobody awaits must not bring the process down when the connection ends.
    waiting.catch(() => undefined);
    return waiting;
  }

  iterate(): AsyncIterator<Message, undefined> {
    let isLeft = false;
    return {
      next: () => {
        if (isLeft) return Promise.resolve(DONE);
        const message = this.#take();
        if (message !== undefined) return Promise.resolve({ done: false, value: message });
        if (this.#error !== undefined) return Promise.resolve(DONE);
        return new Promise((resolve) => {
          this.#readers.push({
            resolve: (value) => resolve({ done: false, value }),
            reject: () => resolve(DONE),
          });
        });
      },
      return: () => {
        isLeft = true;
        return Promise.resolve(DONE);
      },
    };
  }

  #take(): Message | undefined {
    const message = this.#queue[this.#head];
    if (message === undefined) return undefined;
    this.#queue[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    const cost = messageCost(message.payload);
    this.cost -= cost;
    this.#onTake(cost);
    return message;
  }

  #wait(
    resolve: (message: Message) => void,
    reject: (error: unknown) => void,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
  ): void {
    let timer: unknown;
    const finish = (): void => {
      if (timer !== undefined) this.#clock.clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
    const reader: Reader = {
      resolve: (message) => {
        finish();
        resolve(message);
      },
      reject: (error) => {
        finish();
        reject(error);
      },
    };
    const leave = (error: unknown): void => {
      this.#readers.splice(this.#readers.indexOf(reader), 1);
      reader.reject(error);
    };
    const onAbort = (): void => leave(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (timeoutMs !== undefined) {
      timer = this.#clock.setTimeout(() => leave(new TimeoutError("read", timeoutMs)), timeoutMs);
    }
    this.#readers.push(reader);
  }
}

function rejected(error: unknown): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(() => undefined);
  return promise;
}

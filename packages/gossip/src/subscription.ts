import type { Clock, Logger } from "@heddle/p2p";

import { GossipError } from "./errors.ts";
import type { GossipMessage } from "./message.ts";
import { OrderBuffer } from "./order.ts";

/** How order is kept. */
export interface OrderOptions {
  /** How long a gap holds back what comes after it, in milliseconds; the limit `orderWaitMs` by default. */
  readonly waitMs?: number;
  /** What becomes of a message that comes after its turn was given up; `"drop"`, by default, keeps the order. */
  readonly late?: "drop" | "deliver";
}

/** How a topic is followed. */
export interface SubscribeOptions {
  /** Each origin's messages in the order they were published. */
  readonly ordered?: boolean | OrderOptions;
  /** Messages that are held already come first. */
  readonly replay?: boolean;
  /** Our own messages, too. */
  readonly own?: boolean;
}

/** Messages of a topic as they come, each once; iterating ends when it is closed. */
export interface Subscription extends AsyncIterable<GossipMessage, undefined>, Disposable {
  readonly topic: string;
  /** Messages that wait to be taken. */
  readonly queued: number;
  /** Messages that came after their turn had been given up (ordered only). */
  readonly late: number;
  /** Takes no more; what is queued can still be read. */
  close(): void;
}

/** Hears of each message. What it throws or rejects with is logged; a promise is not waited for. */
export type Listener = (message: GossipMessage) => unknown;

/** What a subscription is made with. */
export interface SubscriptionParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly orderWaitMs: number;
  readonly maxQueued: number;
  readonly listener: Listener | undefined;
  readonly closed: (subscription: TopicSubscription) => void;
}

/** A {@link Subscription}, from the side that feeds it. */
export class TopicSubscription implements Subscription {
  readonly topic: string;
  readonly wantsOwn: boolean;
  readonly #parts: SubscriptionParts;
  readonly #order: OrderBuffer | undefined;
  #queue: GossipMessage[] = [];
  #late = 0;
  #waiting: (() => void)[] = [];
  #isClosed = false;
  #error: GossipError | undefined;

  constructor(topic: string, options: SubscribeOptions, parts: SubscriptionParts) {
    this.topic = topic;
    this.wantsOwn = options.own ?? false;
    this.#parts = parts;
    const ordered = options.ordered === true ? {} : options.ordered;
    if (ordered !== undefined && ordered !== false) {
      const { waitMs = parts.orderWaitMs, late = "drop" } = ordered;
      this.#order = new OrderBuffer(parts.clock, checkWait(waitMs), {
        deliver: (message) => this.#deliver(message),
        late: (message) => {
          this.#late += 1;
          if (late === "deliver") this.#deliver(message);
        },
      });
    }
  }

  get queued(): number {
    return this.#queue.length;
  }

  get late(): number {
    return this.#late;
  }

  /** A message was accepted. */
  push(message: GossipMessage): void {
    if (this.#isClosed) return;
    if (this.#order === undefined) this.#deliver(message);
    else this.#order.push(message);
  }

  /** A message had been accepted before anybody subscribed. */
  pass(message: GossipMessage): void {
    this.#order?.pass(message);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#order?.close();
    this.#parts.closed(this);
    this.#wakeAll();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GossipMessage, undefined> {
    try {
      for (;;) {
        const message = this.#queue.shift();
        if (message !== undefined) yield message;
        else if (this.#error !== undefined) throw this.#error;
        else if (this.#isClosed) return undefined;
        else await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      this.close();
    }
  }

  #deliver(message: GossipMessage): void {
    if (this.#isClosed) return;
    const { listener, logger, maxQueued } = this.#parts;
    if (listener !== undefined) {
      const failed = (error: unknown): void =>
        logger.error("a gossip listener failed", { topic: this.topic, error });
      try {
        void Promise.resolve(listener(message)).catch(failed);
      } catch (error) {
        failed(error);
      }
      return;
    }
    if (this.#queue.length >= maxQueued) {
      // To lose messages in silence would break the promise that each is delivered once.
      const problem = `${maxQueued} messages wait to be taken, and no more may`;
      this.#error = new GossipError("ERR_GOSSIP_SLOW_SUBSCRIBER", problem);
      this.close();
      return;
    }
    this.#queue.push(message);
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

function checkWait(waitMs: number): number {
  if (waitMs >= 0 && waitMs < Infinity) return waitMs;
  throw new RangeError(`ordered.waitMs: expected a number of milliseconds from 0, got ${waitMs}`);
}

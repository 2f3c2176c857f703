import { messageCost } from "./inbox.ts";

/** A message on its way out; `accepted` is called when it has left the queue, `failed` if it never will. */
export interface Outgoing {
  readonly msgId: number;
  readonly payload: Uint8Array;
  /** Whether the payload's memory is freed when it has left. */
  readonly release: boolean;
  readonly accepted?: () => void;
  readonly failed?: (error: Error) => void;
}

/**
 * How many bytes a queue may send per turn. Small enough that a turn is far shorter than a
 * millisecond, large enough that turns cost nothing.
 */
export const QUANTUM: number = 16 * 1024;

/** The outgoing messages of one protocol on one connection, first in, first out. */
export class OutQueue {
  #items: (Outgoing | undefined)[] = [];
  #head = 0;
  /** Cost of everything queued, in bytes. */
  cost = 0;
  /** What the other side still has room for, in bytes; Infinity when it does not say. */
  window: number = Number.POSITIVE_INFINITY;
  /** Deficit round robin: bytes it may still send in this turn. */
  deficit = 0;
  /** Whether it stands in the outbox's round. */
  isActive = false;

  get size(): number {
    return this.#items.length - this.#head;
  }

  peek(): Outgoing | undefined {
    return this.#items[this.#head];
  }

  push(item: Outgoing): void {
    this.#items.push(item);
    this.cost += messageCost(item.payload);
  }

  shift(): void {
    const item = this.#items[this.#head];
    if (item === undefined) return;
    this.#items[this.#head] = undefined;
    this.#head += 1;
    this.cost -= messageCost(item.payload);
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Empties it; whoever waits for one of its messages is told why. */
  fail(error: Error): void {
    const items = this.#items.slice(this.#head);
    this.#items = [];
    this.#head = 0;
    this.cost = 0;
    for (const item of items) item?.failed?.(error);
  }
}

/**
 * Everything that waits to leave on one connection: base traffic first, then the protocols' queues in
 * turn by bytes, so that none can hold up another for longer than one message.
 *
 * @see Shreedhar and Varghese, "Efficient Fair Queueing Using Deficit Round Robin" (1995)
 */
export class Outbox {
  readonly #base = new OutQueue();
  #round: OutQueue[] = [];
  #lastServed: OutQueue | undefined;

  /** Base messages that wait. */
  get baseSize(): number {
    return this.#base.size;
  }

  pushBase(item: Outgoing): void {
    this.#base.push(item);
  }

  push(queue: OutQueue, item: Outgoing): void {
    queue.push(item);
    this.activate(queue);
  }

  /** Puts the queue into the round if it has something to send and room to send it. */
  activate(queue: OutQueue): void {
    if (queue.isActive || queue.size === 0 || queue.window <= 0) return;
    queue.isActive = true;
    this.#round.push(queue);
  }

  /** Takes the message that is to leave next. */
  next(): Outgoing | undefined {
    const base = this.#base.peek();
    if (base !== undefined) {
      this.#base.shift();
      return base;
    }
    for (;;) {
      const queue = this.#round[0];
      if (queue === undefined) return undefined;
      const item = queue.peek();
      if (item === undefined || queue.window <= 0) {
        this.#leaveRound(queue);
        continue;
      }
      const cost = messageCost(item.payload);
      if (this.#round.length > 1 && queue.deficit < cost) {
        queue.deficit += QUANTUM;
        this.#round.push(queue);
        this.#round.shift();
        continue;
      }
      queue.shift();
      queue.deficit = Math.max(0, queue.deficit - cost);
      queue.window -= cost;
      this.#lastServed = queue;
      if (queue.size === 0 || queue.window <= 0) this.#leaveRound(queue);
      return item;
    }
  }

  /** The message that {@link next} gave last could not leave: it takes nothing of its window. */
  takeBack({ payload }: Outgoing): void {
    if (this.#lastServed === undefined) return;
    this.#lastServed.window += messageCost(payload);
    this.activate(this.#lastServed);
  }

  /** Drops everything; whoever waits is told why. */
  fail(queues: Iterable<OutQueue>, error: Error): void {
    this.#base.fail(error);
    this.#round = [];
    for (const queue of queues) {
      queue.isActive = false;
      queue.fail(error);
    }
  }

  #leaveRound(queue: OutQueue): void {
    queue.isActive = false;
    queue.deficit = 0;
    this.#round.shift();
  }
}

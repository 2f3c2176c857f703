import type { Clock } from "@heddle/p2p";

import { keyOf } from "./message.ts";
import type { GossipMessage } from "./message.ts";

/** Messages that wait for those before them, in all streams together. */
const MAX_HELD = 1_024;

/** Origins whose place is remembered. */
const MAX_STREAMS = 4_096;

/** One origin's messages of one topic. */
interface Stream {
  epoch: number;
  /** The sequence number that comes next. */
  next: number;
  /** What cannot be given yet, by epoch and sequence. */
  readonly held: GossipMessage[];
  /** When the wait for what is missing is over. */
  deadline: number;
}

/** What an {@link OrderBuffer} does with messages. */
export interface OrderEvents {
  /** It is this message's turn. */
  deliver(message: GossipMessage): void;
  /** A message came after its turn had been given up. */
  late(message: GossipMessage): void;
}

/**
 * Puts the messages of one topic into the order of each origin: by epoch, then by sequence.
 *
 * A gap holds back what comes after it, until it is filled or `waitMs` have passed; what comes later still is
 * told apart, since it would be out of order.
 */
export class OrderBuffer {
  readonly #clock: Clock;
  readonly #waitMs: number;
  readonly #events: OrderEvents;
  readonly #streams = new Map<string, Stream>();
  #held = 0;
  #timer: unknown;

  constructor(clock: Clock, waitMs: number, events: OrderEvents) {
    this.#clock = clock;
    this.#waitMs = waitMs;
    this.#events = events;
  }

  /** How many messages wait. */
  get size(): number {
    return this.#held;
  }

  /** Notes that a message was there before anybody asked: its stream goes on after it. */
  pass({ origin, epoch, sequence }: GossipMessage): void {
    const stream = this.#streamOf(keyOf(origin), epoch);
    if (epoch > stream.epoch) stream.epoch = epoch;
    else if (epoch < stream.epoch || sequence < stream.next) return;
    stream.next = sequence + 1;
  }

  push(message: GossipMessage): void {
    const stream = this.#streamOf(keyOf(message.origin), message.epoch);
    if (compareTurns(message, { epoch: stream.epoch, sequence: stream.next }) < 0) {
      this.#events.late(message);
      return;
    }
    const at = stream.held.findIndex((held) => compareTurns(message, held) < 0);
    stream.held.splice(at < 0 ? stream.held.length : at, 0, message);
    this.#held += 1;
    this.#drain(stream);
    if (this.#held > MAX_HELD) this.#skipLongest();
    this.#arm();
  }

  /** Forgets what waits. */
  close(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    // A listener may close the subscription while its messages are being delivered.
    for (const { held } of this.#streams.values()) held.length = 0;
    this.#streams.clear();
    this.#held = 0;
  }

  #streamOf(key: string, epoch: number): Stream {
    let stream = this.#streams.get(key);
    if (stream === undefined) {
      stream = { epoch, next: 1, held: [], deadline: Infinity };
      this.#streams.set(key, stream);
      this.#forgetIdle();
    }
    return stream;
  }

  #forgetIdle(): void {
    if (this.#streams.size <= MAX_STREAMS) return;
    for (const [key, { held }] of this.#streams) {
      if (held.length > 0) continue;
      this.#streams.delete(key);
      return;
    }
  }

  /** Delivers everything whose turn it is. */
  #drain(stream: Stream): void {
    for (let [first] = stream.held; first !== undefined; [first] = stream.held) {
      // Nothing of the epoch before is waited for, so that one is over.
      if (first.epoch > stream.epoch && first.sequence === 1) {
        stream.epoch = first.epoch;
        stream.next = 1;
      }
      if (first.epoch !== stream.epoch || first.sequence !== stream.next) break;
      stream.held.shift();
      this.#held -= 1;
      stream.next += 1;
      stream.deadline = Infinity;
      this.#events.deliver(first);
    }
    if (stream.held.length === 0) stream.deadline = Infinity;
    else if (stream.deadline === Infinity) stream.deadline = this.#clock.now() + this.#waitMs;
  }

  /** Gives up what is missing before the first message that waits. */
  #skip(stream: Stream): void {
    const [first] = stream.held;
    if (first === undefined) return;
    stream.epoch = first.epoch;
    stream.next = first.sequence;
    stream.deadline = Infinity;
    this.#drain(stream);
  }

  #skipLongest(): void {
    let longest: Stream | undefined;
    for (const stream of this.#streams.values()) {
      if (stream.held.length > (longest?.held.length ?? 0)) longest = stream;
    }
    if (longest !== undefined) this.#skip(longest);
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#held === 0) return;
    let next = Infinity;
    for (const { deadline } of this.#streams.values()) next = Math.min(next, deadline);
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#timer = undefined;
        const now = this.#clock.now();
        for (const stream of this.#streams.values()) {
          if (stream.deadline <= now) this.#skip(stream);
        }
        this.#arm();
      },
      Math.max(0, next - this.#clock.now()),
    );
  }
}

function compareTurns(
  a: Pick<GossipMessage, "epoch" | "sequence">,
  b: Pick<GossipMessage, "epoch" | "sequence">,
): number {
  return a.epoch - b.epoch || a.sequence - b.sequence;
}

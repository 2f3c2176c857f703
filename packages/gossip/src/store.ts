import { hash, keyOf, MESSAGE_COST } from "./message.ts";
import type { GossipMessage } from "./message.ts";
import { compareBounds } from "./protocol.ts";
import type { Bound, Range, Summary } from "./protocol.ts";

/** Bounds of what is held. */
export interface StoreLimits {
  readonly maxMessages: number;
  /** Payloads, and 2,000 bytes for each message. */
  readonly maxBytes: number;
  /** How long a message is held, from its own time on, in milliseconds. */
  readonly retentionMs: number;
}

/** Words of 32 bits in an id. */
const WORDS = 8;

/**
 * The messages of the retention window, in the order of time and id: what is passed on, compared and
 * looked up to know a message again.
 *
 * Nothing older than the {@link MessageStore.floor} is taken any more, and nothing newer is ever forgotten:
 * so no message can be taken twice, however small the bounds are.
 */
export class MessageStore {
  readonly #limits: StoreLimits;
  readonly #onDelete: (message: GossipMessage) => void;
  readonly #byKey = new Map<string, GossipMessage>();
  readonly #sorted: GossipMessage[] = [];
  #bytes = 0;
  #floor = 0;

  /** @param onDelete - told of every message that is held no more */
  constructor(limits: StoreLimits, onDelete: (message: GossipMessage) => void) {
    this.#limits = limits;
    this.#onDelete = onDelete;
  }

  get size(): number {
    return this.#sorted.length;
  }

  /** Payloads, and 2,000 bytes for each message. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Messages of this time and before are not held: they have expired, or had to make room. */
  get floor(): number {
    return this.#floor;
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  get(key: string): GossipMessage | undefined {
    return this.#byKey.get(key);
  }

  /** Everything that is held, oldest first. */
  values(): IterableIterator<GossipMessage> {
    return this.#sorted.values();
  }

  /** Takes a message that is newer than the floor and not held yet. */
  add(message: GossipMessage): void {
    this.#sorted.splice(this.#indexOf(message), 0, message);
    this.#byKey.set(keyOf(message.id), message);
    this.#bytes += costOf(message);
    const { maxBytes, maxMessages } = this.#limits;
    let excess = 0;
    let bytes = this.#bytes;
    while (this.size - excess > maxMessages || bytes > maxBytes) {
      bytes -= costOf(this.#sorted[excess++] as GossipMessage);
    }
    if (excess > 0) this.#raise((this.#sorted[excess - 1] as GossipMessage).time);
  }

  /** Lets go of what is older than the retention window. */
  expire(wallNow: number): void {
    this.#raise(Math.floor(wallNow - this.#limits.retentionMs));
  }

  /** How many messages of a range are held, and which, in 16 bytes. */
  summarize(range: Range): Summary {
    const [start, end] = this.#extent(range);
    const sums = Array.from({ length: WORDS }, () => 0);
    for (let i = start; i < end; i++) addWords(sums, (this.#sorted[i] as GossipMessage).id);
    return { count: end - start, fingerprint: digest(sums, end - start) };
  }

  /** The messages of a range, oldest first. */
  slice(range: Range): readonly GossipMessage[] {
    return this.#sorted.slice(...this.#extent(range));
  }

  /** Cuts a range into at most `parts` of as many messages each. */
  split({ from, to }: Range, parts: number): Range[] {
    const [start, end] = this.#extent({ from, to });
    const step = Math.max(1, Math.ceil((end - start) / parts));
    const ranges: Range[] = [];
    let lower = from;
    for (let i = start + step; i < end; i += step) {
      const { time, id } = this.#sorted[i] as GossipMessage;
      ranges.push({ from: lower, to: { time, id } });
      lower = { time, id };
    }
    ranges.push({ from: lower, to });
    return ranges;
  }

  #raise(floor: number): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    let count = 0;
    for (const message of this.#sorted) {
      if (message.time > floor) break;
      count += 1;
    }
    for (const message of this.#sorted.splice(0, count)) {
      this.#byKey.delete(keyOf(message.id));
      this.#bytes -= costOf(message);
      this.#onDelete(message);
    }
  }

  #extent({ from, to }: Range): [start: number, end: number] {
    const start = this.#indexOf(from);
    return [start, Math.max(start, this.#indexOf(to))];
  }

  /** Where the first message stands that is not before `bound`. */
  #indexOf(bound: Bound): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBounds(this.#sorted[middle] as GossipMessage, bound) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function costOf({ payload }: GossipMessage): number {
  return payload.length + MESSAGE_COST;
}

/** Adds an id to the sums of its words; 2^21 of them stay exact. */
function addWords(sums: number[], id: Uint8Array): void {
  const view = new DataView(id.buffer, id.byteOffset, id.byteLength);
  for (let i = 0; i < WORDS; i++) sums[i] = (sums[i] as number) + view.getUint32(4 * i, true);
}

/**
 * Sixteen bytes of SHA-256 over the sum of all ids, little-endian, modulo 2^256, and their number.
 *
 * A sum and not an exclusive or: of that, some 256 ids make any value by linear algebra, and whoever
 * publishes them could hide what is missing.
 */
function digest(sums: readonly number[], count: number): Uint8Array {
  const input = new DataView(new ArrayBuffer(4 * WORDS + 4));
  let carry = 0;
  for (const [i, sum] of sums.entries()) {
    const total = sum + carry;
    carry = Math.floor(total / 2 ** 32);
    input.setUint32(4 * i, total % 2 ** 32, true);
  }
  input.setUint32(4 * WORDS, count, true);
  return hash(new Uint8Array(input.buffer)).subarray(0, 16);
}

import { keyOf } from "./message.ts";
import type { GossipMessage } from "./message.ts";

/** How many messages one origin may publish. */
export interface OriginAllowance {
  /** In each {@link OriginAllowance.windowMs} of its own clock. */
  readonly messages: number;
  /** In milliseconds. */
  readonly windowMs: number;
}

/** Which message of which origin, and when. */
export type Slot = Pick<GossipMessage, "origin" | "topic" | "epoch" | "sequence" | "time">;

interface Origin {
  /** Messages held, by the window of their time. */
  readonly windows: Map<number, number>;
  /** Which sequence numbers are taken. */
  readonly taken: Set<string>;
}

/**
 * Keeps each origin to its allowance and to one message for each sequence number.
 *
 * The windows are those of the signed time, not of arrival: so every node counts alike, and what was held
 * back by a partition may arrive all at once.
 */
export class Origins {
  readonly #allowance: OriginAllowance;
  readonly #origins = new Map<string, Origin>();

  constructor(allowance: OriginAllowance) {
    this.#allowance = allowance;
  }

  /** How many origins have messages that are held. */
  get size(): number {
    return this.#origins.size;
  }

  /** Why a message must not be taken, if so. */
  refusal(message: Slot): "conflict" | "excess" | undefined {
    const origin = this.#origins.get(keyOf(message.origin));
    if (origin === undefined) return undefined;
    if (origin.taken.has(placeOf(message))) return "conflict";
    const count = origin.windows.get(this.#windowOf(message)) ?? 0;
    return count >= this.#allowance.messages ? "excess" : undefined;
  }

  add(message: Slot): void {
    const key = keyOf(message.origin);
    let origin = this.#origins.get(key);
    if (origin === undefined) {
      origin = { windows: new Map(), taken: new Set() };
      this.#origins.set(key, origin);
    }
    const window = this.#windowOf(message);
    origin.windows.set(window, (origin.windows.get(window) ?? 0) + 1);
    origin.taken.add(placeOf(message));
  }

  /** The message is held no more. */
  delete(message: Slot): void {
    const key = keyOf(message.origin);
    const origin = this.#origins.get(key);
    if (origin === undefined) return;
    const window = this.#windowOf(message);
    const left = (origin.windows.get(window) ?? 0) - 1;
    if (left > 0) origin.windows.set(window, left);
    else origin.windows.delete(window);
    origin.taken.delete(placeOf(message));
    if (origin.taken.size === 0) this.#origins.delete(key);
  }

  #windowOf({ time }: Slot): number {
    return Math.floor(time / this.#allowance.windowMs);
  }
}

function placeOf({ epoch, sequence, topic }: Slot): string {
  return `${epoch} ${sequence} ${topic}`;
}

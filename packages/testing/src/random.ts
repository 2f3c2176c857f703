import { isSecretKey } from "@heddle/identity";

/** Numbers that look random and are the same for the same seed. For tests only: nothing here is secret. */
export interface SeededRandom {
  /** Uniform in [0, 1); does without `this`, so it can be handed on as `random`. */
  readonly next: () => number;
  /** An integer from 0 to `below`-1. */
  integer(below: number): number;
  /** A number from `min` to `max`. */
  between(min: number, max: number): number;
  /** Bytes, owned by the caller. */
  bytes(length: number): Uint8Array;
  /** A secret key for secp256k1, 32 bytes. */
  secretKey(): Uint8Array;
  /** One of the items. @throws RangeError when there is none */
  pick<T>(items: readonly T[]): T;
  /** The items in another order, in a new array. */
  shuffle<T>(items: readonly T[]): T[];
  /** A source of its own, so that drawing more from one leaves the other as it was. */
  fork(): SeededRandom;
}

/**
 * Makes a reproducible source of random numbers, by mulberry32.
 *
 * @param seed - an integer; its low 32 bits count
 * @throws RangeError when the seed is no integer
 * @example
 * const random = seededRandom(7);
 * new Server({ key: random.secretKey(), random: random.next, clientId: "sim/1" });
 */
export function seededRandom(seed: number): SeededRandom {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`seed: expected an integer, got ${seed}`);
  return new Mulberry32(seed);
}

class Mulberry32 implements SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };

  integer(below: number): number {
    return Math.floor(this.next() * below);
  }

  between(min: number, max: number): number {
    return min + this.next() * (max - min);
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.integer(256));
  }

  secretKey(): Uint8Array {
    for (;;) {
      const key = this.bytes(32);
      if (isSecretKey(key)) return key;
    }
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("there is nothing to pick from");
    return items[this.integer(items.length)] as T;
  }

  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [shuffled[i], shuffled[j]] = [shuffled[j] as T, shuffled[i] as T];
    }
    return shuffled;
  }

  fork(): SeededRandom {
    return new Mulberry32(Math.floor(this.next() * 2 ** 32));
  }
}

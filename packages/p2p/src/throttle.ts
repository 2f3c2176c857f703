import { addressKey } from "./cidr.ts";
import type { Clock } from "./clock.ts";

/** Addresses remembered at most: about 100 bytes each. */
const MAX_ENTRIES = 65_536;

/**
 * Lets one inbound connection per address (IPv6: per /64, which is what one subscriber holds) through in
 * a window of time; every call takes constant time.
 *
 * When the table is full the oldest entry goes: an attacker with that many addresses wins back at most
 * what each of them is entitled to anyway.
 */
export class ConnectionThrottle {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #maxEntries: number;
  /** Admission times by address, oldest first. */
  readonly #admitted = new Map<string, number>();

  constructor(options: { clock: Clock; windowMs: number; maxEntries?: number }) {
    this.#clock = options.clock;
    this.#windowMs = options.windowMs;
    this.#maxEntries = options.maxEntries ?? MAX_ENTRIES;
  }

  /** How many addresses it remembers. */
  get size(): number {
    return this.#admitted.size;
  }

  /** Whether a connection from this address may come in now; if so, it counts. */
  admit(address: string): boolean {
    const now = this.#clock.now();
    const key = addressKey(address);
    const last = this.#admitted.get(key);
    if (last !== undefined && now - last < this.#windowMs) return false;
    this.#admitted.delete(key);
    this.#dropExpired(now);
    this.#admitted.set(key, now);
    return true;
  }

  /** At most two a call: more leave than come in, and no call is slow. */
  #dropExpired(now: number): void {
    for (let i = 0; i < 2; i += 1) {
      const oldest = this.#admitted.entries().next().value;
      if (oldest === undefined) return;
      const isFull = this.#admitted.size >= this.#maxEntries;
      if (!isFull && now - oldest[1] < this.#windowMs) return;
      this.#admitted.delete(oldest[0]);
    }
  }
}

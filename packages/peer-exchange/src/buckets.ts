import { createHmac } from "node:crypto";

import type { Entry } from "./entry.ts";

/** A secret that decides which bucket an address falls into. */
export class Salt {
  /** 32 bytes; owned by the book. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** A number from 0 to 2^32 - 1 that nobody can foresee without the secret. */
  hash(...parts: readonly (string | number)[]): number {
    const digest = createHmac("sha256", this.bytes).update(parts.join("|")).digest();
    return digest.readUInt32BE(0);
  }
}

/**
 * Buckets of bounded size. Which entries stay in a full one depends on the secret alone, so an attacker
 * who sends the same or ever more addresses gains nothing by trying again.
 */
export class Buckets {
  readonly #salt: Salt;
  readonly #size: number;
  readonly #buckets: Entry[][];

  constructor(salt: Salt, count: number, size: number) {
    this.#salt = salt;
    this.#size = size;
    this.#buckets = Array.from({ length: count }, () => []);
  }

  get count(): number {
    return this.#buckets.length;
  }

  /** Puts an entry into its bucket, if there is room. */
  add(entry: Entry): boolean {
    const bucket = this.#buckets[entry.bucket];
    if (bucket === undefined || bucket.length >= this.#size) return false;
    bucket.push(entry);
    return true;
  }

  delete(entry: Entry): void {
    const bucket = this.#buckets[entry.bucket];
    const index = bucket?.indexOf(entry) ?? -1;
    if (bucket !== undefined && index !== -1) bucket.splice(index, 1);
  }

  /**
   * Whom a newcomer may replace in its full bucket: one that fails, or else the one that the secret ranks
   * lowest, if it ranks the newcomer higher.
   */
  victim(entry: Entry): Entry | undefined {
    const bucket = this.#buckets[entry.bucket] ?? [];
    const failing = bucket.find(({ failures }) => failures > 0);
    if (failing !== undefined) return failing;
    let lowest = entry;
    for (const other of bucket) if (this.#rank(other) > this.#rank(lowest)) lowest = other;
    return lowest === entry ? undefined : lowest;
  }

  #rank({ key, bucket }: Entry): number {
    return this.#salt.hash("rank", bucket, key);
  }
}

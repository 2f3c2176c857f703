import { toHex } from "@heddle/identity";
import type { Enr } from "@heddle/identity";
import type { Clock } from "@heddle/p2p";

import { Buckets } from "./buckets.ts";
import type { Salt } from "./buckets.ts";
import { createEntry, isDead, snapshot } from "./entry.ts";
import type { Entry, KnownNode, Table } from "./entry.ts";
import type { PexLimits } from "./limits.ts";
import { RecentMap } from "./recent.ts";
import { SubnetIndex } from "./subnet-index.ts";
import type { VerifiedRecord } from "./verified-record.ts";

/** What became of a record that was offered to the book. */
export type BookOutcome =
  /** Not known before. */
  | "added"
  /** Newer than the one that was known. */
  | "updated"
  /** The very version that is known. */
  | "known"
  /** Older than the one that is known. */
  | "stale"
  /** Names no address, or no TCP port. */
  | "noAddress"
  /** Its subnet, its source or its bucket has as many as it may. */
  | "subnetFull"
  | "sourceFull"
  | "bucketFull"
  /** Was given up a short while ago. */
  | "banned";

/** How a dial ended, as far as the book is concerned. */
export type DialOutcome =
  | "success"
  /** Answered, and had no place for us. */
  | "busy"
  | "failure"
  /** It failed while nobody else was connected: it may well be ourselves who are cut off. */
  | "unsure";

/** What a book is made of. */
export interface BookOptions {
  readonly clock: Clock;
  /** Uniform in [0, 1), unforeseeable: it decides whom we dial. */
  readonly random: () => number;
  readonly salt: Salt;
  readonly limits: PexLimits;
  /** An entry is new or has changed, or is gone (`undefined`); for the store. */
  readonly changed?: (key: string, entry: Entry | undefined) => void;
}

/** Ids that were given up lately and are remembered as such. */
const MAX_BANNED = 4_096;

/** An address that was reached within this time counts as alive when others ask, in milliseconds. */
const ALIVE_MS = 3 * 3_600_000;

/**
 * Signed node records of nodes that may be dialed, bounded in every direction.
 *
 * Two tables, as Bitcoin's address manager has them: what was only told, and what a dial has reached.
 * Entries fall into buckets by a secret, one source's reach only some of them, and draws go by subnet.
 */
export class AddressBook {
  readonly #options: BookOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #buckets: Readonly<Record<Table, Buckets>>;
  /** All entries, and those of them that a dial has reached. */
  readonly #subnets = new SubnetIndex();
  readonly #tried = new SubnetIndex();
  readonly #bySource = new Map<string, number>();
  readonly #banned = new RecentMap<{ readonly seq: bigint; readonly until: number }>(MAX_BANNED);

  constructor(options: BookOptions) {
    this.#options = options;
    const { salt, limits } = options;
    this.#buckets = {
      new: new Buckets(salt, limits.newBuckets, limits.newBucketSize),
      tried: new Buckets(salt, limits.triedBuckets, limits.triedBucketSize),
    };
  }

  get size(): number {
    return this.#entries.size;
  }

  /** How many entries a dial of ours has reached. */
  get triedCount(): number {
    return this.#tried.size;
  }

  /** What is known of a node. */
  get(id: Uint8Array): KnownNode | undefined {
    const entry = this.#entries.get(toHex(id));
    return entry === undefined ? undefined : snapshot(entry);
  }

  /** Everything that is known, in the order it was learnt. */
  list(): KnownNode[] {
    return Array.from(this.#entries.values(), snapshot);
  }

  /**
   * Offers a verified record.
   *
   * @param source - the subnet of the node that told of it
   */
  add(verified: VerifiedRecord, source: string): BookOutcome {
    const { record } = verified;
    const now = this.#options.clock.wallNow();
    const entry = createEntry(verified, source, now);
    if (entry === undefined) return "noAddress";
    const banned = this.#banned.get(entry.key);
    if (banned !== undefined && record.seq <= banned.seq && now < banned.until) return "banned";
    const known = this.#entries.get(entry.key);
    if (known === undefined) return this.#insert(entry) ?? "added";
    if (record.seq <= known.record.seq) return record.seq < known.record.seq ? "stale" : "known";
    return this.#update(known, entry);
  }

  /** Notes how a dial of ours ended; gives the address up after too many failures. */
  dialed(id: Uint8Array, outcome: DialOutcome): void {
    const entry = this.#entries.get(toHex(id));
    if (entry === undefined) return;
    const now = this.#options.clock.wallNow();
    entry.attempts += 1;
    if (outcome === "unsure") {
      entry.lastFailure = now;
    } else if (outcome === "failure") {
      entry.lastFailure = now;
      entry.failures += 1;
      if (isDead(entry)) {
        this.ban(id);
        return;
      }
    } else {
      entry.lastHeard = now;
      entry.failures = 0;
      // One that is full answers, but whether it is of any use is not known.
      if (outcome === "busy") entry.lastFailure = now;
      else {
        entry.lastSuccess = now;
        this.#promote(entry);
      }
    }
    this.#changed(entry);
  }

  /** Notes that a node is connected and therefore alive, whoever dialed. */
  heard(id: Uint8Array): void {
    const entry = this.#entries.get(toHex(id));
    if (entry === undefined) return;
    entry.lastHeard = this.#options.clock.wallNow();
    this.#changed(entry);
  }

  /** Forgets a node and takes no record of it for a while, unless it is a newer one. */
  ban(id: Uint8Array): void {
    const entry = this.#entries.get(toHex(id));
    if (entry === undefined) return;
    const { clock, limits } = this.#options;
    const until = clock.wallNow() + limits.banMs;
    this.#banned.set(entry.key, { seq: entry.record.seq, until });
    this.#delete(entry);
  }

  /** Forgets every entry of which nothing was heard for too long. */
  expire(): void {
    const { clock, limits } = this.#options;
    const oldest = clock.wallNow() - limits.maxAgeMs;
    for (const entry of this.#entries.values()) {
      if (entry.lastHeard < oldest) this.#delete(entry);
    }
  }

  /**
   * Draws a node to dial: half the time among those that were reached before, else among all; a subnet
   * first, then one of its addresses.
   *
   * However many addresses a subnet has, it is drawn no more often than another.
   */
  draw(accept: (entry: Readonly<Entry>) => boolean): Readonly<Entry> | undefined {
    const { clock, random } = this.#options;
    const now = clock.wallNow();
    const isWanted = (entry: Entry): boolean => this.#retryAt(entry) <= now && accept(entry);
    // Not the new ones alone: where honest subnets have one address, and that is tried, those who have
    // many would be all there is.
    const tried = random() < 0.5 ? this.#tried.draw(random, isWanted) : undefined;
    return tried ?? this.#subnets.draw(random, isWanted);
  }

  /** Up to `count` records, chosen at random among those that have not failed lately. */
  sample(count: number, accept: (entry: Readonly<Entry>) => boolean): Enr[] {
    const { clock, random } = this.#options;
    const since = clock.wallNow() - ALIVE_MS;
    const chosen: Enr[] = [];
    let seen = 0;
    for (const entry of this.#entries.values()) {
      if (entry.failures > 0 && entry.lastSuccess < since) continue;
      if (!accept(entry)) continue;
      seen += 1;
      // Reservoir sampling: the n-th takes a place with probability count / n.
      const place = seen <= count ? seen - 1 : Math.floor(random() * seen);
      if (place < count) chosen[place] = entry.record;
    }
    return chosen;
  }

  /** Takes an entry from the store; says whether there is room for it. */
  restore(entry: Entry): boolean {
    if (this.#entries.has(entry.key)) return false;
    return this.#insert(entry, entry.table) === undefined;
  }

  #insert(entry: Entry, table: Table = "new"): BookOutcome | undefined {
    const refusal = this.#fullness(entry, table);
    if (refusal !== undefined) return refusal;
    if (!this.#place(entry, table)) {
      const victim = this.#buckets[table].victim(entry);
      if (victim === undefined) return "bucketFull";
      this.#delete(victim);
      this.#place(entry, table);
    }
    this.#entries.set(entry.key, entry);
    this.#changed(entry);
    return undefined;
  }

  /** Whether subnet and source have room; an address that fails gives way to one of its own kind. */
  #fullness(entry: Entry, table: Table): BookOutcome | undefined {
    const { limits } = this.#options;
    if (!entry.isLocal) {
      const neighbours = this.#subnets.of(entry.subnet);
      if (neighbours.length >= limits.perSubnet) {
        const failing = neighbours.find(({ failures }) => failures > 0);
        if (failing === undefined) return "subnetFull";
        this.#delete(failing);
      }
    }
    const told = this.#bySource.get(entry.source) ?? 0;
    return table === "new" && told >= limits.perSource ? "sourceFull" : undefined;
  }

  #update(known: Entry, newer: Entry): BookOutcome {
    if (known.host !== newer.host) {
      // It has moved: what its old address did says nothing of the new one.
      this.#delete(known);
      return this.#insert(newer) ?? "updated";
    }
    known.record = newer.record;
    known.lastHeard = newer.lastHeard;
    this.#changed(known);
    return "updated";
  }

  #promote(entry: Entry): void {
    if (entry.table === "tried") return;
    const { key, bucket } = entry;
    this.#remove(entry);
    if (!this.#place(entry, "tried")) {
      const failing = this.#buckets.tried.victim(entry);
      // Those that work keep their places: an attacker cannot push them out by being reachable.
      if (failing === undefined || failing.failures === 0 || !this.#replace(failing, entry)) {
        entry.bucket = bucket;
        this.#place(entry, "new", bucket);
      }
    }
    this.#entries.set(key, entry);
  }

  #replace(victim: Entry, entry: Entry): boolean {
    this.#delete(victim);
    return this.#place(entry, "tried");
  }

  #place(entry: Entry, table: Table, bucket: number = this.#bucketOf(entry, table)): boolean {
    entry.bucket = bucket;
    if (!this.#buckets[table].add(entry)) return false;
    entry.table = table;
    this.#subnets.add(entry);
    if (table === "tried") this.#tried.add(entry);
    else {
      this.#bySource.set(entry.source, (this.#bySource.get(entry.source) ?? 0) + 1);
    }
    return true;
  }

  /** A source reaches few of the new buckets, a subnet few of those and of the tried ones. */
  #bucketOf(entry: Entry, table: Table): number {
    const { salt, limits } = this.#options;
    // On a private network every address is its own group, as every subnet is elsewhere.
    const group = entry.isLocal ? entry.key : entry.subnet;
    if (table === "tried") return salt.hash("tried", group) % limits.triedBuckets;
    const lane = salt.hash("lane", entry.source, group) % limits.bucketsPerSource;
    return salt.hash("new", entry.source, lane) % limits.newBuckets;
  }

  #remove(entry: Entry): void {
    this.#buckets[entry.table].delete(entry);
    this.#subnets.delete(entry);
    if (entry.table === "tried") {
      this.#tried.delete(entry);
      return;
    }
    const told = (this.#bySource.get(entry.source) ?? 1) - 1;
    if (told === 0) this.#bySource.delete(entry.source);
    else this.#bySource.set(entry.source, told);
  }

  #delete(entry: Entry): void {
    this.#remove(entry);
    this.#entries.delete(entry.key);
    this.#options.changed?.(entry.key, undefined);
  }

  #changed(entry: Entry): void {
    this.#options.changed?.(entry.key, entry);
  }

  #retryAt({ failures, lastFailure }: Entry): number {
    if (lastFailure === 0) return 0;
    const { retryMinMs, retryMaxMs } = this.#options.limits;
    return lastFailure + Math.min(retryMaxMs, retryMinMs * 2 ** Math.max(0, failures - 1));
  }
}

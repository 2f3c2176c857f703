import type { Enr } from "@heddle/identity";
import type { Clock } from "@heddle/p2p";

import type { AddressBook } from "./book.ts";
import type { Entry } from "./entry.ts";
import type { PexLimits } from "./limits.ts";
import { RecentMap } from "./recent.ts";

/** A connection, as far as it matters for whom to dial next. */
export interface Connection {
  /** The node id in hexadecimal. */
  readonly key: string;
  readonly isDialed: boolean;
  readonly subnet: string;
}

/** What candidates are drawn from and by. */
export interface CandidateOptions {
  readonly book: AddressBook;
  readonly clock: Clock;
  readonly random: () => number;
  readonly limits: PexLimits;
  /** How many dialed peers are to be had. */
  readonly targetPeers: number;
  readonly connections: () => readonly Connection[];
}

/** A candidate that was handed out counts as being dialed for so long, unless its outcome is known. */
const PENDING_MS = 20_000;

/** How often one looks again whether an address may be retried. */
const RECHECK_MS = 2_000;

/** Ids remembered as handed out. */
const MAX_HISTORY = 10_000;

/**
 * Hands out the addresses to dial next, while there are fewer dialed peers than wanted.
 *
 * An endless async iterable; each iteration draws for itself from the same book.
 */
export class Candidates implements AsyncIterable<Enr> {
  readonly #options: CandidateOptions;
  /** Handed out, and no outcome yet: their subnets, and until when to wait. */
  readonly #pending = new Map<string, { readonly subnet: string; readonly until: number }>();
  readonly #history = new RecentMap<number>(MAX_HISTORY);
  readonly #waiting = new Set<() => void>();
  #isClosed = false;
  /** Enough are dialed: nothing changes before one of them goes. */
  #isSated = false;
  /** How long the server refuses to dial the same node again. */
  historyMs = 0;

  constructor(options: CandidateOptions) {
    this.#options = options;
  }

  [Symbol.asyncIterator](): AsyncIterator<Enr, undefined> {
    const over = new AbortController();
    const done = { done: true, value: undefined } as const;
    const next = async (): Promise<IteratorResult<Enr, undefined>> => {
      while (!over.signal.aborted && !this.#isClosed) {
        const entry = this.pick();
        if (entry !== undefined) return { done: false, value: entry.record };
        await this.#change(over.signal);
      }
      return done;
    };
    return {
      next,
      return: () => {
        over.abort();
        return Promise.resolve(done);
      },
    };
  }

  /** Draws whom to dial now; undefined when enough are dialed or nobody is left. */
  pick(): Readonly<Entry> | undefined {
    const { book, clock, limits, targetPeers } = this.#options;
    const now = clock.now();
    const connections = this.#options.connections();
    for (const [key, { until }] of this.#pending) if (until <= now) this.#pending.delete(key);
    const subnets = this.#subnets(connections);
    const dialed = connections.filter(({ isDialed }) => isDialed).length;
    this.#isSated = dialed >= targetPeers;
    if (dialed + this.#pending.size >= targetPeers) return undefined;
    const taken = new Set(connections.map(({ key }) => key));
    const isFree = ({ key }: Readonly<Entry>): boolean => {
      const at = this.#history.get(key);
      return !taken.has(key) && (at === undefined || now - at >= this.historyMs);
    };
    const draw = (most: number): Readonly<Entry> | undefined =>
      book.draw(
        (entry) => isFree(entry) && (entry.isLocal || (subnets.get(entry.subnet) ?? 0) < most),
      );
    const entry = draw(limits.dialedPerSubnet - 1) ?? draw(limits.dialedPerSubnet);
    if (entry === undefined) return undefined;
    this.#pending.set(entry.key, { subnet: entry.subnet, until: now + PENDING_MS });
    this.#history.set(entry.key, now);
    return entry;
  }

  /** The dial of a node has come to its end. */
  settled(key: string): void {
    this.#pending.delete(key);
    this.wake();
  }

  /** A node that was drawn is not dialed after all. */
  putBack(key: string): void {
    this.#history.delete(key);
    this.settled(key);
  }

  /** Something changed: look again whether there is somebody to dial. */
  wake(): void {
    for (const resume of this.#waiting) resume();
  }

  /** Ends every iteration. */
  close(): void {
    this.#isClosed = true;
    this.wake();
  }

  #subnets(connections: readonly Connection[]): Map<string, number> {
    const counts = new Map<string, number>();
    const dialed = connections.filter(({ isDialed }) => isDialed);
    for (const { subnet } of [...dialed, ...this.#pending.values()]) {
      counts.set(subnet, (counts.get(subnet) ?? 0) + 1);
    }
    return counts;
  }

  #change(over: AbortSignal): Promise<void> {
    const { clock, book } = this.#options;
    return new Promise((resolve) => {
      // With an empty book, or nobody wanted, there is nothing that time alone could change.
      const isTimeless = book.size === 0 || this.#isSated;
      const timer = isTimeless ? undefined : clock.setTimeout(() => resume(), RECHECK_MS);
      const resume = (): void => {
        clock.clearTimeout(timer);
        over.removeEventListener("abort", resume);
        this.#waiting.delete(resume);
        resolve();
      };
      this.#waiting.add(resume);
      over.addEventListener("abort", resume, { once: true });
    });
  }
}

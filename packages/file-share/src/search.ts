import { Enr, toHex } from "@heddle/identity";
import { RemoteProtocolError } from "@heddle/p2p";
import type { Clock } from "@heddle/p2p";
import { Disconnect, DisconnectReason } from "@heddle/protocol";

import { formatHash } from "./hash.ts";
import type { Library } from "./library.ts";
import type { FileShareLimits } from "./limits.ts";
import type { Link } from "./link.ts";
import { MAX_FILES_PER_ANSWER } from "./protocol.ts";
import type { FoundMessage, Query, SearchMessage } from "./protocol.ts";
import { TokenBucket } from "./rate.ts";
import { Results } from "./results.ts";

const QUERY_ID_BYTES = 16;

/** A file that somebody shares. */
export interface SearchResult {
  /** As the holder calls it: one path component, odd characters and all; escape it before showing it. */
  readonly name: string;
  /** Bytes, as the holder says. */
  readonly size: number;
  /** The content hash, 32 bytes. */
  readonly hash: Uint8Array;
  /** The holder's own signed record. */
  readonly holder: Enr;
}

/** What a router needs. */
export interface RouterOptions {
  readonly library: Library;
  readonly limits: FileShareLimits;
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
  /** Our own record, as it is at the moment. */
  readonly record: () => Enr;
  readonly links: () => Iterable<Link>;
}

/** What came of the messages of others. */
export interface SearchCounters {
  /** Queries that came for the first time. */
  handled: number;
  /** Queries that had come before. */
  repeated: number;
  /** Queries beyond a rate. */
  refused: number;
  /** Answers that were passed on or taken. */
  answers: number;
  /** Answers that nobody waits for, or too many. */
  unwanted: number;
}

/** A query that passed through here, or began here. */
interface Route {
  /** Who is answered: the peer it came from first, or the reader of our own search. */
  readonly back: Link | Results<SearchResult>;
  readonly expiresAt: number;
  answersLeft: number;
}

/**
 * Carries queries to everybody and answers back the way the query came.
 *
 * A query is handled when it comes first, and goes on to everybody but the peer it came from, so each edge
 * carries it at most once in each direction, however many circles the network has.
 */
export class SearchRouter {
  readonly counters: SearchCounters = {
    handled: 0,
    repeated: 0,
    refused: 0,
    answers: 0,
    unwanted: 0,
  };
  readonly #options: RouterOptions;
  readonly #routes = new Map<string, Route>();
  /** Queries of all peers together. */
  readonly #total: TokenBucket;

  constructor(options: RouterOptions) {
    this.#options = options;
    const { clock, limits } = options;
    this.#total = new TokenBucket(clock, limits.totalSearchRate, limits.totalSearchBurst);
  }

  /**
   * Asks everybody in reach.
   *
   * @param deadlineMs - how long answers are waited for
   */
  async *search(
    query: Query,
    deadlineMs: number,
    signal: AbortSignal,
  ): AsyncGenerator<SearchResult> {
    signal.throwIfAborted();
    const { clock, limits, links, randomBytes } = this.#options;
    const results = new Results<SearchResult>(limits.maxAnswers * MAX_FILES_PER_ANSWER);
    const id = randomBytes(QUERY_ID_BYTES);
    const key = toHex(id);
    this.#remember(key, results, deadlineMs);
    const message = { id, hops: limits.maxHops, deadlineMs, query };
    for (const link of links()) link.post((context) => context.send.search(message));
    const end = (): void => results.end();
    const timer = clock.setTimeout(end, deadlineMs);
    signal.addEventListener("abort", end);
    const seen = new Set<string>();
    try {
      for (let next = await results.next(); next !== undefined; next = await results.next()) {
        const { holder, hash, name } = next;
        const found = `${toHex(holder.id)} ${formatHash(hash)} ${name}`;
        if (!seen.has(found)) yield next;
        seen.add(found);
      }
      signal.throwIfAborted();
    } finally {
      clock.clearTimeout(timer);
      signal.removeEventListener("abort", end);
      results.end();
    }
  }

  /**
   * Takes a query of a peer.
   *
   * @throws Disconnect when the peer asks without end
   */
  receiveSearch(from: Link, message: SearchMessage): void {
    const { library, limits, record, links } = this.#options;
    const key = toHex(message.id);
    if (this.#routes.has(key)) {
      // In a circle that is nobody's fault, but it must not come for free either.
      this.counters.repeated += 1;
      if (!from.searches.tryTake()) this.#putUpWith(from);
      return;
    }
    if (!from.searches.tryTake() || !this.#total.tryTake()) {
      this.counters.refused += 1;
      this.#putUpWith(from);
      return;
    }
    this.counters.handled += 1;
    const deadlineMs = Math.min(message.deadlineMs, limits.maxDeadlineMs);
    if (deadlineMs === 0) return;
    this.#remember(key, from, deadlineMs);
    const { id, query } = message;
    const files = library.match(query, MAX_FILES_PER_ANSWER);
    if (files.length > 0) {
      const answer = { id, holder: record().encode(), files };
      from.post((context) => context.send.found(answer));
    }
    const hops = Math.min(message.hops, limits.maxHops) - 1;
    if (hops <= 0) return;
    const further = { id, hops, deadlineMs, query };
    for (const link of links()) {
      if (link !== from) link.post((context) => context.send.search(further));
    }
  }

  /**
   * Takes an answer of a peer: to a query of ours, or one that came through here.
   *
   * @throws RemoteProtocolError `ERR_FILES_BAD_RECORD`; Disconnect when the peer answers what nobody asked
   */
  receiveFound(from: Link, message: FoundMessage): void {
    const { limits, clock } = this.#options;
    const route = this.#routes.get(toHex(message.id));
    const isWanted =
      route !== undefined &&
      route.back !== from &&
      route.answersLeft > 0 &&
      route.expiresAt > clock.now();
    if (!isWanted) {
      this.counters.unwanted += 1;
      this.#putUpWith(from);
      return;
    }
    // Checked at every step, so that whoever passes on what is no record is the one at fault.
    const holder = readRecord(message.holder);
    route.answersLeft -= 1;
    this.counters.answers += 1;
    const { back } = route;
    if (!(back instanceof Results)) {
      back.post((context) => context.send.found(message));
      return;
    }
    for (const { name, size, hash } of message.files) {
      if (size <= limits.maxFileBytes) back.push({ name, size, hash, holder });
    }
  }

  /** Ends our own searches. */
  close(): void {
    for (const { back } of this.#routes.values()) if (back instanceof Results) back.end();
    this.#routes.clear();
  }

  /** Forgets the way back to a peer that is gone. */
  forget(link: Link): void {
    for (const route of this.#routes.values()) if (route.back === link) route.answersLeft = 0;
  }

  #remember(key: string, back: Route["back"], deadlineMs: number): void {
    const { clock, limits } = this.#options;
    const expiresAt = clock.now() + deadlineMs;
    this.#routes.set(key, { back, expiresAt, answersLeft: limits.maxAnswers });
    // The oldest goes, whatever its deadline: it is far older than any while the rates hold.
    for (const oldest of this.#routes.keys()) {
      if (this.#routes.size <= limits.maxQueries) break;
      this.#routes.delete(oldest);
    }
  }

  #putUpWith(from: Link): void {
    if (from.excess.tryTake()) return;
    throw new Disconnect(DisconnectReason.uselessPeer, "queries or answers without end");
  }
}

function readRecord(encoded: Uint8Array): Enr {
  try {
    return Enr.decode(encoded);
  } catch (cause) {
    throw new RemoteProtocolError("ERR_FILES_BAD_RECORD", "a holder's record is none", { cause });
  }
}

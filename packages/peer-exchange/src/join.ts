import { toHex } from "@heddle/identity";
import type { Enode } from "@heddle/identity";
import { sleep } from "@heddle/p2p";
import type { Clock, Logger, Peer, Server } from "@heddle/p2p";

import type { Candidates } from "./candidates.ts";
import type { Listeners, PexStatus } from "./events.ts";
import type { Roster } from "./member.ts";
import { Pex1 } from "./messages.ts";

/** One node that was dialed in order to join. */
export interface JoinAttempt {
  readonly node: Enode;
  /** Undefined when it introduced itself. */
  readonly error: Error | undefined;
}

/** How a node came into its network. */
export interface JoinOutcome {
  /**
   * `"bootstrap"`, `"book"`: through a node that was dialed; `"peer"`: somebody was connected already, or
   * dialed us meanwhile; `"none"`: there is nobody to dial, so we are the first.
   */
  readonly via: "bootstrap" | "book" | "peer" | "none";
  readonly peer: Peer | undefined;
  /** What was tried, in the order it came to its end. */
  readonly attempts: readonly JoinAttempt[];
}

/** Nobody that was dialed in order to join could be reached; it is tried again in the background. */
export class JoinError extends Error {
  override readonly name: string = "JoinError";
  readonly code: string = "ERR_PEX_JOIN";
  readonly attempts: readonly JoinAttempt[];

  constructor(attempts: readonly JoinAttempt[]) {
    const reasons = attempts.map(
      ({ node, error }) => `${node.host}:${node.tcpPort}: ${error?.message}`,
    );
    super(`none of ${attempts.length} nodes could be joined: ${reasons.slice(0, 3).join("; ")}`);
    this.attempts = attempts;
  }
}

/** What a joiner works with. */
export interface JoinerOptions {
  readonly roster: Roster;
  readonly candidates: Candidates;
  readonly listeners: Listeners;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly bootstrap: readonly Enode[];
  readonly server: () => Pick<Server, "dial" | "id" | "isRunning">;
}

/** Dials under way at once while joining. */
const PARALLEL_DIALS = 4;

/** Addresses of the book that are tried in one round, besides every bootstrap node. */
const BOOK_DIALS = 16;

/** The first and the longest wait between two rounds while nobody is connected, in milliseconds. */
const ROUND_MIN_MS = 2_000;
const ROUND_MAX_MS = 120_000;

type Target = { readonly node: Enode; readonly via: "bootstrap" | "book" };

/** Brings a node into its network, and back when it has lost everybody. */
export class Joiner {
  readonly #options: JoinerOptions;
  readonly #closing = new AbortController();
  #status: PexStatus = "idle";
  #isReturning = false;

  constructor(options: JoinerOptions) {
    this.#options = options;
  }

  get status(): PexStatus {
    return this.#status;
  }

  /**
   * Dials the book's addresses and the bootstrap nodes until one of them introduces itself.
   *
   * @throws {@link JoinError} when none does; the signal's reason
   */
  async join(signal?: AbortSignal): Promise<JoinOutcome> {
    const { roster } = this.#options;
    const [present] = roster.list();
    this.#setStatus(present === undefined ? "joining" : "joined");
    if (present !== undefined) return { via: "peer", peer: present.peer, attempts: [] };
    const signals = signal === undefined ? [] : [signal];
    const round = AbortSignal.any([this.#closing.signal, ...signals]);
    let outcome: JoinOutcome | undefined;
    try {
      outcome = await this.#round(round);
    } catch (error) {
      if (signal?.aborted === true && !this.#is("joined")) this.#setStatus("idle");
      throw error;
    }
    if (outcome.peer !== undefined) return outcome;
    // Somebody may have come at the very end of the round.
    const [late] = roster.list();
    if (late !== undefined) return { ...outcome, via: "peer", peer: late.peer };
    this.#setStatus("isolated");
    void this.#return();
    if (outcome.attempts.length > 0) throw new JoinError(outcome.attempts);
    return outcome;
  }

  /** Somebody has introduced itself. */
  arrived(): void {
    if (this.#is("isolated") || this.#is("joining")) this.#setStatus("joined");
  }

  /** Somebody has gone. */
  left(): void {
    if (this.#options.roster.size > 0 || !this.#is("joined")) return;
    this.#setStatus("isolated");
    void this.#return();
  }

  close(): void {
    this.#closing.abort(new Error("the peer exchange was closed"));
    this.#setStatus("idle");
  }

  /** Tries again, with growing waits, until somebody is there. */
  async #return(): Promise<void> {
    if (this.#isReturning) return;
    this.#isReturning = true;
    const { clock, random, logger } = this.#options;
    const { signal } = this.#closing;
    try {
      for (let wait = ROUND_MIN_MS; this.#is("isolated");) {
        await sleep(clock, wait * (0.75 + random() / 2), signal);
        wait = Math.min(ROUND_MAX_MS, wait * 2);
        if (this.#is("isolated") && this.#options.server().isRunning) await this.#round(signal);
      }
    } catch (error) {
      if (!signal.aborted) logger.error("rejoining ended", { error });
    } finally {
      this.#isReturning = false;
    }
  }

  /** One round over everybody there is to dial; ends when the first introduces itself. */
  #round(signal: AbortSignal): Promise<JoinOutcome> {
    const { listeners } = this.#options;
    const attempts: JoinAttempt[] = [];
    const targets = this.#targets();
    const isOver = new AbortController();
    return new Promise<JoinOutcome>((resolve, reject) => {
      const settle = (act: () => void): void => {
        off();
        isOver.abort();
        signal.removeEventListener("abort", onAbort);
        act();
      };
      const onAbort = (): void => settle(() => reject(signal.reason as Error));
      const off = listeners.on("introduced", ({ peer }) => {
        const key = toHex(peer.id);
        const target = targets.find(({ node }) => toHex(node.id) === key);
        // The server draws from the book as well, at the same time.
        const via = peer.inbound ? "peer" : (target?.via ?? "book");
        settle(() => resolve({ via, peer, attempts }));
      });
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
      void this.#tryAll(targets, attempts, isOver.signal).then(() =>
        settle(() => resolve({ via: "none", peer: undefined, attempts })),
      );
    });
  }

  #targets(): Target[] {
    const { candidates, bootstrap, server } = this.#options;
    const own = toHex(server().id);
    const targets: Target[] = [];
    const keys = new Set([own]);
    const add = (node: Enode | undefined, via: Target["via"]): void => {
      if (node === undefined || keys.has(toHex(node.id))) return;
      keys.add(toHex(node.id));
      targets.push({ node, via });
    };
    for (let drawn = 0; drawn < BOOK_DIALS; drawn += 1)
      add(candidates.pick()?.record.toEnode(), "book");
    // In turn, so that neither a stale book nor a dead list of bootstrap nodes holds up the other.
    const known = targets.splice(0);
    for (const node of bootstrap) add(node, "bootstrap");
    const given = targets.splice(0);
    for (let at = 0; at < Math.max(known.length, given.length); at += 1) {
      targets.push(...known.slice(at, at + 1), ...given.slice(at, at + 1));
    }
    return targets;
  }

  async #tryAll(
    targets: readonly Target[],
    attempts: JoinAttempt[],
    isOver: AbortSignal,
  ): Promise<void> {
    const waiting = [...targets];
    const work = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        if (isOver.aborted) return;
        const { node } = next;
        const error = await this.#try(node);
        attempts.push({ node, error });
        this.#options.listeners.emit("attempt", { node, error });
      }
    };
    isOver.addEventListener("abort", () => {
      // The server may dial them instead.
      for (const { node } of waiting.splice(0)) this.#options.candidates.putBack(toHex(node.id));
    });
    await Promise.all(Array.from({ length: PARALLEL_DIALS }, work));
  }

  async #try(node: Enode): Promise<Error | undefined> {
    try {
      const peer = await this.#options.server().dial(node);
      await peer.protocol(Pex1);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    } finally {
      this.#options.candidates.settled(toHex(node.id));
    }
  }

  #setStatus(status: PexStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    this.#options.listeners.emit("status", { status });
  }

  #is(status: PexStatus): boolean {
    return this.#status === status;
  }
}

import type { Enode } from "@heddle/identity";

import type { Backoff } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { Disconnect, DisconnectReason } from "./disconnect.ts";
import type { LivePeer } from "./peer.ts";

/** How a maintained connection stands. */
export type MaintainStatus = "dialing" | "connected" | "waiting" | "stopped";

/** A connection that is kept up until stopped. */
export interface Maintained {
  readonly node: Enode;
  readonly status: MaintainStatus;
  /** When the next attempt is due, in Unix milliseconds; only while waiting. */
  readonly nextAttempt: number | undefined;
  /** Attempts since the last session that lasted. */
  readonly attempts: number;
  /** Why the last attempt or session ended. */
  readonly lastError: unknown;
  /** Dials now, if it waits and its server runs. */
  retryNow(): void;
  /** Stops keeping it up, a dial under way included; a live connection stays. Cannot be taken back. */
  stop(): void;
}

/** Redials one node with growing waits, until stopped. */
export class Maintainer implements Maintained {
  readonly node: Enode;
  readonly #dial: (node: Enode, signal: AbortSignal) => Promise<LivePeer>;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #lastingMs: number;
  readonly #onStop: (() => void) | undefined;
  #status: MaintainStatus = "waiting";
  #nextAttempt: number | undefined;
  #timer: unknown;
  #isStarted = false;
  readonly #stopped = new AbortController();
  attempts = 0;
  lastError: unknown;

  /** @param lastingMs - a session this long starts the waits anew */
  constructor(options: {
    node: Enode;
    dial: (node: Enode, signal: AbortSignal) => Promise<LivePeer>;
    clock: Clock;
    backoff: Backoff;
    lastingMs: number;
    /** Told when it is stopped, once. */
    onStop?: () => void;
  }) {
    this.node = options.node;
    this.#dial = options.dial;
    this.#clock = options.clock;
    this.#backoff = options.backoff;
    this.#lastingMs = options.lastingMs;
    this.#onStop = options.onStop;
  }

  get status(): MaintainStatus {
    return this.#status;
  }

  get nextAttempt(): number | undefined {
    return this.#nextAttempt;
  }

  /** Makes the first attempt. */
  start(): void {
    if (this.#isStarted || this.#status === "stopped") return;
    this.#isStarted = true;
    void this.#attempt();
  }

  retryNow(): void {
    if (!this.#isStarted || this.#status !== "waiting") return;
    this.#clock.clearTimeout(this.#timer);
    void this.#attempt();
  }

  stop(): void {
    if (this.#status === "stopped") return;
    this.#status = "stopped";
    this.#nextAttempt = undefined;
    this.#clock.clearTimeout(this.#timer);
    this.#stopped.abort(new Disconnect(DisconnectReason.requested, "no longer maintained"));
    this.#onStop?.();
  }

  async #attempt(): Promise<void> {
    this.#status = "dialing";
    this.#nextAttempt = undefined;
    this.attempts += 1;
    try {
      const peer = await this.#dial(this.node, this.#stopped.signal);
      const since = this.#clock.now();
      if (this.#is("stopped")) return;
      this.#status = "connected";
      await peer.closed();
      this.lastError = peer.ended;
      if (this.#clock.now() - since >= this.#lastingMs) {
        this.#backoff.reset();
        this.attempts = 0;
      }
    } catch (error) {
      this.lastError = error;
    }
    if (!this.#is("stopped")) this.#wait();
  }

  #wait(): void {
    const ms = this.#backoff.next();
    this.#status = "waiting";
    this.#nextAttempt = this.#clock.wallNow() + ms;
    this.#timer = this.#clock.setTimeout(() => void this.#attempt(), ms);
  }

  #is(status: MaintainStatus): boolean {
    return this.#status === status;
  }
}

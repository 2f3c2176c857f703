import { bytesEqual, Enr, toHex } from "@heddle/identity";
import type { Enode } from "@heddle/identity";

import type { ServerConfig } from "./config.ts";
import { sleep } from "./clock.ts";
import type { Dialer } from "./dialer.ts";
import { FairMix } from "./fairmix.ts";
import { DialHistory } from "./history.ts";
import type { PeerSet } from "./peer-set.ts";

/** What the candidate loop works with. */
export interface CandidateOptions {
  readonly config: ServerConfig;
  readonly nodeId: Uint8Array;
  readonly dialer: Dialer;
  readonly peers: PeerSet;
  /** Aborts when the server stops. */
  readonly signal: AbortSignal;
}

/** How long the loop waits at most before it looks again whether there is room, in milliseconds. */
const RECHECK_MS = 1_000;

/** After so many unsuitable candidates in a row it pauses: a source may yield them without end. */
const PASSED_OVER_PAUSE = 256;

/**
 * Keeps the dialed share of the peers filled from the candidate sources, drawn from in turn.
 *
 * A candidate is passed over when it is ourselves, connected, being dialed, outside the allowed
 * ranges, without a TCP port, or was dialed within the last `dialHistoryMs`.
 */
export class CandidateLoop {
  readonly #options: CandidateOptions;
  readonly #mix: FairMix<Enode | Enr>;
  readonly #history: DialHistory;
  #dialing = 0;
  /** A source without end would fill the log. */
  #hasWarned = false;
  #wake: (() => void) | undefined;

  constructor(options: CandidateOptions) {
    this.#options = options;
    const { config, signal } = options;
    this.#history = new DialHistory({
      clock: config.clock,
      windowMs: config.limits.dialHistoryMs,
    });
    this.#mix = new FairMix({
      signal,
      onError: (error) => config.logger.warn("a candidate source failed", { error }),
    });
    for (const source of config.candidates) this.#mix.add(source);
    for (const protocol of config.protocols) {
      const source = protocol.dialCandidates?.(signal);
      if (source !== undefined) this.#mix.add(source);
    }
  }

  /** Runs until the signal aborts or every source is at its end. */
  async run(): Promise<void> {
    const { config, signal } = this.#options;
    if (this.#mix.size === 0) return;
    let passedOver = 0;
    try {
      for await (const candidate of this.#mix) {
        await this.#room();
        if (signal.aborted) return;
        const node = this.#read(candidate);
        if (node !== undefined && this.#isWorthDialing(node)) {
          passedOver = 0;
          this.#start(node);
        } else {
          passedOver += 1;
          if (passedOver % PASSED_OVER_PAUSE === 0) await sleep(config.clock, RECHECK_MS, signal);
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Something changed: look again whether there is room. */
  wake(): void {
    this.#wake?.();
  }

  /** Slots as go-ethereum counts them: twice what is missing, so that failing dials cost no time. */
  #slots(): number {
    const { config, peers } = this.#options;
    const missing = Math.min(config.maxDialed - peers.dialedCount, config.maxPeers - peers.size);
    return Math.min(2 * missing, config.limits.maxPendingDials) - this.#dialing;
  }

  async #room(): Promise<void> {
    const { config, signal } = this.#options;
    while (this.#slots() <= 0 && !signal.aborted) {
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      signal.addEventListener("abort", this.#wake, { once: true });
      await sleep(config.clock, RECHECK_MS, woken.signal).catch(() => undefined);
      signal.removeEventListener("abort", this.#wake);
      this.#wake = undefined;
    }
  }

  /** One bad source must not end the loop for all: what is no node is passed over. */
  #read(candidate: Enode | Enr): Enode | undefined {
    if (candidate instanceof Enr) return candidate.toEnode();
    if (isNode(candidate)) return candidate;
    if (!this.#hasWarned) this.#options.config.logger.warn("a candidate is no node");
    this.#hasWarned = true;
    return undefined;
  }

  #isWorthDialing(node: Enode): boolean {
    const { config, nodeId, dialer, peers } = this.#options;
    if (node.tcpPort === 0 || bytesEqual(node.id, nodeId)) return false;
    if (peers.get(node.id) !== undefined || dialer.isDialing(node.id)) return false;
    if (config.allow !== undefined && !config.allow.contains(node.host)) return false;
    return this.#history.note(toHex(node.id));
  }

  #start(node: Enode): void {
    this.#dialing += 1;
    const done = (): void => {
      this.#dialing -= 1;
      this.wake();
    };
    // The outcome is told as an event; here only the slot matters.
    this.#options.dialer.dial(node).then(done, done);
  }
}

/** Sources are others' code, and what they yield may come from the network. */
function isNode(node: unknown): boolean {
  if (typeof node !== "object" || node === null) return false;
  const { id, host, tcpPort } = node as Partial<Record<keyof Enode, unknown>>;
  const isId = id instanceof Uint8Array && id.length === 64;
  return isId && typeof host === "string" && Number.isInteger(tcpPort);
}

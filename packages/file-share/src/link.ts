import { toHex } from "@heddle/identity";
import type { Clock } from "@heddle/p2p";

import type { FileShareLimits } from "./limits.ts";
import type { FilesContext } from "./protocol.ts";
import { TokenBucket } from "./rate.ts";

/** Queries and answers to one peer that it has not taken yet; further ones are dropped. */
const MAX_POSTED = 64;

/** One connected peer, as searching sees it. */
export class Link {
  /** 128 hex digits. */
  readonly id: string;
  readonly context: FilesContext;
  /** Queries that are taken from it. */
  readonly searches: TokenBucket;
  /** What is put up with: queries beyond the rate, answers that nobody waits for. */
  readonly excess: TokenBucket;
  #posted = 0;

  constructor(context: FilesContext, clock: Clock, limits: FileShareLimits) {
    this.id = toHex(context.peer.id);
    this.context = context;
    this.searches = new TokenBucket(clock, limits.searchRate, limits.searchBurst);
    this.excess = new TokenBucket(clock, limits.searchRate, limits.maxExcess);
  }

  /** Sends a notification, or drops it where the peer is too slow. */
  post(send: (context: FilesContext) => Promise<void>): void {
    if (this.#posted >= MAX_POSTED) return;
    this.#posted += 1;
    const sent = (): void => void (this.#posted -= 1);
    // That the connection has ended is told by its signal.
    send(this.context).then(sent, sent);
  }
}

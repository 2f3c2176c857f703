import type { Clock } from "@heddle/p2p";

import type { Link } from "./link.ts";
import { MAX_FETCHED } from "./protocol.ts";

/** Messages that are waited for, in all. */
const MAX_WANTED = 8_192;

/** Messages that are waited for because of one peer. */
const MAX_WANTED_OF_LINK = 4_096;

/** Peers remembered as having the same message. */
const MAX_HOLDERS = 8;

interface Want {
  readonly key: string;
  readonly id: Uint8Array;
  /** Who announced it first. */
  readonly first: Link;
  readonly holders: Link[];
  /** How many of the holders have been asked. */
  tried: number;
}

/**
 * Messages that others have and we lack: waits whether they come by themselves, and then asks one holder
 * after another.
 */
export class Wanted {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #fetch: (link: Link, ids: readonly Uint8Array[]) => Promise<unknown>;
  readonly #wants = new Map<string, Want>();
  #waiting: { readonly want: Want; readonly due: number }[] = [];
  #timer: unknown;

  /** @param fetch - asks for messages and takes in what comes; never rejects */
  constructor(
    clock: Clock,
    delayMs: number,
    fetch: (link: Link, ids: readonly Uint8Array[]) => Promise<unknown>,
  ) {
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#fetch = fetch;
  }

  /** How many messages are waited for. */
  get size(): number {
    return this.#wants.size;
  }

  /** A peer has a message that we lack. Beyond the bounds it is left to reconciliation. */
  note(key: string, id: Uint8Array, link: Link): void {
    const known = this.#wants.get(key);
    if (known !== undefined) {
      if (known.holders.length < MAX_HOLDERS && !known.holders.includes(link)) {
        known.holders.push(link);
      }
      return;
    }
    if (this.#wants.size >= MAX_WANTED || link.wanted >= MAX_WANTED_OF_LINK) return;
    const want: Want = { key, id, first: link, holders: [link], tried: 0 };
    this.#wants.set(key, want);
    link.wanted += 1;
    this.#waiting.push({ want, due: this.#clock.now() + this.#delayMs });
    this.#arm();
  }

  /** The message has come, or is refused; returns who is known to have it. */
  settle(key: string): readonly Link[] {
    const want = this.#wants.get(key);
    if (want === undefined) return [];
    this.#wants.delete(key);
    want.first.wanted -= 1;
    return want.holders;
  }

  /** Asks for nothing more, and forgets what was waited for. */
  close(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
    for (const key of this.#wants.keys()) this.settle(key);
  }

  #arm(): void {
    const [first] = this.#waiting;
    if (first === undefined || this.#timer !== undefined) return;
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#timer = undefined;
        this.#askDue();
        this.#arm();
      },
      Math.max(0, first.due - this.#clock.now()),
    );
  }

  #askDue(): void {
    const now = this.#clock.now();
    const end = this.#waiting.findIndex(({ due }) => due > now);
    const due = this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
    const batches = new Map<Link, Want[]>();
    for (const { want } of due) {
      if (this.#wants.get(want.key) !== want) continue;
      const holder = nextHolder(want);
      if (holder === undefined) {
        // Nobody we know has it: a later announcement, or reconciliation, may bring it.
        this.settle(want.key);
        continue;
      }
      const batch = batches.get(holder);
      if (batch === undefined) batches.set(holder, [want]);
      else batch.push(want);
    }
    for (const [link, batch] of batches) void this.#ask(link, batch);
  }

  async #ask(link: Link, batch: readonly Want[]): Promise<void> {
    for (let at = 0; at < batch.length; at += MAX_FETCHED) {
      const chunk = batch
        .slice(at, at + MAX_FETCHED)
        .filter((want) => this.#wants.get(want.key) === want);
      if (chunk.length === 0) continue;
      const ids = chunk.map(({ id }) => id);
      await this.#fetch(link, ids);
      const due = this.#clock.now();
      for (const want of chunk) {
        if (this.#wants.get(want.key) === want) this.#waiting.unshift({ want, due });
      }
      this.#arm();
    }
  }
}

function nextHolder(want: Want): Link | undefined {
  for (;;) {
    const holder = want.holders[want.tried];
    if (holder === undefined) return undefined;
    want.tried += 1;
    if (!holder.isDropped && !holder.peer.signal.aborted) return holder;
  }
}

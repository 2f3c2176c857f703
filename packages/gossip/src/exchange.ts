import { DisconnectReason, LocalProtocolError, sleep, UselessPeer } from "@heddle/p2p";
import type { Peer, Protocol } from "@heddle/p2p";
import { implement, RequestError } from "@heddle/protocol";

import type { GossipConfig } from "./config.ts";
import type { GossipCounters, Outcome } from "./counters.ts";
import { Intake } from "./intake.ts";
import { Link } from "./link.ts";
import type { GossipContext } from "./link.ts";
import { keyOf, messageId } from "./message.ts";
import type { GossipMessage, SignedContent } from "./message.ts";
import { Gossip1, MAX_FETCH_BYTES } from "./protocol.ts";
import type { Differences, RangeSummary } from "./protocol.ts";
import { findDifferences, Reconciler } from "./reconcile.ts";
import { Spreader } from "./spread.ts";
import { PENALTY, Standing } from "./standing.ts";
import { Wanted } from "./wanted.ts";

/** What is older is old: it comes in bulk, out of somebody's store, and is announced instead of pushed. */
const NEWS_MS = 5_000;

/** What a node that is closed answers. */
const NOTHING_DIFFERS: Differences = Object.freeze({ floor: 0, parts: [], sets: [] });

/**
 * Speaks `gossip/1` with all peers: takes messages in, passes them on, and answers for what is held.
 *
 * Once closed it says and takes nothing more; the connections live on for the protocols beside it.
 */
export class Exchange {
  readonly protocols: readonly Protocol[];
  readonly intake: Intake;
  readonly links: Set<Link> = new Set();
  readonly wanted: Wanted;
  readonly #config: GossipConfig;
  readonly #counters: GossipCounters;
  readonly #deliver: (message: GossipMessage) => void;
  readonly #standing: Standing;
  readonly #spreader: Spreader;
  readonly #reconciler: Reconciler;
  #isClosed = false;

  /** @param deliver - told of every message that is taken in, once */
  constructor(
    config: GossipConfig,
    counters: GossipCounters,
    deliver: (message: GossipMessage) => void,
  ) {
    const { clock, limits, random } = config;
    const { links } = this;
    this.#config = config;
    this.#counters = counters;
    this.#deliver = deliver;
    this.intake = new Intake(config);
    this.#standing = new Standing(clock);
    this.wanted = new Wanted(clock, limits.pullDelayMs, (link, ids) => this.#fetch(link, ids));
    const { announceDelayMs } = limits;
    this.#spreader = new Spreader({ clock, random, announceDelayMs, counters, links });
    this.#reconciler = new Reconciler({
      config,
      counters,
      links,
      store: this.intake.store,
      isKnown: (key) => this.intake.isKnown(key),
      fetch: (link, ids) => this.#fetch(link, ids),
      announce: (message, link) => this.#spreader.announce(message, link),
    });
    this.protocols = this.#implement();
  }

  /** Sends a message of our own on its way. */
  publish(message: GossipMessage): void {
    this.intake.keep(message);
    this.#spreader.spread(message, new Set(), true);
  }

  close(): void {
    this.#isClosed = true;
    this.#spreader.close();
    this.#reconciler.close();
    this.wanted.close();
  }

  #implement(): Protocol[] {
    const { clock, limits } = this.#config;
    return implement([Gossip1], {
      state: (peer: Peer): Link => new Link(peer, clock, limits),
      on: {
        push: ({ state }, message) => this.#onPush(state, message),
        announce: ({ state }, ids) => this.#onAnnounce(state, ids),
        fetch: ({ state }, ids) => this.#onFetch(state, ids),
        compare: ({ state }, ranges) => this.#onCompare(state, ranges),
      },
      run: (context) => this.#run(context),
    });
  }

  async #run(context: GossipContext): Promise<void> {
    const { signal, state: link } = context;
    if (this.#standing.isUnwelcome(link.node)) {
      link.isDropped = true;
      throw new UselessPeer();
    }
    link.open(context);
    this.links.add(link);
    this.#reconciler.arm();
    // What both sides lack comes to light in one comparison, so one of them asks.
    if (!link.peer.inbound) this.#reconciler.request(link);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    this.links.delete(link);
    this.#reconciler.disarm();
  }

  async #onPush(link: Link, content: SignedContent): Promise<void> {
    if (this.#isSilent(link)) return;
    if (!link.admitPush(content)) {
      this.#refuseFlood(link, 1);
      return;
    }
    await this.#take(link, content, messageId(content));
  }

  #onAnnounce(link: Link, ids: readonly Uint8Array[]): void {
    if (this.#isSilent(link)) return;
    if (!link.admitAnnouncement(ids.length)) {
      this.#refuseFlood(link, Math.max(1, ids.length));
      return;
    }
    for (const id of ids) {
      const key = keyOf(id);
      link.unqueue(key);
      if (!this.intake.isKnown(key)) this.wanted.note(key, id, link);
    }
  }

  async #onFetch(link: Link, ids: readonly Uint8Array[]): Promise<readonly SignedContent[]> {
    if (this.#isSilent(link)) return [];
    const found: GossipMessage[] = [];
    let bytes = 0;
    for (const id of ids) {
      if (bytes >= MAX_FETCH_BYTES) break;
      const message = this.intake.store.get(keyOf(id));
      if (message === undefined) continue;
      found.push(message);
      bytes += message.payload.length;
    }
    await this.#charge(link, 1 + ids.length + Math.ceil(bytes / 1024));
    return found;
  }

  async #onCompare(link: Link, ranges: readonly RangeSummary[]): Promise<Differences> {
    if (this.#isSilent(link)) return NOTHING_DIFFERS;
    this.intake.store.expire(this.#config.clock.wallNow());
    const { cost, differences } = findDifferences(this.intake.store, ranges);
    await this.#charge(link, cost);
    return differences;
  }

  /** Waits until the peer's allowance covers what it asked for. @throws the connection's end */
  async #charge(link: Link, cost: number): Promise<void> {
    const debtMs = link.service.borrow(cost);
    if (debtMs > 0) await sleep(this.#config.clock, debtMs, link.peer.signal);
  }

  /** Asks for messages and takes in what comes; says which came. */
  async #fetch(link: Link, ids: readonly Uint8Array[]): Promise<ReadonlySet<string>> {
    const came = new Set<string>();
    try {
      const asked = new Set(ids.map((id) => keyOf(id)));
      for (const content of await link.context.call.fetch(ids)) {
        if (this.#isSilent(link)) break;
        const id = messageId(content);
        const key = keyOf(id);
        if (!asked.has(key) || came.has(key)) {
          this.#penalize(link, PENALTY.unasked);
          break;
        }
        came.add(key);
        this.#counters.fetched += 1;
        await this.#take(link, content, id);
      }
    } catch (error) {
      // Gone or slow: the next holder is asked, or reconciliation brings it.
      const { logger } = this.#config;
      const isExpected = error instanceof RequestError || error instanceof LocalProtocolError;
      if (isExpected) logger.debug("a gossip fetch failed", { error });
      else logger.error("a gossip fetch failed", { error });
    }
    return came;
  }

  async #take(link: Link, content: SignedContent, id: Uint8Array): Promise<void> {
    const key = keyOf(id);
    link.unqueue(key);
    const outcome = await this.intake.admit(content, id, link);
    this.#counters[outcome] += 1;
    // The id does not cover the signature: another holder may have the good one.
    const holders = outcome === "forged" ? [] : this.wanted.settle(key);
    if (outcome === "accepted") this.#accept(key, new Set([link, ...holders]));
    else this.#penalize(link, penaltyOf(outcome));
  }

  #accept(key: string, holders: ReadonlySet<Link>): void {
    const message = this.intake.store.get(key);
    if (message === undefined || this.#isClosed) return;
    const isNews = this.#config.clock.wallNow() - message.time < NEWS_MS;
    this.#spreader.spread(message, holders, isNews);
    this.#deliver(message);
  }

  #isSilent(link: Link): boolean {
    return this.#isClosed || link.isDropped;
  }

  #refuseFlood(link: Link, count: number): void {
    this.#counters.limited += count;
    this.#penalize(link, PENALTY.flood);
  }

  #penalize(link: Link, points: number): void {
    if (points === 0 || link.isDropped || !this.#standing.charge(link.node, points)) return;
    link.isDropped = true;
    this.#counters.dropped += 1;
    this.#config.logger.warn("a gossip peer misbehaved and is dropped", {
      enode: link.peer.enode,
    });
    void link.peer.disconnect(DisconnectReason.subprotocolError);
  }
}

function penaltyOf(outcome: Outcome): number {
  switch (outcome) {
    case "forged":
    case "future":
    case "rejected":
      return PENALTY[outcome];
    // Honest peers may send these: clocks, stores and validators differ a little.
    case "accepted":
    case "conflict":
    case "duplicate":
    case "excess":
    case "ignored":
    case "stale":
      return 0;
    default:
      return outcome satisfies never;
  }
}

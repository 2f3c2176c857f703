import { nodeIdOf } from "@heddle/identity";
import type { Protocol } from "@heddle/p2p";

import { createConfig } from "./config.ts";
import type { GossipConfig, GossipOptions } from "./config.ts";
import { createCounters } from "./counters.ts";
import type { GossipCounters } from "./counters.ts";
import { GossipError } from "./errors.ts";
import { Exchange } from "./exchange.ts";
import { keyOf, MAX_PAYLOAD_BYTES, MAX_TOPIC_BYTES, signMessage } from "./message.ts";
import type { GossipMessage } from "./message.ts";
import { TopicSubscription } from "./subscription.ts";
import type { Listener, SubscribeOptions, Subscription } from "./subscription.ts";

/** What gossip holds at a moment. */
export interface GossipInfo {
  /** Peers that speak `gossip` with us. */
  readonly peers: number;
  /** Messages held. */
  readonly messages: number;
  /** Payloads, and 2,000 bytes for each message. */
  readonly bytes: number;
  /** Messages of this Unix time in milliseconds and before are held no more, and not taken. */
  readonly floor: number;
  /** Messages that others have and that are waited for. */
  readonly wanted: number;
}

/** A node's part in the gossip: see {@link createGossip}. */
export interface Gossip extends Disposable {
  /** For the `protocols` of a `Server`. */
  readonly protocols: readonly Protocol[];
  /** 64 bytes: the origin of what is published here. */
  readonly id: Uint8Array;
  /** What happened so far; the object stays the same and is counted up. */
  readonly counters: Readonly<GossipCounters>;
  /**
   * Tells everybody. Without peers the message is kept, and the next one gets it.
   *
   * @param topic - 1 to 64 bytes of UTF-8
   * @param payload - at most 64 KiB; copied
   * @throws {@link GossipError} `ERR_GOSSIP_RATE` when others would not take it, for we published too
   * much; `ERR_GOSSIP_CLOSED`
   * @throws TypeError, RangeError for a topic or payload that is none
   */
  publish(topic: string, payload: Uint8Array): GossipMessage;
  /**
   * Follows a topic: each message once, from now on or from the oldest that is held (`replay`).
   *
   * @param listener - called for each message; without it the subscription is iterated
   * @throws {@link GossipError} `ERR_GOSSIP_CLOSED`; iterating throws `ERR_GOSSIP_SLOW_SUBSCRIBER`
   */
  subscribe(topic: string, options?: SubscribeOptions, listener?: Listener): Subscription;
  info(): GossipInfo;
  /** Ends the subscriptions; nothing is sent or taken any more. The connections live on. */
  close(): void;
}

/**
 * Makes a node's part in the gossip: what is published at one node reaches every node, each once, and
 * those that were away catch up within the retention window.
 *
 * One gossip belongs to one server, whose key it shares.
 *
 * @throws TypeError, RangeError that name the option
 * @example
 * const gossip = createGossip({ key });
 * await using server = new Server({ key, clientId: "demo/1.0", protocols: gossip.protocols });
 * for await (const { payload } of gossip.subscribe("news")) console.log(payload);
 */
export function createGossip(options: GossipOptions): Gossip {
  return new GossipNode(createConfig(options));
}

class GossipNode implements Gossip {
  readonly protocols: readonly Protocol[];
  readonly id: Uint8Array;
  readonly counters: GossipCounters = createCounters();
  readonly #config: GossipConfig;
  readonly #key: string;
  readonly #exchange: Exchange;
  readonly #subscriptions = new Map<string, Set<TopicSubscription>>();
  /** When we started: sequences begin anew. */
  readonly #epoch: number;
  readonly #sequences = new Map<string, number>();
  #isClosed = false;

  constructor(config: GossipConfig) {
    this.#config = config;
    this.id = nodeIdOf(config.key);
    this.#key = keyOf(this.id);
    this.#epoch = Math.floor(config.clock.wallNow());
    this.#exchange = new Exchange(config, this.counters, (message) => this.#deliver(message));
    this.protocols = this.#exchange.protocols;
  }

  publish(topic: string, payload: Uint8Array): GossipMessage {
    this.#checkOpen();
    checkTopic(topic);
    checkPayload(payload);
    const { clock, key, limits } = this.#config;
    const { store } = this.#exchange.intake;
    store.expire(clock.wallNow());
    const sequence = (this.#sequences.get(topic) ?? 0) + 1;
    // Were the time the floor's or before, nobody who holds as much as we do would take it.
    const time = Math.max(Math.floor(clock.wallNow()), store.floor + 1);
    const content = { origin: this.id, topic, epoch: this.#epoch, sequence, time };
    if (!this.#exchange.intake.mayPublish(content)) {
      const { messages, windowMs } = limits.origin;
      const problem = `${messages} messages in ${windowMs} ms are published, and no more may`;
      throw new GossipError("ERR_GOSSIP_RATE", problem);
    }
    const message = signMessage({ ...content, payload: Uint8Array.from(payload) }, key);
    this.#sequences.set(topic, sequence);
    this.counters.published += 1;
    this.#exchange.publish(message);
    this.#deliver(message);
    return message;
  }

  subscribe(topic: string, options: SubscribeOptions = {}, listener?: Listener): Subscription {
    this.#checkOpen();
    checkTopic(topic);
    const { clock, limits, logger } = this.#config;
    const subscription = new TopicSubscription(topic, options, {
      clock,
      logger,
      orderWaitMs: limits.orderWaitMs,
      maxQueued: limits.maxQueued,
      listener,
      closed: (closed) => this.#forget(closed),
    });
    const others = this.#subscriptions.get(topic);
    if (others === undefined) this.#subscriptions.set(topic, new Set([subscription]));
    else others.add(subscription);
    this.#offerHeld(subscription, options.replay ?? false);
    return subscription;
  }

  info(): GossipInfo {
    const { intake, links, wanted } = this.#exchange;
    const { bytes, floor, size } = intake.store;
    return { peers: links.size, messages: size, bytes, floor, wanted: wanted.size };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#exchange.close();
    for (const subscriptions of this.#subscriptions.values()) {
      for (const subscription of subscriptions) subscription.close();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #deliver(message: GossipMessage): void {
    for (const subscription of this.#subscriptions.get(message.topic) ?? []) {
      if (this.#concerns(subscription, message)) subscription.push(message);
    }
  }

  /** Gives a new subscription what came before it, or lets it know where it begins. */
  #offerHeld(subscription: TopicSubscription, isReplay: boolean): void {
    const { store } = this.#exchange.intake;
    store.expire(this.#config.clock.wallNow());
    const { topic } = subscription;
    // Collected first: a listener may publish, and what is held is then another.
    const held = Array.from(store.values()).filter(
      (message) => message.topic === topic && this.#concerns(subscription, message),
    );
    for (const message of held) {
      if (isReplay) subscription.push(message);
      else subscription.pass(message);
    }
  }

  /** What we said before a restart comes back to us, and is our own none the less. */
  #concerns(subscription: TopicSubscription, { origin }: GossipMessage): boolean {
    return subscription.wantsOwn || keyOf(origin) !== this.#key;
  }

  #forget(subscription: TopicSubscription): void {
    const others = this.#subscriptions.get(subscription.topic);
    others?.delete(subscription);
    if (others?.size === 0) this.#subscriptions.delete(subscription.topic);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new GossipError("ERR_GOSSIP_CLOSED", "the gossip is closed");
  }
}

function checkTopic(topic: string): void {
  if (typeof topic !== "string") throw new TypeError("topic: expected a string");
  const encoded = new TextEncoder().encode(topic);
  if (encoded.length < 1 || encoded.length > MAX_TOPIC_BYTES) {
    const problem = `expected 1 to ${MAX_TOPIC_BYTES} bytes of UTF-8, got ${encoded.length}`;
    throw new RangeError(`topic: ${problem}`);
  }
  // A lone surrogate has no place in UTF-8, and another topic would be published.
  if (new TextDecoder("utf-8", { ignoreBOM: true }).decode(encoded) !== topic)
    throw new TypeError("topic: not well-formed");
}

function checkPayload(payload: Uint8Array): void {
  if (!(payload instanceof Uint8Array)) throw new TypeError("payload: expected a Uint8Array");
  if (payload.length > MAX_PAYLOAD_BYTES) {
    const problem = `${payload.length} bytes exceed ${MAX_PAYLOAD_BYTES}`;
    throw new RangeError(`payload: ${problem}`);
  }
}

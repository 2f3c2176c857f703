import type { GossipConfig, Verdict } from "./config.ts";
import type { Outcome } from "./counters.ts";
import type { Link } from "./link.ts";
import { isAuthentic, keyOf } from "./message.ts";
import type { GossipMessage, SignedContent } from "./message.ts";
import { Origins } from "./origins.ts";
import type { Slot } from "./origins.ts";
import { MessageStore } from "./store.ts";

/** Ids of messages that were judged and not taken; the oldest are forgotten. */
const MAX_REFUSED = 4_096;

/** Messages that may be before the validator at once. */
const MAX_JUDGED = 256;

/**
 * The one way in: every message, however it came, is checked here, from the cheapest check to the dearest.
 *
 * What is known is told apart before a signature is looked at; so copies cost a hash, and an altered copy has
 * another id and fails by its signature.
 */
export class Intake {
  readonly store: MessageStore;
  readonly #config: GossipConfig;
  readonly #origins: Origins;
  readonly #refused = new Set<string>();
  readonly #judged = new Set<string>();

  constructor(config: GossipConfig) {
    const { limits } = config;
    this.#config = config;
    this.#origins = new Origins(limits.origin);
    this.store = new MessageStore(limits, (message) => this.#origins.delete(message));
  }

  /** Whether there is nothing to be gained by asking for this message. */
  isKnown(key: string): boolean {
    return this.store.has(key) || this.#refused.has(key) || this.#judged.has(key);
  }

  /** Whether we may publish this ourselves. */
  mayPublish(message: Slot): boolean {
    return this.#origins.refusal(message) === undefined;
  }

  /** Takes a message in without a look: our own, or one that has passed. */
  keep(message: GossipMessage): void {
    this.#origins.add(message);
    this.store.add(message);
  }

  /**
   * Checks a message, and takes it in if it is good.
   *
   * @param id - its {@link messageId}
   */
  async admit(content: SignedContent, id: Uint8Array, link: Link): Promise<Outcome> {
    const key = keyOf(id);
    const message: GossipMessage = Object.freeze({ ...content, id });
    const refusal = this.#refusal(message, key);
    if (refusal !== undefined) return refusal;
    this.#judged.add(key);
    let verdict: Verdict;
    try {
      verdict = await this.#judge(message, link);
    } finally {
      this.#judged.delete(key);
    }
    if (verdict === "accept") {
      // While it was judged, time went on and others came.
      const late = this.#lateRefusal(message);
      if (late !== undefined) return late;
      this.keep(message);
      // With no room for anything older than what is held, the newcomer itself may have to go.
      return this.store.has(key) ? "accepted" : "stale";
    }
    this.#refuse(key);
    return verdict === "ignore" ? "ignored" : "rejected";
  }

  #refusal(message: GossipMessage, key: string): Outcome | undefined {
    if (this.isKnown(key)) return "duplicate";
    const { clock, limits } = this.#config;
    const wallNow = clock.wallNow();
    this.store.expire(wallNow);
    if (message.time <= this.store.floor) return "stale";
    if (message.time > wallNow + limits.maxSkewMs) return "future";
    if (!isAuthentic(message, message.id)) return "forged";
    const refusal = this.#origins.refusal(message);
    if (refusal !== undefined) this.#refuse(key);
    // A validator that never answers must not gather messages; what is dropped here comes again.
    return this.#judged.size >= MAX_JUDGED ? "ignored" : refusal;
  }

  #lateRefusal(message: GossipMessage): Outcome | undefined {
    this.store.expire(this.#config.clock.wallNow());
    if (message.time <= this.store.floor) return "stale";
    const refusal = this.#origins.refusal(message);
    if (refusal !== undefined) this.#refuse(keyOf(message.id));
    return refusal;
  }

  async #judge(message: GossipMessage, link: Link): Promise<Verdict> {
    try {
      return await this.#config.validate(message, link.peer);
    } catch (error) {
      this.#config.logger.error("a gossip validator failed", { topic: message.topic, error });
      return "ignore";
    }
  }

  #refuse(key: string): void {
    this.#refused.add(key);
    if (this.#refused.size <= MAX_REFUSED) return;
    for (const oldest of this.#refused) {
      this.#refused.delete(oldest);
      break;
    }
  }
}

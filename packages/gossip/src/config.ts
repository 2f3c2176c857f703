import { isSecretKey } from "@heddle/identity";
import { silentLogger, systemClock } from "@heddle/p2p";
import type { Clock, Logger, Peer } from "@heddle/p2p";

import type { GossipMessage } from "./message.ts";
import type { OriginAllowance } from "./origins.ts";
import type { StoreLimits } from "./store.ts";
import type { Allowance } from "./token-bucket.ts";

/**
 * What is done with a message: delivered and forwarded; dropped; or dropped, and the peer that sent it is
 * charged 25 of the 100 points at which it is disconnected.
 */
export type Verdict = "accept" | "ignore" | "reject";

/** Judges a message, whose signature is good already, before it is delivered or forwarded. */
export type Validator = (message: GossipMessage, from: Peer) => Verdict | Promise<Verdict>;

/** Bounds and paces; each has a default. */
export interface GossipLimits extends StoreLimits {
  /** How far a message may be ahead of our clock, in milliseconds; 30,000. */
  readonly maxSkewMs: number;
  /** What one origin may publish, by its own clock; 200 messages in 10 s. */
  readonly origin: OriginAllowance;
  /** Messages that one peer may push to us unasked; 100 a second, 400 at once. */
  readonly pushes: Allowance;
  /** Bytes of those; 1 MiB a second, 4 MiB at once. */
  readonly pushBytes: Allowance;
  /** Ids that one peer may announce; 2,000 a second, 20,000 at once. */
  readonly announcements: Allowance;
  /**
   * What one peer may have us look up and compare, in messages, and in KiB of what it fetches; 5,000 a
   * second, 50,000 at once. Beyond that its answers are held back, and nothing else.
   */
  readonly service: Allowance;
  /** How long ids are gathered before they are announced, in milliseconds; 100. */
  readonly announceDelayMs: number;
  /** How long an announced message may still come by itself before it is asked for, in milliseconds; 100. */
  readonly pullDelayMs: number;
  /** How often holdings are compared with some peer, in milliseconds; 10,000, give or take half. */
  readonly reconcileIntervalMs: number;
  /** How long an ordered subscription waits for what is missing, in milliseconds; 30,000. */
  readonly orderWaitMs: number;
  /** Messages that a subscription holds until they are taken; 16,384. */
  readonly maxQueued: number;
}

/** What gossip is made of. */
export interface GossipOptions {
  /** The node's secret key, 32 bytes: messages are signed with it. */
  readonly key: Uint8Array;
  /** Accepts everything by default. */
  readonly validate?: Validator;
  readonly limits?: Partial<GossipLimits>;
  /** Real time by default. */
  readonly clock?: Clock;
  /** Uniform in [0, 1), for the choice of peers; `Math.random` by default. */
  readonly random?: () => number;
  /** Silent by default. */
  readonly logger?: Logger;
}

/** Options with everything filled in. */
export interface GossipConfig extends Required<GossipOptions> {
  readonly limits: GossipLimits;
}

/** What applies unless it is set. */
export const DEFAULT_LIMITS: GossipLimits = Object.freeze({
  retentionMs: 600_000,
  maxMessages: 10_000,
  maxBytes: 32 * 1024 * 1024,
  maxSkewMs: 30_000,
  origin: { messages: 200, windowMs: 10_000 },
  pushes: { perSecond: 100, burst: 400 },
  pushBytes: { perSecond: 1024 * 1024, burst: 4 * 1024 * 1024 },
  announcements: { perSecond: 2_000, burst: 20_000 },
  service: { perSecond: 5_000, burst: 50_000 },
  announceDelayMs: 100,
  pullDelayMs: 100,
  reconcileIntervalMs: 10_000,
  orderWaitMs: 30_000,
  maxQueued: 16_384,
});

/** Below, half of it, which is what we use of a peer's, would not hold one message or announcement. */
const LEAST_BURST = { pushBytes: 160 * 1024, announcements: 1_024, service: 64 } as const;

/** @throws TypeError, RangeError that name the option */
export function createConfig(options: GossipOptions): GossipConfig {
  const { key, validate, limits = {}, clock, random, logger } = options;
  if (!isSecretKey(key)) throw new TypeError("key: expected a secret key of 32 bytes");
  const merged: GossipLimits = Object.freeze({ ...DEFAULT_LIMITS, ...limits });
  for (const [name, value] of Object.entries(merged)) checkLimit(name, value);
  return Object.freeze({
    key: Uint8Array.from(key),
    validate: validate ?? (() => "accept" as const),
    limits: merged,
    clock: clock ?? systemClock,
    random: random ?? Math.random,
    logger: logger ?? silentLogger,
  });
}

function checkLimit(name: string, value: unknown): void {
  if (typeof value === "object" && value !== null) {
    for (const [part, each] of Object.entries(value)) checkLimit(`${name}.${part}`, each);
    const least = (LEAST_BURST as Readonly<Record<string, number>>)[name] ?? 1;
    const { burst } = value as Partial<Allowance>;
    if (burst !== undefined && burst < least) {
      throw new RangeError(`limits.${name}.burst: expected at least ${least}, got ${burst}`);
    }
    return;
  }
  if (typeof value !== "number" || !(value > 0 && value < Infinity)) {
    throw new RangeError(`limits.${name}: expected a positive number, got ${String(value)}`);
  }
}

import type { Gossip } from "@heddle/gossip";
import { isSecretKey } from "@heddle/identity";
import type { Enode, Enr } from "@heddle/identity";
import { silentLogger, systemClock } from "@heddle/p2p";
import type { Clock, Logger, Peer } from "@heddle/p2p";

import { checkNick } from "./nick.ts";
import { MAX_INTERVAL_SECONDS } from "./protocol.ts";
import type { Quota, Rate } from "./rate.ts";

/** Bounds and paces; each has a default. */
export interface ChatLimits {
  /** How often a member of a room is heard at least, in milliseconds; 30,000. Large rooms take longer. */
  readonly heartbeatMs: number;
  /** What one node may say in rooms, by its own clock; 60 in 10 s. We hold to it, too. */
  readonly speech: Quota;
  /** What one peer may tell us; 5 a second, 40 at once. Beyond, it learns that it is refused. */
  readonly direct: Rate;
  /** Refusals until a peer is disconnected; 5 a second, 200 at once. */
  readonly refusals: Rate;
  /** Comings and goings that are reported; 5 a second, 60 at once. */
  readonly notices: Rate;
  /** Rooms we may be in at once; 32. */
  readonly maxRooms: number;
  /** Members of rooms that are kept track of; 2,000. */
  readonly maxMembers: number;
  /** Nodes whose nick is remembered; 4,000. */
  readonly maxNames: number;
  /** Messages in the history; 1,000. */
  readonly maxHistory: number;
  /** Direct messages of ours that may wait for a connection or receipt; 64. */
  readonly maxPending: number;
  /** How long a receipt may take, in milliseconds; 10,000. */
  readonly receiptTimeoutMs: number;
}

/** What chat is made of. */
export interface ChatOptions {
  /** Carries what is said in rooms; made with the same key, and in the same server. */
  readonly gossip: Pick<Gossip, "publish" | "subscribe">;
  /** The node's secret key, 32 bytes. */
  readonly key: Uint8Array;
  /** What we are called: see `checkNick`. */
  readonly nick: string;
  /** Finds the record of a node, for direct messages to nodes that are not connected. */
  readonly find?: (id: Uint8Array) => Enr | undefined;
  /** Connects to a node; rejects, best with `DialError`, when that fails. */
  readonly dial?: (node: Enode, options: { signal: AbortSignal }) => Promise<Peer>;
  readonly limits?: Partial<ChatLimits>;
  /** Real time by default. */
  readonly clock?: Clock;
  /** Uniform in [0, 1), for the moments of heartbeats; `Math.random` by default. */
  readonly random?: () => number;
  /** Silent by default. */
  readonly logger?: Logger;
}

/** Options with everything filled in. */
export interface ChatConfig extends Omit<Required<ChatOptions>, "dial" | "find"> {
  readonly dial: ChatOptions["dial"];
  readonly find: ChatOptions["find"];
  readonly limits: ChatLimits;
}

/** What applies unless it is set. */
export const DEFAULT_LIMITS: ChatLimits = Object.freeze({
  heartbeatMs: 30_000,
  speech: { messages: 60, windowMs: 10_000 },
  direct: { perSecond: 5, burst: 40 },
  refusals: { perSecond: 5, burst: 200 },
  notices: { perSecond: 5, burst: 60 },
  maxRooms: 32,
  maxMembers: 2_000,
  maxNames: 4_000,
  maxHistory: 1_000,
  maxPending: 64,
  receiptTimeoutMs: 10_000,
});

/** @throws TypeError, RangeError that name the option */
export function createConfig(options: ChatOptions): ChatConfig {
  const { gossip, key, nick, find, dial, limits = {}, clock, random, logger } = options;
  if (typeof gossip?.publish !== "function" || typeof gossip.subscribe !== "function") {
    throw new TypeError("gossip: expected publish and subscribe");
  }
  if (!isSecretKey(key)) throw new TypeError("key: expected a secret key of 32 bytes");
  checkFunction("find", find);
  checkFunction("dial", dial);
  const merged: ChatLimits = Object.freeze({ ...DEFAULT_LIMITS, ...limits });
  for (const [name, value] of Object.entries(merged)) checkLimit(`limits.${name}`, value);
  if (merged.heartbeatMs > MAX_INTERVAL_SECONDS * 1000) {
    const problem = `expected at most ${MAX_INTERVAL_SECONDS * 1000}, got ${merged.heartbeatMs}`;
    throw new RangeError(`limits.heartbeatMs: ${problem}`);
  }
  return Object.freeze({
    gossip,
    key: key.slice(),
    nick: checkNick(nick),
    find,
    dial,
    limits: merged,
    clock: clock ?? systemClock,
    random: random ?? Math.random,
    logger: logger ?? silentLogger,
  });
}

function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") {
    throw new TypeError(`${name}: expected a function`);
  }
}

function checkLimit(name: string, value: unknown): void {
  if (typeof value === "object" && value !== null) {
    for (const [part, each] of Object.entries(value)) checkLimit(`${name}.${part}`, each);
    return;
  }
  if (typeof value !== "number" || !(value >= 1 && value < Infinity)) {
    throw new RangeError(`${name}: expected a number from 1 up, got ${String(value)}`);
  }
}

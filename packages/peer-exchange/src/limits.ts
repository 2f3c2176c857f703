import type { Rate } from "./token-bucket.ts";

/** Bounds of the peer exchange; times in milliseconds. Every one has a default. */
export interface PexLimits {
  /** Addresses nobody has connected to yet: buckets, and entries in each. */
  readonly newBuckets: number;
  readonly newBucketSize: number;
  /** Addresses a dial of ours has reached: buckets, and entries in each. */
  readonly triedBuckets: number;
  readonly triedBucketSize: number;
  /** Of all buckets for new addresses, how many one source's subnet can reach. */
  readonly bucketsPerSource: number;
  /** Entries of one public /24 or /64 in the whole book. */
  readonly perSubnet: number;
  /** New entries in the whole book that one source's public /24 or /64 has told of. */
  readonly perSource: number;
  /** Dialed peers in one public /24 or /64, if there is any other choice one less than this. */
  readonly dialedPerSubnet: number;
  /** An entry of which nothing was heard for so long is forgotten: several times `announceMs`. */
  readonly maxAgeMs: number;
  /** The first wait before an address is dialed again after it failed; it doubles up to the longest. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** How long a record that was given up as dead, or its misbehaving owner, stays out. */
  readonly banMs: number;
  /** The first and the longest wait between two questions for more addresses. */
  readonly refreshMinMs: number;
  readonly refreshMaxMs: number;
  /** With so many addresses in the book there is no hurry to ask for more. */
  readonly enough: number;
  /** How long announcements are gathered before they are forwarded together. */
  readonly forwardMs: number;
  /** A node that changes its record sooner than this is not handed on again. */
  readonly repeatMs: number;
  /** How often a node says anew that it is there. */
  readonly announceMs: number;
  /** To how many peers a news is handed on. */
  readonly fanout: number;
  /** Announcements waiting to be forwarded. */
  readonly maxQueued: number;
  /** How often changes are written to the store. */
  readonly saveMs: number;
  /** Peers in different places that must see us at the same address before we believe it. */
  readonly confirmations: number;
  /** The share of the inbound places that is kept free for newcomers, from 0 to 1. */
  readonly freeInbound: number;
  /** How long an inbound peer stays at least before its place may be given to a newcomer. */
  readonly graceMs: number;
  /** Questions for addresses, of one peer. */
  readonly questions: Rate;
  /** Announced records, of one peer. */
  readonly announcements: Rate;
  /** Signatures checked for announcements, over all peers. */
  readonly verifications: Rate;
  /** How many refusals one peer may earn, over time, before it is dropped. */
  readonly misuse: Rate;
}

const HOUR_MS = 3_600_000;

/** Default bounds. */
export const DEFAULT_PEX_LIMITS: PexLimits = Object.freeze({
  newBuckets: 256,
  newBucketSize: 64,
  triedBuckets: 64,
  triedBucketSize: 64,
  bucketsPerSource: 64,
  perSubnet: 16,
  perSource: 1_024,
  dialedPerSubnet: 2,
  maxAgeMs: 72 * HOUR_MS,
  retryMinMs: 10_000,
  retryMaxMs: HOUR_MS,
  banMs: HOUR_MS,
  refreshMinMs: 1_000,
  refreshMaxMs: 120_000,
  enough: 1_000,
  forwardMs: 500,
  repeatMs: 30_000,
  announceMs: 12 * HOUR_MS,
  fanout: 4,
  maxQueued: 1_024,
  saveMs: 2_000,
  confirmations: 3,
  freeInbound: 0.25,
  graceMs: 2_000,
  questions: Object.freeze({ perSecond: 0.5, burst: 10 }),
  announcements: Object.freeze({ perSecond: 2, burst: 1_000 }),
  verifications: Object.freeze({ perSecond: 500, burst: 5_000 }),
  misuse: Object.freeze({ perSecond: 0.1, burst: 100 }),
});

/**
 * Fills in defaults and checks what was given.
 *
 * @throws TypeError for a limit that there is not; RangeError for a value that is none
 */
export function createLimits(given: Partial<PexLimits>): PexLimits {
  const limits: PexLimits = { ...DEFAULT_PEX_LIMITS };
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_PEX_LIMITS, name)) {
      throw new TypeError(
        `limits.${name}: no such limit; there are ${Object.keys(DEFAULT_PEX_LIMITS).join(", ")}`,
      );
    }
    if (value === undefined) continue;
    if (typeof limits[name as keyof PexLimits] === "object") checkRate(name, value);
    else checkNumber(name, value, name === "freeInbound" ? 0 : 1);
    Object.assign(limits, { [name]: value });
  }
  checkOrder(limits, "retryMinMs", "retryMaxMs");
  checkOrder(limits, "refreshMinMs", "refreshMaxMs");
  if (limits.freeInbound >= 1) {
    throw new RangeError(`limits.freeInbound: expected less than 1, got ${limits.freeInbound}`);
  }
  return Object.freeze(limits);
}

function checkNumber(name: string, value: unknown, least: number): void {
  const isGood = typeof value === "number" && value >= least && value < 2 ** 31;
  if (!isGood || (name !== "freeInbound" && !Number.isInteger(value))) {
    throw new RangeError(
      `limits.${name}: expected a number from ${least} to 2^31 - 1, got ${String(value)}`,
    );
  }
}

function checkRate(name: string, value: unknown): void {
  const { perSecond = NaN, burst = NaN } = Object(value) as Partial<Rate>;
  if (!(perSecond > 0 && perSecond < Infinity && burst >= 1 && burst < Infinity)) {
    throw new RangeError(
      `limits.${name}: expected perSecond > 0 and burst >= 1, got ${perSecond} and ${burst}`,
    );
  }
}

function checkOrder(
  limits: PexLimits,
  least: "retryMinMs" | "refreshMinMs",
  most: "retryMaxMs" | "refreshMaxMs",
): void {
  if (limits[least] <= limits[most]) return;
  throw new RangeError(
    `limits.${least}: expected at most ${most} (${limits[most]}), got ${limits[least]}`,
  );
}

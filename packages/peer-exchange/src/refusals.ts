/** Why something of a peer's was not taken. */
export const REFUSALS = [
  /** A record that is malformed or not signed by the key it names; the peer is dropped. */
  "forged",
  /** A peer introduced itself with another's record; it is dropped. */
  "foreignIntroduction",
  /** The peer belongs to another network; it is dropped. */
  "otherNetwork",
  /** An older version of a record that is known. */
  "stale",
  /** A record without an address or TCP port. */
  "noAddress",
  /** A reserved address. */
  "special",
  /** A loopback address, told by a node that is on another machine. */
  "loopback",
  /** A private address, told by a public node. */
  "lan",
  /** Its subnet, its source or its bucket has as many as it may. */
  "subnetFull",
  "sourceFull",
  "bucketFull",
  /** Given up as dead or for misbehaviour a short while ago. */
  "banned",
  /** A question above the rate; it was answered with nothing. */
  "questionFlood",
  /** An announced record above the rate. */
  "announcementFlood",
  /** More signatures to check than we check in the time. */
  "verificationFlood",
  /** More records than were asked for, or longer ones than there can be; the peer is dropped. */
  "oversizedReply",
  /** An answer that cannot be read; the peer is dropped. */
  "badReply",
  /** An announcement that came again too soon, or while too many wait: kept, and not handed on. */
  "notForwarded",
] as const;

/** One of {@link REFUSALS}. */
export type Refusal = (typeof REFUSALS)[number];

/** How often each refusal came up. */
export type RefusalCounts = Record<Refusal, number>;

/** Counts that start at zero. */
export function createRefusalCounts(): RefusalCounts {
  return Object.fromEntries(REFUSALS.map((refusal) => [refusal, 0])) as RefusalCounts;
}

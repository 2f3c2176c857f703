/** What happened since the gossip was made; plain numbers that can be read at any time. */
export interface GossipCounters {
  /** Messages of our own. */
  published: number;
  /** Messages of others that were taken in: each is delivered once. */
  accepted: number;
  /** Copies of messages that were known. */
  duplicate: number;
  /** Older than the retention window, or than what had to make room. */
  stale: number;
  /** Too far ahead of our clock. */
  future: number;
  /** Not signed by the origin they name. */
  forged: number;
  /** A second message for a sequence number that is taken. */
  conflict: number;
  /** Beyond what one origin may publish. */
  excess: number;
  /** Dropped by the validator's wish, or because it failed. */
  ignored: number;
  /** Refused by the validator. */
  rejected: number;
  /** Messages and announcements beyond what a peer may send, dropped unread. */
  limited: number;
  /** Messages pushed to peers. */
  pushed: number;
  /** Ids announced to peers. */
  announced: number;
  /** Messages that came because we asked for them. */
  fetched: number;
  /** Comparisons with a peer, from our side. */
  reconciled: number;
  /** Peers that were disconnected for what they sent. */
  dropped: number;
}

/** What became of a message that came in. */
export type Outcome = keyof Pick<
  GossipCounters,
  | "accepted"
  | "duplicate"
  | "stale"
  | "future"
  | "forged"
  | "conflict"
  | "excess"
  | "ignored"
  | "rejected"
>;

/** All at zero. */
export function createCounters(): GossipCounters {
  return {
    published: 0,
    accepted: 0,
    duplicate: 0,
    stale: 0,
    future: 0,
    forged: 0,
    conflict: 0,
    excess: 0,
    ignored: 0,
    rejected: 0,
    limited: 0,
    pushed: 0,
    announced: 0,
    fetched: 0,
    reconciled: 0,
    dropped: 0,
  };
}

export { DEFAULT_LIMITS } from "./config.ts";
export type { GossipLimits, GossipOptions, Validator, Verdict } from "./config.ts";
export type { GossipCounters } from "./counters.ts";
export { GossipError } from "./errors.ts";
export type { GossipErrorCode } from "./errors.ts";
export { createGossip } from "./gossip.ts";
export type { Gossip, GossipInfo } from "./gossip.ts";
export { MAX_PAYLOAD_BYTES, MAX_TOPIC_BYTES, messageId, signMessage } from "./message.ts";
export type { GossipContent, GossipMessage, SignedContent } from "./message.ts";
export type { OriginAllowance } from "./origins.ts";
export { Gossip1 } from "./protocol.ts";
export type {
  Bound,
  Differences,
  GossipTable,
  Range,
  RangeIds,
  RangeSummary,
  Summary,
} from "./protocol.ts";
export type { StoreLimits } from "./store.ts";
export type { Listener, OrderOptions, SubscribeOptions, Subscription } from "./subscription.ts";
export type { Allowance } from "./token-bucket.ts";

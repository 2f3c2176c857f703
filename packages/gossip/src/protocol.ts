import {
  bytes,
  bytes32,
  defineProtocol,
  fixedBytes,
  list,
  mapped,
  notify,
  request,
  struct,
  tuple,
  uint,
} from "@heddle/protocol";
import type { NotifyMessage, ProtocolDefinition, RequestMessage, Schema } from "@heddle/protocol";

import { signedContent } from "./message.ts";
import type { SignedContent } from "./message.ts";

/** Most ids in one announcement. */
export const MAX_ANNOUNCED = 512;

/** Most messages asked for at once. */
export const MAX_FETCHED = 64;

/** Where an answer stops taking in more messages, in bytes of payload. */
export const MAX_FETCH_BYTES: number = 512 * 1024;

/** Most ranges compared at once. */
export const MAX_RANGES = 64;

/** Into how many parts a range that differs is split. */
export const SPLIT = 16;

/** Ranges with at most this many messages are answered by their ids. */
export const MAX_IDS = 64;

/** A place in the order of messages, by time and then id; the id may be cut short or empty. */
export interface Bound {
  readonly time: number;
  readonly id: Uint8Array;
}

/** The messages from `from` up to, not including, `to`. */
export interface Range {
  readonly from: Bound;
  readonly to: Bound;
}

/** What a node holds of a range: how many messages, and 16 bytes that stand for which. */
export interface Summary {
  readonly count: number;
  readonly fingerprint: Uint8Array;
}

/** A range and what a node holds of it. */
export interface RangeSummary extends Range, Summary {}

/** A range and every message a node holds of it. */
export interface RangeIds extends Range {
  readonly ids: readonly (readonly [time: number, id: Uint8Array])[];
}

/** What differs, and where nothing can: `floor` is the time before which the answering node keeps nothing. */
export interface Differences {
  readonly floor: number;
  readonly parts: readonly RangeSummary[];
  readonly sets: readonly RangeIds[];
}

const bound: Schema<Bound> = struct({ time: uint, id: bytes({ max: 32, copy: true }) });

const rangeSummary: Schema<RangeSummary> = struct({
  from: bound,
  to: bound,
  count: uint,
  fingerprint: fixedBytes(16),
});

const rangeIds: Schema<RangeIds> = struct({
  from: bound,
  to: bound,
  ids: list(tuple(uint, bytes32), { max: MAX_IDS }),
});

const differences: Schema<Differences> = struct({
  floor: uint,
  parts: ascending(list(rangeSummary, { max: MAX_RANGES * SPLIT })),
  sets: ascending(list(rangeIds, { max: MAX_RANGES })),
});

/** Ranges that do not overlap, so that comparing them never costs more than all that is held. */
function ascending<R extends Range>(ranges: Schema<readonly R[]>): Schema<readonly R[]> {
  const check = (value: readonly R[]): readonly R[] => {
    let end: Bound | undefined;
    for (const { from, to } of value) {
      if (end !== undefined && compareBounds(end, from) > 0) throw new Error("ranges overlap");
      if (compareBounds(from, to) >= 0) throw new Error("an empty range");
      end = to;
    }
    return value;
  };
  return mapped(ranges, { decode: check, encode: (value) => value });
}

/** Orders by time, then by id; an id that is a part of another comes first. */
export function compareBounds(a: Bound, b: Bound): number {
  if (a.time !== b.time) return a.time - b.time;
  const length = Math.min(a.id.length, b.id.length);
  for (let i = 0; i < length; i++) {
    const difference = (a.id[i] as number) - (b.id[i] as number);
    if (difference !== 0) return difference;
  }
  return a.id.length - b.id.length;
}

/** The messages of `gossip/1`. */
export type GossipTable = {
  /** Here is a message that you may not have. */
  readonly push: NotifyMessage<SignedContent>;
  /** I have messages of these ids. */
  readonly announce: NotifyMessage<readonly Uint8Array[]>;
  /** Give me the messages of these ids; those that are not there, or too much for one reply, are left out. */
  readonly fetch: RequestMessage<readonly Uint8Array[], readonly SignedContent[]>;
  /** This is what I hold of these ranges, ascending and apart: where do you differ? */
  readonly compare: RequestMessage<readonly RangeSummary[], Differences>;
};

/** The wire table of `gossip/1`: six codes. */
export const Gossip1: ProtocolDefinition<"gossip", 1, GossipTable, undefined> = defineProtocol({
  name: "gossip",
  version: 1,
  messages: {
    push: notify(0, signedContent),
    announce: notify(1, list(bytes32, { max: MAX_ANNOUNCED })),
    fetch: request(
      2,
      3,
      list(bytes32, { max: MAX_FETCHED }),
      list(signedContent, { max: MAX_FETCHED }),
      {
        maxReplyBytes: 2 * MAX_FETCH_BYTES,
      },
    ),
    compare: request(4, 5, ascending(list(rangeSummary, { max: MAX_RANGES })), differences, {
      maxReplyBytes: 512 * 1024,
    }),
  },
});

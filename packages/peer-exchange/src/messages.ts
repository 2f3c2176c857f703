import { ENR_MAX_SIZE } from "@heddle/identity";
import {
  bytes,
  defineProtocol,
  list,
  notify,
  optional,
  request,
  struct,
  text,
  uint,
} from "@heddle/protocol";
import type { NotifyMessage, ProtocolDefinition, RequestMessage } from "@heddle/protocol";

/** Most records in one answer. */
export const MAX_PEERS_PER_REPLY = 64;

/** Most records in one announcement. */
export const MAX_ANNOUNCED = 32;

/** A network's name: at most so many bytes of UTF-8. */
export const MAX_NETWORK_BYTES = 64;

/** A capability that is asked for, `name` or `name/version`: at most so many bytes. */
const MAX_CAPABILITY_BYTES = 64;

/** The most that the largest answer can take: each record with its RLP header, and the frame around. */
const MAX_REPLY_BYTES = MAX_PEERS_PER_REPLY * (ENR_MAX_SIZE + 3) + 32;

/** What both sides say first. */
export interface Introduction {
  /** Nodes of different networks have nothing to tell each other. */
  readonly network: string;
  /** The sender's own record, in RLP. */
  readonly record: Uint8Array;
  /** The address the receiver is seen at: 4 or 16 bytes, or none. */
  readonly seen: Uint8Array;
}

/** A question for addresses. */
export interface Question {
  /** How many at most, 1 to 64. */
  readonly count: number;
  /** Only nodes whose record names this capability, as `name` or `name/version`. */
  readonly capability?: string | undefined;
}

/** The messages of `pex/1`. */
export type PexMessages = {
  readonly introduce: NotifyMessage<Introduction>;
  readonly getPeers: RequestMessage<Question, readonly Uint8Array[]>;
  readonly announce: NotifyMessage<readonly Uint8Array[]>;
};

// Signatures are checked in the handlers: after the rate limits, and not at all for what is known.
const record = bytes({ min: 1, max: ENR_MAX_SIZE, copy: true });

/** The wire table of `pex/1`. */
export const Pex1: ProtocolDefinition<"pex", 1, PexMessages, "introduce"> = defineProtocol({
  name: "pex",
  version: 1,
  handshake: "introduce",
  messages: {
    introduce: notify(
      0,
      struct({
        network: text({ max: MAX_NETWORK_BYTES }),
        record,
        seen: bytes({ max: 16, copy: true }),
      }),
    ),
    getPeers: request(
      1,
      2,
      struct({
        count: uint({ max: MAX_PEERS_PER_REPLY }),
        capability: optional(text({ max: MAX_CAPABILITY_BYTES })),
      }),
      list(record, { max: MAX_PEERS_PER_REPLY }),
      { timeoutMs: 10_000, maxReplyBytes: MAX_REPLY_BYTES },
    ),
    announce: notify(3, list(record, { max: MAX_ANNOUNCED })),
  },
});

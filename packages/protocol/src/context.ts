import type { Peer } from "@heddle/p2p";

import type { AnyDefinition } from "./definition.ts";
import type { NotifyMessage, RequestMessage } from "./messages.ts";
import type { NotifyStats, RequestStats } from "./stats.ts";

/** What one request may do differently from its declaration. */
export interface CallOptions {
  /** Gives the request up when it aborts: the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** How long to wait for the reply, in milliseconds. */
  readonly timeoutMs?: number;
  /** A longer reply is refused before it is decoded, in bytes. */
  readonly maxReplyBytes?: number;
}

/** The names of a definition's requests. */
export type RequestNames<D extends AnyDefinition> = D extends unknown
  ? {
      [K in keyof D["messages"]]: D["messages"][K] extends RequestMessage<infer _Q, infer _A>
        ? K
        : never;
    }[keyof D["messages"]] &
      string
  : never;

/** The names of a definition's notifications, without the handshake. */
export type NotifyNames<D extends AnyDefinition> = D extends unknown
  ? Exclude<
      {
        [K in keyof D["messages"]]: D["messages"][K] extends NotifyMessage<infer _> ? K : never;
      }[keyof D["messages"]] &
        string,
      D["handshake"]
    >
  : never;

/** What the named message of a definition carries. */
export type PayloadOf<D extends AnyDefinition, K extends string> = D extends unknown
  ? D["messages"][K] extends NotifyMessage<infer T>
    ? T
    : D["messages"][K] extends RequestMessage<infer Q, infer _>
      ? Q
      : never
  : never;

/** What answers the named request of a definition. */
export type ReplyOf<D extends AnyDefinition, K extends string> = D extends unknown
  ? D["messages"][K] extends RequestMessage<infer _, infer A>
    ? A
    : never
  : never;

/** What the handshake of a definition carries; undefined without one. */
export type HandshakeOf<D extends AnyDefinition> = D extends unknown
  ? D["handshake"] extends string
    ? PayloadOf<D, D["handshake"]>
    : undefined
  : never;

/** Asks the peer: one function for each request of the definition. */
export type Calls<D extends AnyDefinition> = {
  readonly [K in RequestNames<D>]: (
    value: PayloadOf<D, K>,
    options?: CallOptions,
  ) => Promise<ReplyOf<D, K>>;
};

/** Tells the peer: one function for each notification of the definition. */
export type Sends<D extends AnyDefinition> = {
  readonly [K in NotifyNames<D>]: (value: PayloadOf<D, K>) => Promise<void>;
};

/** Counters by message name. */
export type Stats<D extends AnyDefinition> = {
  readonly requests: { readonly [K in RequestNames<D>]: RequestStats };
  readonly notifies: { readonly [K in NotifyNames<D>]: NotifyStats };
};

/** One protocol version's end of one connection, as handlers and companions see it. */
export interface Context<D extends AnyDefinition, S = unknown> {
  readonly name: D["name"];
  /** The version negotiated with this peer: comparing it narrows the context to that version. */
  readonly version: D["version"];
  readonly peer: Peer;
  /** Aborts when the connection ends. */
  readonly signal: AbortSignal;
  /** What the implementation's `state` made for this connection. */
  readonly state: S;
  /** What the peer sent as its handshake. */
  readonly remote: HandshakeOf<D>;
  /**
   * Requests, by name: each resolves with the reply.
   *
   * They reject with `RequestTimeout`, `PeerGone`, `BadReply`, the signal's reason, or
   * `LocalProtocolError` `ERR_PROTOCOL_TOO_MANY_PENDING`, `ERR_P2P_MESSAGE_TOO_BIG`,
   * `ERR_P2P_SEND_QUEUE_FULL`; they throw `SchemaValueError` at once for a value that cannot be encoded.
   */
  readonly call: Calls<D>;
  /**
   * Notifications, by name: each resolves when it is accepted, so awaiting it lets a slow peer hold
   * the sender back. They reject with `LocalProtocolError` `ERR_P2P_MESSAGE_TOO_BIG`,
   * `ERR_P2P_SEND_QUEUE_FULL`, or when the connection is over with its `DisconnectedError`; they throw
   * `SchemaValueError` at once for a value that cannot be encoded.
   */
  readonly send: Sends<D>;
  readonly stats: Stats<D>;
}

/** The contexts of several versions: a union that `c.version` narrows. */
export type ContextOf<D extends AnyDefinition, S> = D extends AnyDefinition ? Context<D, S> : never;

/** The contexts of those versions that have the named message. */
export type ContextWith<D extends AnyDefinition, K extends string, S> = D extends AnyDefinition
  ? K extends keyof D["messages"]
    ? Context<D, S>
    : never
  : never;

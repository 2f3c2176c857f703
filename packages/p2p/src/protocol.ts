import type { Enode, Enr, RlpInput } from "@heddle/identity";

import type { Capability } from "./capability.ts";
import type { Clock } from "./clock.ts";
import type { Message } from "./message.ts";
import type { StreamAddress } from "./stream.ts";

/** How long one read may take, and what else may end it. */
export interface ReadOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds; no limit of its own by default (the connection's keepalive still holds). */
  readonly timeoutMs?: number;
}

/**
 * A protocol's end of a connection: reads and writes its own messages, with codes relative to 0.
 *
 * Iterating ends when the connection does; `read()` and the sends reject with the
 * `DisconnectedError` that says who ended it and why. Messages that had arrived before are still read.
 */
export interface MessageReadWriter extends AsyncIterable<Message, undefined> {
  /** The protocol version that was negotiated with this peer. */
  readonly version: number;
  /** The server's time, for deadlines of the protocol's own. */
  readonly clock: Clock;

  /**
   * Takes the next message.
   *
   * @throws `DisconnectedError`, `TimeoutError` (`read`), or the signal's reason
   */
  read(options?: ReadOptions): Promise<Message>;

  /**
   * Sends a value as RLP. Resolves when the message is accepted below the high-water mark: await it
   * and a slow peer holds the sender back.
   *
   * @param code - 0 to length-1
   * @param value - bytes are a byte string, strings are UTF-8, numbers and bigints minimal
   *   big-endian, arrays lists
   * @throws {@link LocalProtocolError} `ERR_P2P_CODE_RANGE`, `ERR_P2P_MESSAGE_TOO_BIG`,
   *   `ERR_P2P_SEND_QUEUE_FULL`; `DisconnectedError`. Not awaited, the promise crashes nothing: the first
   *   refusal of each kind shows as `protocol:error`
   */
  send(code: number, value: RlpInput): Promise<void>;

  /** Sends a list of the given items; `sendItems(0, "bar")` is `send(0, ["bar"])`. */
  sendItems(code: number, ...items: readonly RlpInput[]): Promise<void>;

  /**
   * Sends RLP that is encoded already. The bytes belong to the connection afterwards.
   *
   * @throws TypeError, at once, for a payload that is no `Uint8Array`; else as {@link MessageReadWriter.send}
   */
  sendEncoded(code: number, payload: Uint8Array, options?: SendOptions): Promise<void>;

  /** Publishes what companions reach through {@link Peer.protocol}; once per connection. */
  provide(context: unknown): void;
}

/** How an encoded message is sent. */
export interface SendOptions {
  /**
   * Frees the memory behind the payload, all of its `ArrayBuffer`, as soon as the message is sealed: for bytes that
   * were made for this message alone. What is not freed is left to the garbage collector.
   */
  readonly release?: boolean;
}

/** Readable facts about a live connection, as `admin_peers` shows them. */
export interface PeerInfo {
  readonly enode: string;
  /** 128 hex digits. */
  readonly id: string;
  readonly clientId: string;
  readonly capabilities: readonly string[];
  readonly network: {
    readonly localAddress: string;
    readonly remoteAddress: string;
    readonly inbound: boolean;
    readonly trusted: boolean;
  };
  /** By `name/version`: what the protocol's `peerInfo` returned, or its version alone. */
  readonly protocols: Readonly<Record<string, unknown>>;
  /** Milliseconds since the connection became a peer. */
  readonly connectedMs: number;
  readonly rttMs: number | undefined;
}

/** One live connection to another node. */
export interface Peer {
  /** 64 bytes: the public key the other side proved to hold. */
  readonly id: Uint8Array;
  /** For an inbound peer the address is where it came from, which is rarely where it listens. */
  readonly enode: string;
  /** What the other side calls itself; escape it before showing it. */
  readonly clientId: string;
  /** Everything the other side offered, in the order of its Hello. */
  readonly capabilities: readonly Capability[];
  readonly inbound: boolean;
  readonly remoteAddress: StreamAddress | undefined;
  /** Aborts, with the `DisconnectedError`, when the connection ends. */
  readonly signal: AbortSignal;
  /** When something last arrived, in Unix milliseconds. */
  readonly lastSeen: number;
  /** Measures one round trip, in milliseconds. Calls that overlap share it. */
  ping(): Promise<number>;
  /**
   * Ends the connection; accepted messages are still sent. Resolves when the connection is gone.
   *
   * @param reason - 0 to 255, disconnect requested (0x00) if not given; RangeError otherwise
   */
  disconnect(reason?: number): Promise<void>;
  /**
   * Resolves when the connection is over and torn down, its `run`s included; never rejects. A `run` that awaits it
   * waits for itself, until it is detached: it has `signal` for that.
   */
  closed(): Promise<void>;
  info(): PeerInfo;
  /**
   * What the named protocol {@link MessageReadWriter.provide}s on this connection, as soon as it does.
   *
   * @throws `DisconnectedError` when the connection ends first;
   *   `LocalProtocolError` `ERR_P2P_NOT_SHARED` when the protocol is not shared with this peer
   */
  protocol<Context>(handle: ProtocolHandle<Context>): Promise<Context>;
}

/** Names a protocol, and carries the type of what it {@link MessageReadWriter.provide}s. */
export interface ProtocolHandle<Context = unknown> {
  readonly name: string;
  readonly version?: number;
  /** Never present at run time: it only binds the type. */
  readonly contextType?: Context;
}

/** A subprotocol, as registered with a `Server`. */
export interface Protocol {
  /** Printable ASCII; at most 8 characters by the specification (longer ones work, with a warning). */
  readonly name: string;
  /** 1 to 255. */
  readonly version: number;
  /** How many message codes it uses: codes run from 0 to length-1. Both ends must agree on it. */
  readonly length: number;
  /**
   * Speaks the protocol with one peer. Returning ends the connection as done (0x08),
   * `throw new Disconnect(reason)` with that reason, a decode error with 0x02, anything else with
   * 0x10. When `peer.signal` aborts it should return soon; one that does not is detached and named.
   */
  run(peer: Peer, rw: MessageReadWriter): Promise<void>;
  /** Protocols that must be shared on the same connection; without them this one does not run. */
  readonly requires?: readonly ProtocolHandle[];
  /** Names for message codes, for metrics, events and errors. */
  readonly messageNames?: Readonly<Record<number, string>>;
  /** Nodes worth dialing; one iterable is drawn from while the server runs. */
  dialCandidates?(signal: AbortSignal): AsyncIterable<Enode | Enr>;
  /** What `server.info()` shows of this protocol. */
  nodeInfo?(): unknown;
  /** What `peer.info()` shows of this protocol. */
  peerInfo?(peer: Peer): unknown;
}

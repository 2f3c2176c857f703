import { setMaxListeners } from "node:events";

import { escapeText, formatIp, parseIp4, parseIp6, toHex } from "@heddle/identity";

import { formatCapability } from "./capability.ts";
import type { Capability, SharedCapability } from "./capability.ts";
import type { Channel } from "./channel.ts";
import type { Clock } from "./clock.ts";
import type { Connection } from "./connection.ts";
import type { ProtocolCounters } from "./counters.ts";
import {
  checkReason,
  decodeDisconnect,
  Disconnect,
  DisconnectReason,
  encodeDisconnect,
} from "./disconnect.ts";
import {
  disconnected,
  DisconnectedError,
  disconnectReasonFor,
  LocalProtocolError,
  RemoteProtocolError,
} from "./errors.ts";
import { BASE_LENGTH, BaseMessage } from "./hello.ts";
import type { Hello } from "./hello.ts";
import { Keepalive } from "./keepalive.ts";
import type { KeepaliveLimits } from "./keepalive.ts";
import { Mux } from "./mux.ts";
import type { MuxLimits } from "./mux.ts";
import { show } from "./option.ts";
import type { Peer, PeerInfo, Protocol, ProtocolHandle } from "./protocol.ts";
import type { WireMessage } from "./session.ts";
import type { StreamAddress } from "./stream.ts";

/** Bounds of a peer, in milliseconds where they are times. */
export interface PeerLimits extends MuxLimits, KeepaliveLimits {
  /** How long `run`s may take to return after the connection's end before they are detached. */
  readonly graceMs: number;
  /** How long the stream may stay unwritable with bytes waiting. */
  readonly writeTimeoutMs: number;
  /** How long accepted messages may take to leave before our Disconnect. */
  readonly drainTimeoutMs: number;
}

/** What a live peer tells its server. */
export interface LivePeerEvents {
  /** The connection is over; the first of everything that follows from it. Once. */
  ended(peer: LivePeer, error: DisconnectedError): void;
  /** A `run` threw something that neither ends the connection on purpose nor is its end, or a send was refused. */
  failed(peer: LivePeer, label: string, error: unknown): void;
  /** A `run` ignored its signal for the whole grace period. */
  detached(peer: LivePeer, label: string): void;
  /** A message of a subprotocol went by. */
  message(
    peer: LivePeer,
    direction: "in" | "out",
    channel: Channel,
    code: number,
    size: number,
  ): void;
}

/** What a peer is made of once Hellos are exchanged. */
export interface LivePeerOptions {
  readonly connection: Connection;
  readonly hello: Hello;
  readonly shared: readonly SharedCapability<Protocol>[];
  readonly inbound: boolean;
  readonly trusted: boolean;
  /** Writes its URL: as dialed; for an inbound peer made of where it came from. */
  readonly enode: () => string;
  readonly clock: Clock;
  readonly limits: PeerLimits;
  readonly events: LivePeerEvents;
  /** By `name/version`; one that is missing is counted on its own. */
  readonly counters: Readonly<Record<string, ProtocolCounters>>;
}

/** RLP of the empty list; Interop: reth takes no other ping or pong payload. */
const EMPTY_LIST: Uint8Array = Uint8Array.of(0xc0);

/** Pongs that may wait to be sent; then reading stops until they are (CVE-2023-40591). */
const MAX_WAITING_PONGS = 16;

interface Companion {
  readonly value: Promise<unknown>;
  readonly resolve: (context: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One live connection: base protocol, keepalive, the protocols' tasks, and one way out for all of it.
 *
 * Whatever ends the connection goes through `#end`, which acts once: it fixes who ended it and why,
 * tells the server, the signal and every waiter, and then takes the connection down.
 */
export class LivePeer implements Peer {
  readonly id: Uint8Array;
  readonly clientId: string;
  readonly capabilities: readonly Capability[];
  readonly inbound: boolean;
  readonly trusted: boolean;
  readonly remoteAddress: StreamAddress | undefined;
  readonly connectedAt: number;
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #limits: PeerLimits;
  readonly #events: LivePeerEvents;
  readonly #mux: Mux;
  readonly #keepalive: Keepalive;
  readonly #companions = new Map<Channel, Companion>();
  readonly #runs = new Map<Channel, Promise<void>>();
  readonly #writeEnode: () => string;
  #enode: string | undefined;
  #controller: AbortController | undefined;
  #end: DisconnectedError | undefined;
  #teardown: Promise<void> | undefined;
  #isHoldingPings = false;
  /** How many bytes had arrived with the last message, and when they did. */
  #seenBytes: number;
  #seenAt: number;

  constructor(options: LivePeerOptions) {
    const { connection, hello, clock, limits } = options;
    this.id = connection.session.remoteId;
    this.#writeEnode = options.enode;
    this.clientId = hello.clientId;
    this.capabilities = hello.capabilities;
    this.inbound = options.inbound;
    this.trusted = options.trusted;
    this.remoteAddress = connection.session.stream.remoteAddress;
    this.connectedAt = clock.now();
    this.#seenBytes = connection.bytesIn;
    this.#seenAt = connection.lastRead;
    this.#connection = connection;
    this.#clock = clock;
    this.#limits = limits;
    this.#events = options.events;
    this.#mux = this.#createMux(options);
    this.#keepalive = new Keepalive(clock, limits, {
      sendPing: () => connection.sendBase(BaseMessage.ping, EMPTY_LIST),
      lastRead: () => (connection.isPaused ? undefined : connection.lastRead),
      idle: (error) => this.#finish(disconnectReasonFor(error), "local", error),
    });
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      // One for each handler that waits is what it is for: Node would warn of a leak at the eleventh.
      setMaxListeners(Infinity, this.#controller.signal);
      if (this.#end !== undefined) this.#controller.abort(this.#end);
    }
    return this.#controller.signal;
  }

  get enode(): string {
    this.#enode ??= this.#writeEnode();
    return this.#enode;
  }

  get lastSeen(): number {
    const { bytesIn, lastRead } = this.#connection;
    // The connection counts silence from the moment it reads again: that nothing came is to be seen.
    const at = bytesIn === this.#seenBytes ? this.#seenAt : lastRead;
    return this.#clock.wallNow() - (this.#clock.now() - at);
  }

  /** Why it ended, once it has. */
  get ended(): DisconnectedError | undefined {
    return this.#end;
  }

  /** The shared protocols and their places in the message ids. */
  get channels(): readonly Channel[] {
    return this.#mux.channels;
  }

  ping(): Promise<number> {
    return this.#keepalive.ping();
  }

  /** Does not wait for the `run`s: one of them may be what calls it. */
  disconnect(reason: number = DisconnectReason.requested): Promise<void> {
    // Here, where the caller hears of it.
    checkReason(reason);
    this.#finish(reason, "local");
    return this.#connection.closed();
  }

  /** Resolves when the connection has ended and everything of it is torn down; never rejects. */
  closed(): Promise<void> {
    return (
      this.#teardown ??
      new Promise((resolve) => {
        this.signal.addEventListener("abort", () => void this.#teardown?.then(resolve));
      })
    );
  }

  async protocol<Context>(handle: ProtocolHandle<Context>): Promise<Context> {
    if (typeof handle !== "object" || typeof handle?.name !== "string") {
      throw new TypeError(`handle: expected a protocol or { name, version }, got ${show(handle)}`);
    }
    if (this.#end !== undefined) throw this.#end;
    const channel = this.channels.find(
      ({ capability }) =>
        capability.name === handle.name &&
        (handle.version === undefined || capability.version === handle.version),
    );
    if (channel === undefined || !channel.isRunnable) {
      const wanted =
        handle.version === undefined ? handle.name : `${handle.name}/${handle.version}`;
      const shared = this.channels.map(({ label }) => label).join(", ");
      throw new LocalProtocolError(
        "ERR_P2P_NOT_SHARED",
        `${wanted} does not run with this peer; what does: ${shared}`,
      );
    }
    return (await this.#companionOf(channel).value) as Context;
  }

  info(): PeerInfo {
    const { session } = this.#connection;
    return {
      enode: this.enode,
      id: toHex(this.id),
      clientId: escapeText(this.clientId),
      capabilities: this.capabilities.map(formatCapability),
      network: {
        localAddress: formatAddress(session.stream.localAddress),
        remoteAddress: formatAddress(this.remoteAddress),
        inbound: this.inbound,
        trusted: this.trusted,
      },
      protocols: Object.fromEntries(
        this.channels.map(({ label, capability: { protocol, version } }) => [
          label,
          protocol.peerInfo?.(this) ?? { version },
        ]),
      ),
      connectedMs: this.#clock.now() - this.connectedAt,
      rttMs: this.#keepalive.rttMs,
    };
  }

  /** Takes over the connection and starts the protocols, companions before those that require them. */
  start(): void {
    this.#connection.handTo({
      message: (message) => this.#onMessage(message),
      failed: (error) => this.#onFailed(error),
    });
    for (const channel of inStartOrder(this.channels)) {
      if (this.#end !== undefined) break;
      if (!channel.isRunnable) continue;
      this.#runs.set(channel, this.#run(channel));
    }
    this.#connection.resume();
  }

  async #run(channel: Channel): Promise<void> {
    try {
      await channel.capability.protocol.run(this, channel);
      this.#finish(DisconnectReason.clientQuitting, "local", undefined);
    } catch (error) {
      if (isFailure(error, this.#end) && !channel.hasTold(error))
        this.#events.failed(this, channel.label, error);
      // After its own end nothing follows from it; that of another connection is a fault like any other.
      const isOtherEnd = error instanceof DisconnectedError;
      const reason = isOtherEnd ? DisconnectReason.subprotocolError : disconnectReasonFor(error);
      this.#finish(reason, "local", error);
    }
  }

  #createMux(options: LivePeerOptions): Mux {
    const mux = new Mux({
      connection: options.connection,
      shared: options.shared,
      clock: options.clock,
      limits: options.limits,
      counters: options.counters,
      rttMs: () => this.#shortestRttMs(),
      events: {
        stalled: (_channel, error) => this.#finish(error.reason, "local", error),
        received: (channel, code, payload) =>
          this.#events.message(this, "in", channel, code, payload.length),
        sent: (channel, code, payload) =>
          this.#events.message(this, "out", channel, code, payload.length),
        refused: (channel, error) => this.#events.failed(this, channel.label, error),
        provided: (channel, context) => this.#companionOf(channel).resolve(context),
      },
    });
    for (const channel of mux.channels) channel.isRunnable = isRunnable(channel, mux.channels);
    return mux;
  }

  /** Known, or measured from now on: only where much is sent does it matter. */
  #shortestRttMs(): number | undefined {
    if (this.#keepalive.minRttMs === undefined) void this.#keepalive.ping();
    return this.#keepalive.minRttMs;
  }

  #onMessage(message: WireMessage): void {
    this.#noteArrival();
    if (message.msgId >= BASE_LENGTH) {
      this.#mux.dispatch(message);
      return;
    }
    switch (message.msgId) {
      case BaseMessage.ping:
        this.#connection.sendBase(BaseMessage.pong, EMPTY_LIST);
        this.#holdPings();
        break;
      case BaseMessage.pong:
        this.#keepalive.onPong();
        break;
      case BaseMessage.disconnect:
        this.#finish(decodeDisconnect(message.payload), "remote");
        break;
      default:
      // Interop: go-ethereum reads and ignores a second Hello and the base codes 0x04 to 0x0f.
    }
  }

  /** A message that the codec held is delivered without anything having arrived. */
  #noteArrival(): void {
    const { bytesIn, lastRead } = this.#connection;
    if (bytesIn === this.#seenBytes) return;
    this.#seenBytes = bytesIn;
    this.#seenAt = lastRead;
  }

  /** A peer that pings and does not read fills the base queue: stop reading until it has drained. */
  #holdPings(): void {
    if (this.#isHoldingPings || this.#connection.outbox.baseSize < MAX_WAITING_PONGS) return;
    this.#isHoldingPings = true;
    this.#connection.pause("pongs");
    void this.#connection.flushed(this.#limits.writeTimeoutMs).then(() => {
      this.#isHoldingPings = false;
      if (this.#end === undefined) this.#connection.resume("pongs");
    });
  }

  #onFailed(error: Error): void {
    const isOurs =
      error instanceof RemoteProtocolError ||
      disconnectReasonFor(error) === DisconnectReason.protocolError;
    const reason = disconnectReasonFor(error);
    if (isOurs || reason !== DisconnectReason.subprotocolError)
      this.#finish(reason, "local", error);
    else this.#finish(DisconnectReason.networkError, "remote", error);
  }

  /** The one way out. */
  #finish(reason: number, by: "local" | "remote", cause?: unknown): void {
    if (this.#end !== undefined) return;
    const error = disconnected(reason, by, "session", cause);
    this.#end = error;
    this.#keepalive.stop(error);
    for (const companion of this.#companions.values()) companion.reject(error);
    this.#mux.close(error, (channel) => !this.#isRequired(channel));
    this.#teardown = this.#takeDown(error, cause);
    this.#events.ended(this, error);
    this.#controller?.abort(error);
  }

  async #takeDown(error: DisconnectedError, cause: unknown): Promise<void> {
    await Promise.all([this.#closeConnection(error, cause), this.#settleRuns(error)]);
  }

  async #closeConnection(error: DisconnectedError, cause: unknown): Promise<void> {
    const connection = this.#connection;
    const isIntended = cause === undefined || cause instanceof Disconnect;
    const isLost = error.reason === DisconnectReason.networkError && !isIntended;
    // Who ends it on purpose means what was sent before to arrive; after a fault nothing is owed.
    const isOnPurpose = error.by === "local" && isIntended;
    if (isOnPurpose) {
      const queues = this.channels.map(({ queue }) => queue);
      await connection.flushed(this.#limits.drainTimeoutMs, queues);
    }
    this.#mux.failSends(error);
    if (isLost) connection.destroy();
    else if (error.by === "remote") connection.end();
    else connection.end({ msgId: BaseMessage.disconnect, payload: encodeDisconnect(error.reason) });
    await connection.closed();
  }

  /** Dependents end before the companions they require; whoever outlasts the grace period is named. */
  async #settleRuns(error: DisconnectedError): Promise<void> {
    const required = this.channels.filter((channel) => this.#isRequired(channel));
    const dependents = this.channels.filter((channel) => !this.#isRequired(channel));
    // One grace period for all: companions have what is left of it, and at least their half.
    const { graceMs } = this.#limits;
    const endAt = this.#clock.now() + graceMs;
    await this.#settle(dependents, required.length > 0 ? graceMs / 2 : graceMs);
    this.#mux.close(error);
    await this.#settle(required, endAt - this.#clock.now());
    for (const channel of this.channels) channel.inbox.clear();
  }

  async #settle(channels: readonly Channel[], ms: number): Promise<void> {
    const pending = new Set(channels.filter((channel) => this.#runs.has(channel)));
    if (pending.size === 0) return;
    await new Promise<void>((resolve) => {
      const grace = this.#clock.setTimeout(resolve, ms);
      for (const channel of pending) {
        const settled = (): void => {
          pending.delete(channel);
          if (pending.size > 0) return;
          this.#clock.clearTimeout(grace);
          resolve();
        };
        this.#runs.get(channel)?.then(settled, settled);
      }
    });
    for (const channel of pending) this.#events.detached(this, channel.label);
  }

  #isRequired(channel: Channel): boolean {
    return this.channels.some(({ capability: { protocol } }) =>
      protocol.requires?.some(({ name }) => name === channel.capability.name),
    );
  }

  #companionOf(channel: Channel): Companion {
    let companion = this.#companions.get(channel);
    if (companion === undefined) {
      let resolve: (context: unknown) => void = () => undefined;
      let reject: (error: Error) => void = () => undefined;
      const value = new Promise<unknown>((resolve_, reject_) => {
        resolve = resolve_;
        reject = reject_;
      });
      value.catch(() => undefined);
      companion = { value, resolve, reject };
      this.#companions.set(channel, companion);
    }
    return companion;
  }
}

/** Not one that ends the connection on purpose, nor one that passes on the end that came before. */
function isFailure(error: unknown, end: DisconnectedError | undefined): boolean {
  if (error instanceof Disconnect) return false;
  return end === undefined || (error !== end && error !== end.cause);
}

/** Whether everything the protocol requires is shared and runs as well. */
function isRunnable(channel: Channel, channels: readonly Channel[]): boolean {
  return (channel.capability.protocol.requires ?? []).every((handle) =>
    channels.some(
      (other) =>
        other.capability.name === handle.name &&
        (handle.version === undefined || other.capability.version === handle.version) &&
        isRunnable(other, channels),
    ),
  );
}

/** Companions first; the configuration has no cycles. */
function inStartOrder(channels: readonly Channel[]): Channel[] {
  const order = new Set<Channel>();
  const visit = (channel: Channel): void => {
    for (const { name } of channel.capability.protocol.requires ?? []) {
      const companion = channels.find(({ capability }) => capability.name === name);
      if (companion !== undefined && !order.has(companion)) visit(companion);
    }
    order.add(channel);
  };
  channels.forEach(visit);
  return [...order];
}

/** `host:port`, IPv6 in brackets; empty when unknown. */
export function formatAddress(address: StreamAddress | undefined): string {
  if (address === undefined) return "";
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/**
 * An enode URL for a peer that dialed us: its proven id at the address it came from.
 *
 * Never throws, whatever a transport or session of somebody else's says: without its zone, which no URL has a
 * place for, and with 0.0.0.0 for what is no IP address.
 */
export function inboundEnode(id: Uint8Array, address: StreamAddress | undefined): string {
  const { host, port } = address ?? { host: "", port: 0 };
  const ip6 = parseIp6(host.split("%", 1)[0] ?? "");
  const shown = ip6 === undefined ? (parseIp4(host)?.join(".") ?? "0.0.0.0") : `[${formatIp(ip6)}]`;
  return `enode://${toHex(id)}@${shown}:${port}`;
}

import { bytesEqual, toHex } from "@heddle/identity";
import type { Enode } from "@heddle/identity";

import type { ServerConfig } from "./config.ts";
import type { ServerCounters } from "./counters.ts";
import { increment } from "./counters.ts";
import { openScope } from "./deadline.ts";
import type { ScopeGroup } from "./deadline.ts";
import { describeReason, DisconnectReason } from "./disconnect.ts";
import { DialError, TimeoutError } from "./errors.ts";
import { EstablishError } from "./establish.ts";
import type { LivePeer } from "./peer.ts";
import type { ByteStream } from "./stream.ts";

/** What a dialer needs of its server. */
export interface DialerHost {
  readonly config: ServerConfig;
  readonly counters: ServerCounters;
  readonly nodeId: Uint8Array;
  /** Aborts when the server stops. */
  readonly signal: AbortSignal;
  /** The deadlines open on the server; they end with it. */
  readonly scopes: ScopeGroup;
  peerOf(id: Uint8Array): LivePeer | undefined;
  /** Resolves when the node becomes a peer; rejects when the signal aborts. */
  peerAdded(id: Uint8Array, signal: AbortSignal): Promise<LivePeer>;
  /** Makes a peer of a dialed stream. */
  admit(stream: ByteStream, node: Enode, signal: AbortSignal): Promise<LivePeer>;
  dialed(node: Enode, error: DialError | undefined): void;
}

/** Dials nodes; dials of the same node that overlap are one. */
export class Dialer {
  readonly #host: DialerHost;
  readonly #dialing = new Map<string, Promise<LivePeer>>();

  constructor(host: DialerHost) {
    this.#host = host;
  }

  get size(): number {
    return this.#dialing.size;
  }

  isDialing(id: Uint8Array): boolean {
    return this.#dialing.has(toHex(id));
  }

  /** @throws {@link DialError} */
  async dial(node: Enode, signal?: AbortSignal): Promise<LivePeer> {
    const existing = this.#host.peerOf(node.id);
    if (existing !== undefined) return existing;
    const key = toHex(node.id);
    let dialing = this.#dialing.get(key);
    if (dialing === undefined) {
      dialing = this.#dial(node, signal).finally(() => this.#dialing.delete(key));
      this.#dialing.set(key, dialing);
    }
    return dialing;
  }

  async #dial(node: Enode, signal: AbortSignal | undefined): Promise<LivePeer> {
    const { counters } = this.#host;
    try {
      this.#check(node);
      const peer = await this.#connect(node, signal);
      counters.dials.succeeded += 1;
      this.#host.dialed(node, undefined);
      return peer;
    } catch (error) {
      const failure = this.#dialError(node, error);
      increment(counters.dials.failed, failure.phase);
      this.#host.dialed(node, failure);
      throw failure;
    }
  }

  #check(node: Enode): void {
    const { config, nodeId, signal } = this.#host;
    if (signal.aborted) {
      throw new DialError(
        "the server is not running",
        "dial",
        DisconnectReason.clientQuitting,
        "local",
      );
    }
    if (bytesEqual(node.id, nodeId)) {
      throw new DialError("cannot dial ourselves", "dial", DisconnectReason.sameIdentity, "local");
    }
    if (node.tcpPort === 0) {
      throw new DialError("the node has no TCP port", "dial", DisconnectReason.requested, "local");
    }
    if (config.allow !== undefined && !config.allow.contains(node.host)) {
      throw new DialError(
        `${node.host} is outside the allowed ranges`,
        "dial",
        DisconnectReason.requested,
        "local",
      );
    }
  }

  async #connect(node: Enode, given: AbortSignal | undefined): Promise<LivePeer> {
    const { config, scopes } = this.#host;
    const { clock, limits, transport } = config;
    let stream: ByteStream;
    {
      using scope = openScope(clock, limits.dialTimeoutMs, {
        expire: () => new TimeoutError("dial", limits.dialTimeoutMs, DisconnectReason.networkError),
        group: scopes,
        signal: given,
      });
      const address = { host: node.host, port: node.tcpPort };
      stream = await transport.dial(address, { signal: scope.signal });
    }
    using scope = openScope(clock, limits.handshakeTimeoutMs, {
      expire: () => new TimeoutError("handshake", limits.handshakeTimeoutMs),
      group: scopes,
      signal: given,
    });
    try {
      return await this.#host.admit(stream, node, scope.signal);
    } catch (error) {
      const isDuplicate =
        error instanceof EstablishError && error.reason === DisconnectReason.alreadyConnected;
      if (!isDuplicate) throw error;
      // The other side dialed us at the same moment: its connection is the one that stays.
      const peer = await this.#host.peerAdded(node.id, scope.signal).catch(() => undefined);
      if (peer === undefined) throw error;
      return peer;
    }
  }

  #dialError(node: Enode, error: unknown): DialError {
    if (error instanceof DialError) return error;
    const where = `${node.host}:${node.tcpPort}`;
    if (error instanceof EstablishError) {
      return new DialError(
        `dialing ${where} failed in phase ${error.phase}, ${error.side} side, ${describeReason(error.reason)}: ${error.message}`,
        error.phase,
        error.reason,
        error.side,
        error.cause ?? error,
      );
    }
    const message = error instanceof Error ? error.message : String(error);
    return new DialError(
      `dialing ${where} failed in phase dial: ${message}`,
      "dial",
      DisconnectReason.networkError,
      "local",
      error,
    );
  }
}

import { bytesEqual, formatEnode, toHex } from "@heddle/identity";
import type { Enode } from "@heddle/identity";

import type { ServerConfig } from "./config.ts";
import type { ServerCounters } from "./counters.ts";
import { increment } from "./counters.ts";
import { Scope } from "./deadline.ts";
import type { ScopeGroup } from "./deadline.ts";
import { dialError } from "./dial-error.ts";
import { Disconnect, DisconnectReason } from "./disconnect.ts";
import { DialError, TimeoutError } from "./errors.ts";
import { EstablishError } from "./establish.ts";
import type { LivePeer } from "./peer.ts";
import { discard } from "./stream.ts";
import type { ByteStream } from "./stream.ts";
import type { TaskSet } from "./tasks.ts";

/** What a dialer needs of its server. */
export interface DialerHost {
  readonly config: ServerConfig;
  readonly counters: ServerCounters;
  readonly nodeId: Uint8Array;
  /** Aborts when the server stops. */
  readonly signal: AbortSignal;
  /** The deadlines open on the server; they end with it. */
  readonly scopes: ScopeGroup;
  /** What the server waits for when it stops. */
  readonly tasks: TaskSet;
  peerOf(id: Uint8Array): LivePeer | undefined;
  /** Resolves when the node's own connection to us, if it is saying Hello just now, is decided. */
  inboundDecided(id: Uint8Array): Promise<void> | undefined;
  /** Resolves when the node becomes a peer; rejects when the signal aborts. */
  peerAdded(id: Uint8Array, signal: AbortSignal): Promise<LivePeer>;
  /** Makes a peer of a dialed stream. */
  admit(stream: ByteStream, node: Enode, signal: AbortSignal): Promise<LivePeer>;
  dialed(node: Enode, error: DialError | undefined): void;
}

const ABORTED = "the dial was aborted";

interface Dialing {
  readonly node: Enode;
  /** From the first step to the last, each with its deadline. */
  readonly scope: Scope;
  readonly outcome: Promise<LivePeer>;
  /** How many callers still want it. */
  callers: number;
  /** Whether it has a stream, and goes on to shake hands on it. */
  isConnected: boolean;
}

/** Dials nodes; dials of the same node that overlap are one, and end early when no caller wants it. */
export class Dialer {
  readonly #host: DialerHost;
  readonly #dialing = new Map<string, Dialing>();

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
    if (signal?.aborted === true) throw abortedError(signal);
    const dialing = this.#dialing.get(toHex(node.id)) ?? this.#start(node);
    dialing.callers += 1;
    return signal === undefined ? dialing.outcome : this.#waitFor(dialing, signal);
  }

  /**
   * Resolves when the dial of this node that is under way has come to its end. Undefined where none is, or none
   * with a stream: a connect that hangs must not hold up what could be used meanwhile.
   */
  decided(id: Uint8Array): Promise<void> | undefined {
    const dialing = this.#dialing.get(toHex(id));
    if (dialing?.isConnected !== true) return undefined;
    return dialing.outcome.then(
      () => undefined,
      () => undefined,
    );
  }

  #start(node: Enode): Dialing {
    const { config, scopes } = this.#host;
    const dialing: Dialing = {
      node,
      scope: new Scope(config.clock, scopes),
      // Later, so that whoever dials again when told of the outcome finds this dial, or its end.
      outcome: Promise.resolve().then(() => this.#dial(dialing)),
      callers: 0,
      isConnected: false,
    };
    this.#dialing.set(toHex(node.id), dialing);
    return dialing;
  }

  /** Whoever dials the node from here on starts anew. */
  #forget(dialing: Dialing): void {
    const key = toHex(dialing.node.id);
    if (this.#dialing.get(key) === dialing) this.#dialing.delete(key);
  }

  /** One caller's view of a dial: its signal ends the dial itself only when nobody else wants it. */
  #waitFor(dialing: Dialing, signal: AbortSignal): Promise<LivePeer> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        dialing.callers -= 1;
        if (dialing.callers > 0) {
          reject(abortedError(signal));
          return;
        }
        // Before it is aborted: what follows from that may dial again.
        this.#forget(dialing);
        dialing.scope.abort(
          new Disconnect(DisconnectReason.requested, ABORTED, { cause: signal.reason }),
        );
      };
      const leave = (): void => signal.removeEventListener("abort", onAbort);
      signal.addEventListener("abort", onAbort, { once: true });
      dialing.outcome.finally(leave).then(resolve, reject);
    });
  }

  async #dial(dialing: Dialing): Promise<LivePeer> {
    const { node } = dialing;
    const { counters } = this.#host;
    try {
      const peer = await this.#reach(dialing);
      this.#forget(dialing);
      counters.dials.succeeded += 1;
      this.#host.dialed(node, undefined);
      return peer;
    } catch (error) {
      const failure = dialError(node, error);
      this.#forget(dialing);
      increment(counters.dials.failed, failure.phase);
      this.#host.dialed(node, failure);
      throw failure;
    } finally {
      dialing.scope[Symbol.dispose]();
    }
  }

  async #reach(dialing: Dialing): Promise<LivePeer> {
    const { node, scope } = dialing;
    this.#check(node);
    scope.signal.throwIfAborted();
    const decided = this.#host.inboundDecided(node.id);
    if (decided !== undefined) await unlessAborted(decided, scope.signal);
    const existing = this.#host.peerOf(node.id);
    if (existing !== undefined) return existing;
    const stream = await this.#connect(dialing);
    try {
      await this.#takeTurn(dialing);
    } catch (error) {
      this.#host.tasks.add(discard(stream));
      throw error;
    }
    const greeted = this.#host.peerOf(node.id);
    if (greeted === undefined) return this.#admit(dialing, stream);
    this.#host.tasks.add(discard(stream));
    return greeted;
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
    try {
      // Candidates are others' code: what cannot be written as a URL is no node, and is never to be found later.
      formatEnode(node);
    } catch (error) {
      throw new DialError(
        `the node has no valid address: ${error instanceof Error ? error.message : String(error)}`,
        "dial",
        DisconnectReason.requested,
        "local",
        error,
      );
    }
    if (bytesEqual(node.id, nodeId)) {
      throw new DialError("cannot dial ourselves", "dial", DisconnectReason.sameIdentity, "local");
    }
    if (node.tcpPort === 0) {
      throw new DialError(
        "the node has no TCP port (its server does not listen, or not yet)",
        "dial",
        DisconnectReason.requested,
        "local",
      );
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

  async #connect({ node, scope }: Dialing): Promise<ByteStream> {
    const { config, tasks } = this.#host;
    const { dialTimeoutMs } = config.limits;
    scope.limit(
      dialTimeoutMs,
      () => new TimeoutError("dial", dialTimeoutMs, DisconnectReason.networkError),
    );
    const address = { host: node.host, port: node.tcpPort };
    const connecting = config.transport.dial(address, { signal: scope.signal });
    return unlessAborted(connecting, scope.signal, (late) => tasks.add(discard(late)));
  }

  /** The node may have said Hello to us while we were connecting: that connection is decided first. */
  async #takeTurn(dialing: Dialing): Promise<void> {
    const { node, scope } = dialing;
    const { handshakeTimeoutMs } = this.#host.config.limits;
    scope.limit(handshakeTimeoutMs, () => new TimeoutError("handshake", handshakeTimeoutMs));
    const next = (): Promise<void> | undefined => this.#host.inboundDecided(node.id);
    for (let wait = next(); wait !== undefined; wait = next()) {
      await unlessAborted(wait, scope.signal);
    }
    // In the same turn in which none was found: one that says Hello from here on finds this dial.
    dialing.isConnected = true;
  }

  async #admit({ node, scope }: Dialing, stream: ByteStream): Promise<LivePeer> {
    try {
      return await this.#host.admit(stream, node, scope.signal);
    } catch (error) {
      const isDuplicate =
        error instanceof EstablishError && error.reason === DisconnectReason.alreadyConnected;
      // The other side dialed us at the same moment: its connection is the one that stays.
      const existing = this.#host.peerOf(node.id);
      if (existing !== undefined) return existing;
      if (!isDuplicate) throw error;
      const peer = await this.#host.peerAdded(node.id, scope.signal).catch(() => undefined);
      if (peer === undefined) throw error;
      return peer;
    }
  }
}

function abortedError(signal: AbortSignal): DialError {
  return new DialError(ABORTED, "dial", DisconnectReason.requested, "local", signal.reason);
}

/** Rejects with the signal's reason even if `work` pays no heed to it; what comes too late is dropped. */
async function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  drop: (late: T) => void = () => undefined,
): Promise<T> {
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } catch (error) {
    work.then(drop, () => undefined);
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

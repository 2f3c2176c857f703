import { bytesEqual, toHex } from "@heddle/identity";

import type { Clock } from "./clock.ts";
import { DisconnectReason } from "./disconnect.ts";
import type { LivePeer } from "./peer.ts";

/** Caps of a peer set, and who we are. */
export interface PeerSetOptions {
  readonly nodeId: Uint8Array;
  readonly maxPeers: number;
  readonly maxInbound: number;
  /** How long a connection counts as made at the same time as another, in milliseconds. */
  readonly simultaneousMs: number;
  readonly clock: Clock;
}

/** The live peers by identity, and the rules of who may join them. */
export class PeerSet {
  readonly #peers = new Map<string, LivePeer>();
  readonly #options: PeerSetOptions;
  /** Who waits for a node to become a peer. */
  readonly #waiting = new Map<string, Set<(peer: LivePeer) => void>>();
  #inbound = 0;

  constructor(options: PeerSetOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#peers.size;
  }

  get inboundCount(): number {
    return this.#inbound;
  }

  get dialedCount(): number {
    return this.#peers.size - this.#inbound;
  }

  get(id: Uint8Array): LivePeer | undefined {
    return this.#peers.get(toHex(id));
  }

  list(): LivePeer[] {
    return [...this.#peers.values()];
  }

  /**
   * Says why a node may not become a peer now, or undefined when it may.
   *
   * Trusted nodes are not held back by the caps. Two connections made at the same time in opposite
   * directions are told apart by one rule both sides know: the one dialed by the smaller id stays.
   */
  refusal(id: Uint8Array, how: { inbound: boolean; trusted: boolean }): number | undefined {
    if (bytesEqual(id, this.#options.nodeId)) return DisconnectReason.sameIdentity;
    const existing = this.get(id);
    if (existing !== undefined) {
      return this.#mayReplace(existing, id, how.inbound)
        ? undefined
        : DisconnectReason.alreadyConnected;
    }
    if (how.trusted) return undefined;
    const { maxPeers, maxInbound } = this.#options;
    if (this.size >= maxPeers) return DisconnectReason.tooManyPeers;
    if (how.inbound && this.#inbound >= maxInbound) return DisconnectReason.tooManyPeers;
    return undefined;
  }

  /** Adds a peer that was not refused; returns the one whose place it takes, if any. */
  add(peer: LivePeer): LivePeer | undefined {
    const key = toHex(peer.id);
    const replaced = this.#peers.get(key);
    if (replaced !== undefined) this.delete(replaced);
    this.#peers.set(key, peer);
    if (peer.inbound) this.#inbound += 1;
    for (const tell of this.#waiting.get(key) ?? []) tell(peer);
    return replaced;
  }

  /** Resolves with the peer of this id as soon as there is one; rejects when the signal aborts. */
  added(id: Uint8Array, signal: AbortSignal): Promise<LivePeer> {
    const existing = this.get(id);
    if (existing !== undefined) return Promise.resolve(existing);
    const key = toHex(id);
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting);
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        waiting.delete(tell);
        if (waiting.size === 0) this.#waiting.delete(key);
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = (): void => {
        leave();
        reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
      };
      const tell = (peer: LivePeer): void => {
        leave();
        resolve(peer);
      };
      waiting.add(tell);
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Removes this very peer; one that has taken its place stays. */
  delete(peer: LivePeer): boolean {
    const key = toHex(peer.id);
    if (this.#peers.get(key) !== peer) return false;
    this.#peers.delete(key);
    if (peer.inbound) this.#inbound -= 1;
    return true;
  }

  #mayReplace(existing: LivePeer, id: Uint8Array, inbound: boolean): boolean {
    const { clock, simultaneousMs, nodeId } = this.#options;
    if (existing.inbound === inbound) return false;
    if (clock.now() - existing.connectedAt > simultaneousMs) return false;
    return inbound ? isSmaller(id, nodeId) : isSmaller(nodeId, id);
  }
}

function isSmaller(a: Uint8Array, b: Uint8Array): boolean {
  return toHex(a) < toHex(b);
}

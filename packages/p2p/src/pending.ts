import { addressKey } from "./cidr.ts";
import { Disconnect, DisconnectReason } from "./disconnect.ts";
import type { Scope } from "./deadline.ts";

interface Pending {
  readonly key: string;
  readonly scope: Pick<Scope, "abort">;
}

/**
 * Inbound connections whose handshake is not done, bounded.
 *
 * When all slots are taken the newcomer gets the slot of the oldest connection of whichever address
 * holds most of them: an honest node needs its slot for milliseconds, a silent one until its deadline.
 */
export class PendingHandshakes {
  readonly #max: number;
  readonly #slots = new Set<Pending>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Takes a slot; the returned function gives it back. */
  enter(address: string | undefined, scope: Pick<Scope, "abort">): () => void {
    if (this.#slots.size >= this.#max) this.#evict();
    const slot: Pending = { key: address === undefined ? "" : addressKey(address), scope };
    this.#slots.add(slot);
    return () => this.#slots.delete(slot);
  }

  #evict(): void {
    const held = new Map<string, number>();
    for (const { key } of this.#slots) held.set(key, (held.get(key) ?? 0) + 1);
    let most = 0;
    for (const count of held.values()) most = Math.max(most, count);
    for (const slot of this.#slots) {
      if (held.get(slot.key) !== most) continue;
      this.#slots.delete(slot);
      slot.scope.abort(
        new Disconnect(
          DisconnectReason.tooManyPeers,
          "its handshake slot went to a newer connection",
        ),
      );
      return;
    }
  }
}

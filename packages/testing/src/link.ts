import type { Clock, MemoryLink } from "@heddle/p2p";

/** How long bytes take from one end to the other. */
export interface LinkSpeed {
  /** One way, in milliseconds. */
  readonly latencyMs: number;
  /** In bytes per second; Infinity for no limit. */
  readonly bandwidth: number;
}

/** One direction of a connection: bytes take their time, and wait where the way is cut. */
export class SimulatedLink implements MemoryLink {
  readonly #clock: Clock;
  readonly #speed: LinkSpeed;
  readonly #isCut: () => boolean;
  readonly #onHeld: (link: SimulatedLink) => void;
  /** When the last byte written so far will have left. */
  #sentAt = 0;
  #held: (() => void)[] = [];

  /**
   * @param events.isCut - asked when bytes arrive: those on their way when the cut comes are held, too
   * @param events.onHeld - called once bytes wait; they go on with {@link SimulatedLink.release}
   */
  constructor(
    clock: Clock,
    speed: LinkSpeed,
    events: { isCut: () => boolean; onHeld: (link: SimulatedLink) => void },
  ) {
    this.#clock = clock;
    this.#speed = speed;
    this.#isCut = events.isCut;
    this.#onHeld = events.onHeld;
  }

  schedule(deliver: () => void, bytes: number): void {
    const { latencyMs, bandwidth } = this.#speed;
    // All of a link's bytes go the same way, so that none overtakes another.
    if (latencyMs === 0 && bandwidth === Infinity) {
      queueMicrotask(() => this.#arrive(deliver));
      return;
    }
    const now = this.#clock.now();
    this.#sentAt = Math.max(now, this.#sentAt) + (bytes / bandwidth) * 1000;
    this.#clock.setTimeout(() => this.#arrive(deliver), this.#sentAt + latencyMs - now);
  }

  /** Lets go of what was held, in order. */
  release(): void {
    for (const deliver of this.#held.splice(0)) queueMicrotask(deliver);
  }

  #arrive(deliver: () => void): void {
    if (!this.#isCut()) {
      deliver();
      return;
    }
    this.#held.push(deliver);
    this.#onHeld(this);
  }
}

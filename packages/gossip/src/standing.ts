import type { Clock } from "@heddle/p2p";

/** From here on a peer is dropped, in points. */
export const DROP_POINTS = 100;

/** A peer that was dropped is let in again when it is down to this. */
const READMIT_POINTS = 50;

/** How fast points are forgiven. */
const FORGIVEN_PER_SECOND = 1;

/** Nodes whose points are remembered; beyond it those that were charged least recently are forgotten. */
const MAX_NODES = 1_024;

/** What each fault costs, in points. */
export const PENALTY = {
  /** Not signed by its origin: nobody who checks what it forwards sends such a message. */
  forged: 100,
  /** An answer to what was not asked. */
  unasked: 100,
  /** Refused by the validator. */
  rejected: 25,
  /** From further ahead than two honest clocks can be apart. */
  future: 10,
  /** Beyond the peer's allowance. */
  flood: 1,
} as const;

interface Record {
  points: number;
  at: number;
}

/** Remembers misbehaviour by node id, across connections, for minutes. */
export class Standing {
  readonly #clock: Clock;
  readonly #records = new Map<string, Record>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Charges a node; says whether it must be dropped. */
  charge(node: string, points: number): boolean {
    const now = this.#clock.now();
    const record = { points: Math.min(this.points(node) + points, 2 * DROP_POINTS), at: now };
    this.#records.delete(node);
    this.#records.set(node, record);
    for (const oldest of this.#records.keys()) {
      if (this.#records.size <= MAX_NODES) break;
      this.#records.delete(oldest);
    }
    return record.points >= DROP_POINTS;
  }

  /** What is not forgiven yet. */
  points(node: string): number {
    const record = this.#records.get(node);
    if (record === undefined) return 0;
    const forgiven = ((this.#clock.now() - record.at) / 1000) * FORGIVEN_PER_SECOND;
    return Math.max(0, record.points - forgiven);
  }

  /** Whether a node that connects is to be sent away. */
  isUnwelcome(node: string): boolean {
    return this.points(node) > READMIT_POINTS;
  }
}

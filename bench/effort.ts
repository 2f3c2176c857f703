/** How long and how often things are measured. */
export interface Effort {
  readonly name: "quick" | "full";
  readonly rounds: number;
  /** Length of one round. */
  readonly ms: number;
  /** How long each work is done before the first round counts. */
  readonly warmMs: number;
  /** The same for handshakes, which take longest to be compiled; the count ends it earlier. */
  readonly warmHandshakeMs: number;
  readonly warmHandshakes: number;
  /** Identities made at a time, outside of what is timed. */
  readonly clients: number;
  readonly idleRounds: number;
  readonly idlePeers: number;
}

/** What stands in README.md comes of this. */
export const FULL: Effort = {
  name: "full",
  rounds: 7,
  ms: 1_000,
  warmMs: 2_000,
  warmHandshakeMs: 15_000,
  warmHandshakes: 5_000,
  clients: 150,
  idleRounds: 5,
  idlePeers: 500,
};

/** Under two minutes for all works and stacks; only good enough to see that something has broken. */
export const QUICK: Effort = {
  name: "quick",
  rounds: 3,
  ms: 120,
  warmMs: 220,
  warmHandshakeMs: 1_000,
  warmHandshakes: 3_000,
  clients: 50,
  idleRounds: 1,
  idlePeers: 60,
};

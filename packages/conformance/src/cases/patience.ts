import type { TrickleOptions } from "@heddle/testing";

/** Above the 30 s that a node may take, by what a busy machine may add. */
export const PATIENCE_MS = 35_000;

/** Slow enough that a few hundred bytes take minutes, and fast enough that the connection looks busy. */
export const TRICKLE: TrickleOptions = { pauseMs: 500, limitMs: PATIENCE_MS };

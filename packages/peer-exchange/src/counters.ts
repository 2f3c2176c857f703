import { createRefusalCounts } from "./refusals.ts";
import type { RefusalCounts } from "./refusals.ts";

/** What has happened so far, as plain readable numbers. */
export interface PexCounters {
  /** Questions for addresses that we asked, and that got a usable answer. */
  asked: number;
  answered: number;
  /** Questions of peers that we answered, and the records they were given. */
  served: number;
  given: number;
  /** Records that were announced to us, and by us. */
  heard: number;
  announced: number;
  /** What was not taken, by reason. */
  readonly refused: RefusalCounts;
}

/** Counters that start at zero. */
export function createPexCounters(): PexCounters {
  return {
    asked: 0,
    answered: 0,
    served: 0,
    given: 0,
    heard: 0,
    announced: 0,
    refused: createRefusalCounts(),
  };
}

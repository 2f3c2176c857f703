/** Bounds of a file share; times in milliseconds, sizes in bytes. */
export interface FileShareLimits {
  /** A larger file is neither shared nor fetched, nor shown when found. */
  readonly maxFileBytes: number;
  /** Files in the library; further ones are left out and reported. */
  readonly maxFiles: number;
  /** Bytes per second that are sent; Infinity for no limit. */
  readonly uploadRate: number;
  /** Bytes per second that are asked for; Infinity for no limit. */
  readonly downloadRate: number;
  /** Most chunks asked of one holder and not accepted for writing yet; at most 16. */
  readonly maxWindow: number;
  /** Most holders of one transfer at once. */
  readonly maxSources: number;
  /** How long one chunk may take. */
  readonly chunkTimeoutMs: number;
  /** How long a transfer goes on without one verified chunk. */
  readonly patienceMs: number;
  /** While a transfer runs, further holders are looked for this often. */
  readonly refreshMs: number;
  /** Hops a query of ours may take, and the most that one of others takes from here. */
  readonly maxHops: number;
  /** The longest time a query lives. */
  readonly maxDeadlineMs: number;
  /** Queries remembered, so that none is handled twice. */
  readonly maxQueries: number;
  /** Answers passed back for one query. */
  readonly maxAnswers: number;
  /** Queries taken from one peer: per second, and at once. */
  readonly searchRate: number;
  readonly searchBurst: number;
  /** Queries taken from all peers together: per second, and at once. */
  readonly totalSearchRate: number;
  readonly totalSearchBurst: number;
  /** Queries beyond the rate, and answers nobody asked for, after which a peer is dropped. */
  readonly maxExcess: number;
}

/** Below this, in bytes per second, a chunk would not come in its time. */
const MIN_RATE = 16 * 1024;

/** Default bounds. */
export const DEFAULT_LIMITS: FileShareLimits = {
  maxFileBytes: 1024 ** 4,
  maxFiles: 100_000,
  uploadRate: Infinity,
  downloadRate: Infinity,
  maxWindow: 16,
  maxSources: 8,
  chunkTimeoutMs: 30_000,
  patienceMs: 60_000,
  refreshMs: 30_000,
  maxHops: 8,
  maxDeadlineMs: 30_000,
  maxQueries: 4_096,
  maxAnswers: 256,
  searchRate: 10,
  searchBurst: 50,
  totalSearchRate: 50,
  totalSearchBurst: 200,
  maxExcess: 200,
};

/**
 * Fills in the defaults.
 *
 * @throws RangeError for a bound that is no positive number; TypeError for one that does not exist
 */
export function createLimits(given: Partial<FileShareLimits>): FileShareLimits {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) throw new TypeError(`limits: there is no ${name}`);
    const isRate = name === "uploadRate" || name === "downloadRate";
    const min = isRate ? MIN_RATE : 1;
    const isGood = isRate ? value >= min : Number.isSafeInteger(value) && value >= min;
    if (!isGood) throw new RangeError(`limits.${name}: expected at least ${min}, got ${value}`);
  }
  const limits = { ...DEFAULT_LIMITS, ...given };
  if (limits.maxWindow > DEFAULT_LIMITS.maxWindow) {
    // What one connection may be asked for at once is bounded, too, for all transfers together.
    throw new RangeError(
      `limits.maxWindow: expected at most ${DEFAULT_LIMITS.maxWindow}, got ${limits.maxWindow}`,
    );
  }
  return Object.freeze(limits);
}

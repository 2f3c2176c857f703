import { integer, show } from "./option.ts";
import type { PeerLimits } from "./peer.ts";

/** The longest delay a platform timer takes, 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Bounds of a server; times in milliseconds, sizes in bytes. Every one has a default. */
export interface ServerLimits extends PeerLimits {
  /** From the first byte to the end of the Hello exchange. */
  readonly handshakeTimeoutMs: number;
  /** Until the transport is connected. */
  readonly dialTimeoutMs: number;
  /** Inbound connections whose handshake is not done; the oldest gives way to a new one. */
  readonly maxPendingHandshakes: number;
  /** Dials under way at once that nobody asked for by name. */
  readonly maxPendingDials: number;
  readonly writeTimeoutMs: number;
  /** One inbound connection per address (IPv6: per /64) in this time; loopback is exempt. */
  readonly inboundThrottleMs: number;
  /** A candidate is not dialed again before this has passed. */
  readonly dialHistoryMs: number;
  /** The first and the longest wait of `maintain` between two attempts. */
  readonly redialMinMs: number;
  readonly redialMaxMs: number;
}

/** Default bounds; go-ethereum's where it has one. */
export const DEFAULT_LIMITS: ServerLimits = Object.freeze({
  handshakeTimeoutMs: 5_000,
  dialTimeoutMs: 15_000,
  maxPendingHandshakes: 50,
  maxPendingDials: 50,
  writeTimeoutMs: 20_000,
  drainTimeoutMs: 2_000,
  graceMs: 5_000,
  pingIntervalMs: 15_000,
  idleTimeoutMs: 30_000,
  stallTimeoutMs: 30_000,
  inboundThrottleMs: 30_000,
  dialHistoryMs: 35_000,
  redialMinMs: 1_000,
  redialMaxMs: 300_000,
  inboxMessages: 16_384,
  inboxBytes: 4 * 1024 * 1024,
  connectionBytes: 8 * 1024 * 1024,
  highWaterMark: 256 * 1024,
  maxQueued: 32 * 1024 * 1024,
});

/**
 * Checks limits and fills in defaults.
 *
 * @throws TypeError, RangeError naming the limit, what was expected and what came
 */
export function createLimits(given: Partial<ServerLimits>): ServerLimits {
  if (typeof given !== "object" || given === null) {
    throw new TypeError(`limits: expected an object, got ${show(given)}`);
  }
  const limits: ServerLimits = { ...DEFAULT_LIMITS };
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) {
      throw new TypeError(
        `limits.${name}: no such limit; there are ${Object.keys(DEFAULT_LIMITS).join(", ")}`,
      );
    }
    if (value === undefined) continue;
    const most = name.endsWith("Ms") ? MAX_TIMER_MS : Number.MAX_SAFE_INTEGER;
    Object.assign(limits, { [name]: integer(`limits.${name}`, value, 1, most) });
  }
  if (limits.redialMinMs > limits.redialMaxMs) {
    throw new RangeError(
      `limits.redialMinMs: expected at most redialMaxMs (${limits.redialMaxMs}), got ${limits.redialMinMs}`,
    );
  }
  return Object.freeze(limits);
}

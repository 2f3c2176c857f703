/** Round-trip times of one kind of request on one connection, in milliseconds. */
export interface RoundTrips {
  readonly lastMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** Smoothed: each new one counts for an eighth, as in RFC 6298. */
  readonly smoothedMs: number;
}

/** What has happened to one kind of request on one connection. */
export interface RequestStats {
  /** Asked by us; what was refused, as by a full send queue, does not count. */
  readonly sent: number;
  readonly answered: number;
  readonly timedOut: number;
  /** Given up by us, through a signal. */
  readonly cancelled: number;
  /** Replies to requests that were no longer waiting. */
  readonly late: number;
  /** Asked by the peer, and answered by us. */
  readonly served: number;
  /** Undefined before the first reply. */
  readonly rtt: RoundTrips | undefined;
}

/** What has happened to one kind of notification on one connection. */
export interface NotifyStats {
  /** Accepted for sending; what was refused, as by a full send queue, does not count. */
  readonly sent: number;
  readonly received: number;
  /** Of those received, dropped without a look: no handler is there for them. */
  readonly ignored: number;
}

/** The counters behind {@link RequestStats}. */
export class RequestCounters implements RequestStats {
  sent = 0;
  answered = 0;
  timedOut = 0;
  cancelled = 0;
  late = 0;
  served = 0;
  rtt: RoundTrips | undefined;

  /** Counts a reply that took `ms`. */
  answer(ms: number): void {
    this.answered += 1;
    const { rtt } = this;
    this.rtt =
      rtt === undefined
        ? { lastMs: ms, minMs: ms, maxMs: ms, smoothedMs: ms }
        : {
            lastMs: ms,
            minMs: Math.min(rtt.minMs, ms),
            maxMs: Math.max(rtt.maxMs, ms),
            smoothedMs: rtt.smoothedMs + (ms - rtt.smoothedMs) / 8,
          };
  }
}

/** The counters behind {@link NotifyStats}. */
export class NotifyCounters implements NotifyStats {
  sent = 0;
  received = 0;
  ignored = 0;
}

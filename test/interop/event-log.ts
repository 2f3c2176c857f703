/** Something a peer told: the name of the event and what it carries. */
export interface PeerEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** Which fields an expected event must carry, or a test of the whole event. */
export type Match = Readonly<Record<string, unknown>> | ((event: PeerEvent) => boolean);

interface Waiter {
  readonly event: string;
  readonly match: Match;
  readonly resolve: (event: PeerEvent) => void;
  readonly reject: (error: Error) => void;
}

const EXPECT_TIMEOUT_MS = 15_000;
const EVENTS_SHOWN = 25;

/**
 * What one peer told, in order. Each event is kept until it is expected, so that nothing is missed between two
 * calls, and is taken by one expectation only.
 */
export class EventLog {
  readonly #name: string;
  readonly #context: () => string;
  readonly #all: PeerEvent[] = [];
  readonly #unclaimed: PeerEvent[] = [];
  readonly #waiters = new Set<Waiter>();
  #end: string | undefined;

  /**
   * @param name - stands in failure messages
   * @param context - gives what else a failure message should end with
   */
  constructor(name: string, context: () => string = () => "") {
    this.#name = name;
    this.#context = context;
  }

  /** Takes in an event: the oldest expectation that it meets gets it. */
  push(event: PeerEvent): void {
    this.#all.push(event);
    for (const waiter of this.#waiters) {
      if (!matches(event, waiter.event, waiter.match)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(event);
      return;
    }
    this.#unclaimed.push(event);
  }

  /** Says that no event will come any more; what is still expected fails at once. */
  close(why: string): void {
    this.#end ??= why;
    for (const { event, match, reject } of this.#waiters) {
      reject(this.#failure(event, match, why));
    }
    this.#waiters.clear();
  }

  /** Whether {@link close} was called. */
  get isClosed(): boolean {
    return this.#end !== undefined;
  }

  /**
   * Takes the oldest event of that name that matches and was not taken before, or waits for it.
   *
   * @throws Error that shows the last events, when the time is over or no event will come any more
   */
  async expect(
    event: string,
    match: Match = {},
    { timeoutMs = EXPECT_TIMEOUT_MS }: { timeoutMs?: number } = {},
  ): Promise<PeerEvent> {
    const index = this.#unclaimed.findIndex((seen) => matches(seen, event, match));
    const found = this.#unclaimed[index];
    if (found !== undefined) {
      this.#unclaimed.splice(index, 1);
      return found;
    }
    if (this.#end !== undefined) throw this.#failure(event, match, this.#end);
    let waiter: Waiter | undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<PeerEvent>((resolve, reject) => {
        waiter = { event, match, resolve, reject };
        this.#waiters.add(waiter);
        timer = setTimeout(() => {
          reject(this.#failure(event, match, `nothing came for ${timeoutMs} ms`));
        }, timeoutMs);
      });
    } finally {
      clearTimeout(timer);
      if (waiter !== undefined) this.#waiters.delete(waiter);
    }
  }

  /** All matching events so far, taken or not. */
  seen(event: string, match: Match = {}): PeerEvent[] {
    return this.#all.filter((seen) => matches(seen, event, match));
  }

  #failure(event: string, match: Match, why: string): Error {
    const wanted = typeof match === "function" ? match.toString() : JSON.stringify(match);
    const events = this.#all.slice(-EVENTS_SHOWN).map((seen) => `  ${JSON.stringify(seen)}`);
    return new Error(
      [
        `${this.#name}: expected ${event} ${wanted}, but ${why}; the last events:`,
        ...events,
        this.#context(),
      ].join("\n"),
    );
  }
}

function matches(seen: PeerEvent, event: string, match: Match): boolean {
  if (seen.event !== event) return false;
  if (typeof match === "function") return match(seen);
  return Object.entries(match).every(
    ([field, value]) => JSON.stringify(seen[field]) === JSON.stringify(value),
  );
}

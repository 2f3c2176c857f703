/** What has happened in a soak so far, and what has not come to its end yet. */
export class Ledger {
  /** Connections of honest visitors that came to be. */
  connections = 0;
  /** Dials of honest visitors that came to nothing, as happens beside a flood, by phase and reason. */
  readonly refusals: Record<string, number> = {};
  /** Messages that honest visitors sent and were answered. */
  messages = 0;
  /** Visitors that went without a word. */
  kills = 0;
  /** Hostile acts, by name. */
  readonly acts: Record<string, number> = {};
  /** What must not happen, in words; the first ones. */
  readonly failures: string[] = [];
  readonly #waiting = new Map<symbol, string>();

  /** How many hostile acts there were. */
  get hostile(): number {
    return sum(this.acts);
  }

  /** How many dials of honest visitors came to nothing. */
  get refused(): number {
    return sum(this.refusals);
  }

  /** What is waited for just now, by name. */
  get unsettled(): readonly string[] {
    return [...this.#waiting.values()];
  }

  /** Passes a promise on, and remembers it until it settles. */
  async track<T>(name: string, promise: PromiseLike<T>): Promise<T> {
    const mark = Symbol(name);
    this.#waiting.set(mark, name);
    try {
      return await promise;
    } finally {
      this.#waiting.delete(mark);
    }
  }

  /** Counts a hostile act. */
  act(name: string): void {
    this.acts[name] = (this.acts[name] ?? 0) + 1;
  }

  /** Counts a dial that came to nothing. */
  refuse(why: string): void {
    this.refusals[why] = (this.refusals[why] ?? 0) + 1;
  }

  /** Notes what must not happen. */
  fail(what: string): void {
    if (this.failures.length < 20) this.failures.push(what);
  }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

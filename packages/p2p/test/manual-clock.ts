import type { Clock } from "../src/clock.ts";

interface Timer {
  readonly id: number;
  readonly due: number;
  readonly task: () => void;
}

/** A clock that stands still until it is advanced. */
export class ManualClock implements Clock {
  #now = 0;
  #nextId = 1;
  readonly #timers = new Map<number, Timer>();

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return 1_700_000_000_000 + this.#now;
  }

  setTimeout(task: () => void, ms: number): unknown {
    const id = this.#nextId++;
    this.#timers.set(id, { id, due: this.#now + Math.max(0, ms), task });
    return id;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as number);
  }

  /** Lets `ms` pass and runs what becomes due, in order; what the tasks set up counts too. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let timer = this.#first(end); timer !== undefined; timer = this.#first(end)) {
      this.#now = timer.due;
      this.#timers.delete(timer.id);
      timer.task();
    }
    this.#now = end;
  }

  #first(end: number): Timer | undefined {
    const due = [...this.#timers.values()].filter((timer) => timer.due <= end);
    return due.sort((a, b) => a.due - b.due || a.id - b.id)[0];
  }
}

/** A timer that waits in a {@link TimerQueue}. */
export interface Timer {
  readonly due: number;
  readonly task: () => void;
  /** Its place in the heap, -1 once it is out. */
  index: number;
  readonly order: number;
}

/** Timers by the time they are due, those of the same time as they were added: a binary heap. */
export class TimerQueue {
  readonly #heap: Timer[] = [];
  #added = 0;

  get size(): number {
    return this.#heap.length;
  }

  add(due: number, task: () => void): Timer {
    const timer = { due, task, index: this.#heap.length, order: this.#added++ };
    this.#heap.push(timer);
    this.#rise(timer);
    return timer;
  }

  /** Takes a timer out; one that is out already is ignored. */
  delete(timer: Timer): void {
    const { index } = timer;
    if (this.#heap[index] !== timer) return;
    timer.index = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === timer) return;
    this.#place(last, index);
    this.#rise(last);
    this.#sink(last);
  }

  /** Takes the next timer that is due by `end`. */
  takeUntil(end: number): Timer | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.due > end) return undefined;
    this.delete(first);
    return first;
  }

  #rise(timer: Timer): void {
    for (;;) {
      const { index } = timer;
      const parent = this.#heap[(index - 1) >> 1];
      if (index === 0 || parent === undefined || isBefore(parent, timer)) return;
      this.#place(parent, index);
      this.#place(timer, (index - 1) >> 1);
    }
  }

  #sink(timer: Timer): void {
    for (;;) {
      const { index } = timer;
      const left = this.#heap[2 * index + 1];
      const right = this.#heap[2 * index + 2];
      const child =
        right !== undefined && left !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || isBefore(timer, child)) return;
      const below = child.index;
      this.#place(child, index);
      this.#place(timer, below);
    }
  }

  #place(timer: Timer, index: number): void {
    this.#heap[index] = timer;
    timer.index = index;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}

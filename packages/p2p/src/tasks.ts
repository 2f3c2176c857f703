/** What is under way and has to come to its end before its owner's is complete. */
export class TaskSet {
  readonly #tasks = new Set<Promise<void>>();

  get size(): number {
    return this.#tasks.size;
  }

  /** Adds a task; how it ends is somebody else's to look at. */
  add(task: Promise<unknown>): void {
    const settled: Promise<void> = task
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => this.#tasks.delete(settled));
    this.#tasks.add(settled);
  }

  /** Resolves when no task is left, those that tasks leave behind included. */
  async settled(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }
}

/** What arrives for one reader, in order; what it has no place for is dropped. */
export class Results<T> {
  readonly #max: number;
  readonly #waiting: T[] = [];
  #hasEnded = false;
  #wake: () => void = () => undefined;

  /** @param max - most that may wait for the reader */
  constructor(max: number) {
    this.#max = max;
  }

  push(value: T): void {
    if (this.#hasEnded || this.#waiting.length >= this.#max) return;
    this.#waiting.push(value);
    this.#wake();
  }

  /** Nothing more comes; what waits is still read. */
  end(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  /** The next one; undefined at the end. */
  async next(): Promise<T | undefined> {
    while (this.#waiting.length === 0 && !this.#hasEnded) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#waiting.shift();
  }
}

import { MAX_INPUT_SIZE } from "./mutate.ts";

/** Counter, index of the target and length of the input, 4 bytes each; then the input. */
const HEAD_WORDS = 3;

/** What runs just now, in memory that two threads share: a thread in an endless loop tells nobody. */
export class InputBoard {
  /** Hand it to the other thread. */
  readonly memory: SharedArrayBuffer;
  readonly #head: Int32Array;
  readonly #input: Uint8Array;

  /** @param memory - of the other thread's board; a new one, if not given */
  constructor(memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer(HEAD_WORDS * 4 + MAX_INPUT_SIZE);
    this.#head = new Int32Array(this.memory, 0, HEAD_WORDS);
    this.#input = new Uint8Array(this.memory, HEAD_WORDS * 4);
  }

  /** Tells what runs next. */
  show(target: number, input: Uint8Array): void {
    const length = Math.min(input.length, this.#input.length);
    this.#input.set(input.subarray(0, length));
    this.#head[1] = target;
    this.#head[2] = length;
    Atomics.add(this.#head, 0, 1);
  }

  /** How many inputs have run, modulo 2^32: as long as it changes, there is progress. */
  get count(): number {
    return Atomics.load(this.#head, 0) >>> 0;
  }

  /** What runs just now. */
  get current(): { readonly target: number; readonly input: Uint8Array } {
    const [, target = 0, length = 0] = this.#head;
    return { target, input: this.#input.slice(0, length) };
  }
}

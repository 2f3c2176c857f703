import { Session } from "node:inspector";
import type { Profiler } from "node:inspector";

/** The code whose coverage counts: that of the rooms under test, not that of the fuzzer. */
const OURS = /\/packages\/(?:identity|rlpx|p2p|protocol)\/(?:src|dist)\//;

/**
 * Tells which blocks of the house's code have run, as the engine itself counts them: no instrumentation, and
 * a few milliseconds for each look.
 *
 * One at a time in a thread; dispose it to give the counting back.
 */
export class Coverage implements Disposable {
  readonly #session = new Session();
  readonly #seen = new Set<string>();

  constructor() {
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Forgets what has run: all is fresh again. */
  reset(): void {
    this.take();
    this.#seen.clear();
  }

  /** How many blocks have run so far. */
  get blocks(): number {
    return this.#seen.size;
  }

  /** The blocks that ran since the last look, and never before it. */
  takeFresh(): Set<string> {
    const fresh = new Set<string>();
    for (const block of this.take()) {
      if (!this.#seen.has(block)) fresh.add(block);
    }
    for (const block of fresh) this.#seen.add(block);
    return fresh;
  }

  /** The blocks that ran since the last look. */
  take(): Set<string> {
    const blocks = new Set<string>();
    const { result } = this.#post(
      "Profiler.takePreciseCoverage",
    ) as Profiler.TakePreciseCoverageReturnType;
    for (const { url, functions } of result) {
      if (!OURS.test(url)) continue;
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count > 0) blocks.add(`${url}:${startOffset}-${endOffset}`);
        }
      }
    }
    return blocks;
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }

  /** The engine answers before `post` returns: it is in this very thread. */
  #post(method: string, params: object = {}): unknown {
    let answer: unknown;
    this.#session.post(method, params, (error, result) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer;
  }
}

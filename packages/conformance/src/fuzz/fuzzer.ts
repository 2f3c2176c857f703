import { seededRandom } from "@heddle/testing";
import type { SeededRandom } from "@heddle/testing";

import type { Coverage } from "./coverage.ts";
import { minimize } from "./minimize.ts";
import { mutate } from "./mutate.ts";
import type { FuzzTarget } from "./target.ts";

/** An input that takes longer than this is a finding, in milliseconds. */
export const MAX_INPUT_MS = 100;

/** Inputs kept for mutation, those that the target brought along not counted. */
const MAX_KEPT = 512;

/** Runs of an input that seems to be the slowest so far, before it is taken to be. */
const RUNS_TIMED = 4;

/** Inputs between two looks at the clock. */
const BATCH = 64;

/** An input that a decoder did not take as it must. */
export interface Finding {
  readonly target: string;
  readonly kind: "undocumented error" | "slow";
  /** What went wrong, in a line. */
  readonly what: string;
  /** The shortest input found that shows it. */
  readonly input: Uint8Array;
}

/** What came of one target. */
export interface TargetReport {
  readonly target: string;
  readonly inputs: number;
  /** Inputs that were accepted. */
  readonly accepted: number;
  /** How often each documented error was thrown, by class and code. */
  readonly refused: Readonly<Record<string, number>>;
  /** Inputs kept for mutation, the target's own included. */
  readonly kept: number;
  /** Different ways in which inputs ended: messages of errors, without their numbers. */
  readonly outcomes: number;
  /** The longest that one input took each time it was run, in milliseconds. */
  readonly slowestMs: number;
  readonly elapsedMs: number;
  readonly finding: Finding | undefined;
}

/** When to stop, and what to draw on. */
export interface FuzzOptions {
  /** The same seed and the same number of inputs are the same run. */
  readonly seed: number;
  readonly maxInputs?: number;
  readonly maxMs?: number;
  /** With it, inputs that run code which none ran before are kept, too; the run is then the engine's, too. */
  readonly coverage?: Coverage;
  /** Called with each input before it runs, so that an endless one can be told. */
  readonly onInput?: (target: FuzzTarget, input: Uint8Array) => void;
}

/**
 * Feeds one target with mutations of its corpus until a limit or a finding.
 *
 * An input is kept for further mutation when it ended in a way that none did before, told by the class, the
 * code and the message of the error, and by the magnitude of its length; or when it ran code that none did.
 */
export function fuzz(target: FuzzTarget, options: FuzzOptions): TargetReport {
  const run = new Run(target, options);
  const { maxInputs = Infinity, maxMs = Infinity } = options;
  const started = performance.now();
  let elapsedMs = 0;
  while (run.inputs < maxInputs && elapsedMs < maxMs && run.finding === undefined) {
    for (let i = 0; i < BATCH && run.inputs < maxInputs; i += 1) {
      if (run.finding === undefined) run.next();
    }
    run.keepPioneers();
    elapsedMs = performance.now() - started;
  }
  return { ...run.report(), elapsedMs };
}

/** The outcome of one input. */
interface Outcome {
  /** Undefined when it was accepted. */
  readonly error: unknown;
  readonly ms: number;
}

class Run {
  readonly #target: FuzzTarget;
  readonly #onInput: FuzzOptions["onInput"];
  readonly #coverage: Coverage | undefined;
  readonly #random: SeededRandom;
  readonly #corpus: Uint8Array[];
  /** What ran since the last look at the coverage. */
  #batch: Uint8Array[] = [];
  readonly #seen = new Set<string>();
  readonly #refused: Record<string, number> = {};
  #accepted = 0;
  #slowestMs = 0;
  inputs = 0;
  finding: Finding | undefined;

  constructor(target: FuzzTarget, { seed, onInput, coverage }: FuzzOptions) {
    this.#target = target;
    this.#coverage = coverage;
    coverage?.reset();
    this.#onInput = onInput;
    this.#random = seededRandom(seed ^ hash(new TextEncoder().encode(target.name)));
    this.#corpus = [...target.corpus];
  }

  /** Runs the corpus first, as it is, and mutations of it from then on. */
  next(): void {
    const given = this.#target.corpus[this.inputs];
    const { kind, dictionary = [] } = this.#target;
    const material = { kind, corpus: this.#corpus, dictionary };
    const input = given ?? mutate(this.#pick(), material, this.#random);
    this.inputs += 1;
    if (this.#coverage !== undefined) this.#batch.push(input);
    const { error, ms: first } = this.#try(input);
    const ms = first > this.#slowestMs ? this.#leastMs(input, this.#slowestMs) : first;
    this.#slowestMs = Math.max(this.#slowestMs, ms);
    if (error !== undefined && !this.#isDocumented(error)) {
      this.finding = this.#undocumented(input, error);
    } else if (ms > MAX_INPUT_MS) {
      this.finding = this.#slow(input);
    } else {
      this.#note(input, error);
    }
  }

  /** Keeps those inputs of the last batch that were the first to run some code. */
  keepPioneers(): void {
    const batch = this.#batch.splice(0);
    const fresh = this.#coverage?.takeFresh();
    if (fresh === undefined || fresh.size === 0) return;
    for (const input of batch) {
      this.#try(input);
      const ran = this.#coverage?.take() ?? new Set();
      const isPioneer = [...fresh].some((block) => ran.has(block));
      if (!isPioneer) continue;
      for (const block of ran) fresh.delete(block);
      if (!this.#target.corpus.includes(input)) this.#keep(input);
      if (fresh.size === 0) return;
    }
  }

  report(): Omit<TargetReport, "elapsedMs"> {
    return {
      target: this.#target.name,
      inputs: this.inputs,
      accepted: this.#accepted,
      refused: this.#refused,
      kept: this.#corpus.length,
      outcomes: this.#seen.size,
      slowestMs: this.#slowestMs,
      finding: this.finding,
    };
  }

  /** The shorter of two: long inputs take long, and seldom show what a short one does not. */
  #pick(): Uint8Array {
    const [one, other] = [this.#random.pick(this.#corpus), this.#random.pick(this.#corpus)];
    return one.length <= other.length ? one : other;
  }

  #try(input: Uint8Array): Outcome {
    this.#onInput?.(this.#target, input);
    const started = performance.now();
    try {
      // What is no part of the input follows from it: the same input is the same run.
      this.#target.run(input, seededRandom(hash(input)));
      return { error: undefined, ms: performance.now() - started };
    } catch (error) {
      return { error: error ?? new Error("nothing was thrown"), ms: performance.now() - started };
    }
  }

  #isDocumented(error: unknown): boolean {
    return this.#target.refusals.has(signatureOf(error));
  }

  #note(input: Uint8Array, error: unknown): void {
    if (error === undefined) this.#accepted += 1;
    else {
      const signature = signatureOf(error);
      this.#refused[signature] = (this.#refused[signature] ?? 0) + 1;
    }
    const novelty = `${templateOf(error)} ${32 - Math.clz32(input.length)}`;
    if (this.#seen.has(novelty)) return;
    this.#seen.add(novelty);
    this.#keep(input);
  }

  #keep(input: Uint8Array): void {
    if (this.#corpus.length < MAX_KEPT + this.#target.corpus.length) this.#corpus.push(input);
  }

  #undocumented(input: Uint8Array, error: unknown): Finding {
    const signature = signatureOf(error);
    return {
      target: this.#target.name,
      kind: "undocumented error",
      what: error instanceof Error ? `${signature}: ${error.message}` : signature,
      input: minimize(input, this.#target.kind, (candidate) => {
        const { error: other } = this.#try(candidate);
        return other !== undefined && signatureOf(other) === signature;
      }),
    };
  }

  /**
   * The least of some runs, or the first that is not above `bar`: one run that is slow may be the
   * collector's doing, or somebody else's on this machine.
   */
  #leastMs(input: Uint8Array, bar: number): number {
    let least = Infinity;
    for (let i = 0; i < RUNS_TIMED && least > bar; i += 1) {
      least = Math.min(least, this.#try(input).ms);
    }
    return least;
  }

  #slow(input: Uint8Array): Finding {
    const shortest = minimize(input, this.#target.kind, (candidate) => {
      return this.#leastMs(candidate, MAX_INPUT_MS) > MAX_INPUT_MS;
    });
    const what = `${Math.round(this.#try(shortest).ms)} ms for ${shortest.length} bytes`;
    return { target: this.#target.name, kind: "slow", what, input: shortest };
  }
}

/** The class and the code of an error: `RlpError ERR_RLP_TRUNCATED`. */
function signatureOf(error: unknown): string {
  if (!(error instanceof Error)) return `a thrown ${typeof error}`;
  return "code" in error ? `${error.name} ${String(error.code)}` : error.name;
}

/** The message of an error without what stands in it of the input; its cause's, too. */
function templateOf(error: unknown): string {
  if (!(error instanceof Error)) return "accepted";
  const [fixed = ""] = error.message.slice(0, 120).split(", got");
  const message = fixed.replaceAll(/[0-9a-f]*[0-9][0-9a-f]*/g, "#");
  return error.cause instanceof Error ? `${message} < ${templateOf(error.cause)}` : message;
}

/** FNV-1a, 32 bits. */
function hash(bytes: Uint8Array): number {
  let state = 0x811c9dc5;
  for (const byte of bytes) state = Math.imul(state ^ byte, 0x01000193);
  return state | 0;
}

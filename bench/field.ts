import type { Effort } from "./effort.ts";
import { findGeth } from "./geth.ts";
import { measure, measureIdle, warmUp } from "./measure.ts";
import type { Sample } from "./measure.ts";
import { nodeStack, ProcessPair, stackFor } from "./process-pair.ts";
import type { Stack } from "./process-pair.ts";
import type { Work } from "./works.ts";

/** Where progress is told. */
export type Say = (text: string) => void;

/** The stacks of these names; go-ethereum is left out, with a word on why, where it cannot be built. */
export async function findStacks(names: readonly string[], say: Say): Promise<Stack[]> {
  const stacks: Stack[] = [];
  for (const name of names) {
    const stack = name === "geth" ? await findGeth() : nodeStack(name);
    if ("missing" in stack) say(`SKIPPED: every row of geth, because ${stack.missing}`);
    else stacks.push(stack);
  }
  return stacks;
}

/** The pairs of all stacks; one that fails is told of, and started afresh for its next turn. */
export class Field implements AsyncDisposable {
  readonly #effort: Effort;
  readonly #say: Say;
  readonly #pairs = new Map<string, { pair: ProcessPair; warm: Set<Work> }>();
  readonly #failures = new Map<string, number>();

  constructor(effort: Effort, say: Say) {
    this.#effort = effort;
    this.#say = say;
  }

  /** All rounds of one work, by the stack's name: in every round every stack has its turn. */
  async run(work: Work, stacks: readonly Stack[]): Promise<Map<string, Sample[]>> {
    const able = stacks.filter((stack) => stack.canDo(work));
    const samples = new Map<string, Sample[]>(able.map(({ name }) => [name, []]));
    if (work.kind !== "idle") {
      for (const stack of able) await this.#guard(stack, work, () => this.#warmPair(stack, work));
    }
    const rounds = work.kind === "idle" ? this.#effort.idleRounds : this.#effort.rounds;
    for (let round = 0; round < rounds; round += 1) {
      const shown: string[] = [];
      for (const stack of able) {
        const sample = await this.#measure(stack, work);
        if (sample === undefined) continue;
        samples.get(stack.name)?.push(sample);
        shown.push(`${stack.name} ${Math.round(sample.figure)}`);
      }
      this.#say(`${work.name} ${round + 1}/${rounds}: ${shown.join("  ")}`);
    }
    return samples;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#pairs.values()].map(({ pair }) => pair[Symbol.asyncDispose]()));
  }

  #measure(stack: Stack, work: Work): Promise<Sample | undefined> {
    const effort = this.#effort;
    return this.#guard(stack, work, async () => {
      if (work.kind === "idle") return measureIdle(stack, work, effort);
      return measure(await this.#warmPair(stack, work), work, effort);
    });
  }

  /** The stack's processes, which have done this work before, if need be just now. */
  async #warmPair(stack: Stack, work: Work): Promise<ProcessPair> {
    const key = keyOf(stack, work);
    let used = this.#pairs.get(key);
    if (used === undefined) {
      used = { pair: await ProcessPair.start(stackFor(stack, work)), warm: new Set() };
      this.#pairs.set(key, used);
    }
    if (!used.warm.has(work)) await warmUp(used.pair, work, this.#effort);
    used.warm.add(work);
    return used.pair;
  }

  /** Undefined when it failed. */
  async #guard<T>(stack: Stack, work: Work, act: () => Promise<T>): Promise<T | undefined> {
    // A stack that keeps failing at a work does not get to hold up the others.
    const label = `${stack.name} ${work.name}`;
    if ((this.#failures.get(label) ?? 0) >= 2) return undefined;
    try {
      return await act();
    } catch (error) {
      this.#failures.set(label, (this.#failures.get(label) ?? 0) + 1);
      this.#say(`! ${label}: ${error instanceof Error ? error.message : String(error)}`);
      const used = this.#pairs.get(keyOf(stack, work));
      this.#pairs.delete(keyOf(stack, work));
      await used?.pair[Symbol.asyncDispose]();
      return undefined;
    }
  }
}

/** Works of one core have processes of their own. */
function keyOf({ name }: Stack, { isOneCore = false }: Work): string {
  return isOneCore ? `${name} on one core` : name;
}

import { wrong } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";

/** Some at a time, so that no limit on connections under way is what ends them. */
const AT_ONCE = 4;

/** Makes the same attempt with every input. */
export interface Every<T> {
  readonly inputs: readonly T[];
  readonly expected: "accepted" | "refused";
  /** What an input is called when it comes out otherwise. */
  readonly label: (input: T) => string;
  readonly attempt: (input: T) => Promise<Outcome>;
}

/**
 * Tries every input, a few at once, until one comes out otherwise than expected.
 *
 * @returns that one's outcome, or one for all of them: with a reason if it was the same for all
 */
export async function every<T>({ inputs, expected, label, attempt }: Every<T>): Promise<Outcome> {
  const rest = [...inputs];
  const outcomes: Outcome[] = [];
  let exception: Outcome | undefined;
  const work = async (): Promise<void> => {
    for (let input = rest.shift(); input !== undefined; input = rest.shift()) {
      if (exception !== undefined) return;
      const outcome = await attempt(input);
      outcomes.push(outcome);
      if (outcome.kind !== expected) {
        exception ??= { ...outcome, detail: `${label(input)}: ${outcome.detail}` };
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return exception ?? summary(outcomes);
}

function summary(outcomes: readonly Outcome[]): Outcome {
  const [first] = outcomes;
  if (first === undefined) return wrong("nothing was tried");
  const kinds = [...new Set(outcomes.map(({ detail }) => detail))].toSorted();
  const detail = kinds.length > 3 ? `${first.kind}, in several ways` : kinds.join(" or ");
  const reasons = new Set(
    outcomes.map((outcome) => (outcome.kind === "refused" ? outcome.reason : undefined)),
  );
  const { kind } = first;
  const all = `all ${outcomes.length}: ${detail}`;
  if (kind !== "refused" || reasons.size > 1 || first.reason === undefined) {
    return { kind, detail: all };
  }
  return { kind, detail: all, reason: first.reason };
}

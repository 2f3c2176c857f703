import type { Clock } from "./clock.ts";

/** An AbortSignal for one scope, ended by whichever comes first of its deadline and its parents. */
export interface Scope extends Disposable {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
}

/**
 * Opens a scope; dispose it when the work is done, so that neither timer nor listener stays behind.
 *
 * @param expire - makes the abort reason when `ms` have passed
 */
export function openScope(
  clock: Clock,
  ms: number,
  expire: () => Error,
  parents: readonly (AbortSignal | undefined)[],
): Scope {
  const controller = new AbortController();
  const timer = clock.setTimeout(() => controller.abort(expire()), ms);
  const leave: (() => void)[] = [];
  for (const parent of parents) {
    if (parent === undefined) continue;
    const onAbort = (): void => controller.abort(parent.reason);
    if (parent.aborted) onAbort();
    else {
      parent.addEventListener("abort", onAbort, { once: true });
      leave.push(() => parent.removeEventListener("abort", onAbort));
    }
  }
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose](): void {
      clock.clearTimeout(timer);
      for (const remove of leave) remove();
    },
  };
}

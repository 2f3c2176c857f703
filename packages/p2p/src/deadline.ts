import type { Clock } from "./clock.ts";

/** An AbortSignal for one scope, ended by whichever comes first of its deadline and its parents. */
export interface Scope extends Disposable {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
}

/** The scopes open in something that may end as a whole; any number of them. */
export class ScopeGroup {
  readonly #scopes = new Set<Scope>();
  #end: { readonly reason: unknown } | undefined;

  /** Adds a scope; one that comes when all have been aborted is aborted, too. */
  add(scope: Scope): void {
    this.#scopes.add(scope);
    if (this.#end !== undefined) scope.abort(this.#end.reason);
  }

  delete(scope: Scope): void {
    this.#scopes.delete(scope);
  }

  /** Aborts every open scope. */
  abort(reason: unknown): void {
    this.#end ??= { reason };
    for (const scope of this.#scopes) scope.abort(reason);
  }
}

/**
 * Opens a scope; dispose it when the work is done, so that neither timer nor listener stays behind.
 *
 * @param options.expire - makes the abort reason when `ms` have passed
 * @param options.group - aborts it together with others; a signal would have to hold a listener for each
 */
export function openScope(
  clock: Clock,
  ms: number,
  options: { expire: () => Error; group: ScopeGroup; signal?: AbortSignal | undefined },
): Scope {
  const { expire, group, signal } = options;
  const controller = new AbortController();
  const timer = clock.setTimeout(() => controller.abort(expire()), ms);
  const onAbort = (): void => controller.abort(signal?.reason);
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
  const scope: Scope = {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose](): void {
      clock.clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      group.delete(scope);
    },
  };
  group.add(scope);
  return scope;
}

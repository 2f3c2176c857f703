import type { Clock } from "./clock.ts";

/** An AbortSignal for one piece of work, with a deadline that moves from one step of it to the next. */
export class Scope implements Disposable {
  readonly #clock: Clock;
  readonly #group: ScopeGroup;
  readonly #controller = new AbortController();
  #timer: unknown;

  /**
   * Dispose it when the work is done, so that no timer stays behind.
   *
   * @param group - aborts it together with others; a signal would have to hold a listener for each
   */
  constructor(clock: Clock, group: ScopeGroup) {
    this.#clock = clock;
    this.#group = group;
    group.add(this);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts in `ms` from now, in place of any deadline before, for the reason that `expire` makes then. */
  limit(ms: number, expire: () => Error): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => this.abort(expire()), ms);
  }

  /** The first reason is the one that stays. */
  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    this.#clock.clearTimeout(this.#timer);
    this.#group.delete(this);
  }
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

/** Listeners by event name; one that throws is reported and does not keep others from hearing. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();
  readonly #onError: (error: unknown) => void;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Adds a listener; the returned function removes it. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    const entry = (event: Events[Name]): void => listener(event);
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  /** Whether anybody listens: events that are costly to make are made only then. */
  has(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  /** Tells those who listen now: not one added meanwhile, and not one removed meanwhile either. */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) return;
    // Those added meanwhile must not be told: one that listens anew at every event would never end.
    const present = [...listeners];
    for (const listener of present) {
      if (!listeners.has(listener)) continue;
      try {
        (listener as (event: Events[Name]) => void)(event);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}

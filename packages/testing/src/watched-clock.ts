import { VirtualClock } from "./virtual-clock.ts";

/** Virtual time that goes on when a timer throws, and tells. */
export class WatchedClock extends VirtualClock {
  thrown: ((error: unknown) => void) | undefined;

  override setTimeout(task: () => void, ms: number): unknown {
    return super.setTimeout(() => {
      try {
        task();
      } catch (error) {
        this.thrown?.(error);
      }
    }, ms);
  }
}

const EVENTS = ["unhandledRejection", "uncaughtException"] as const;

type Listener = (error: unknown) => void;

const watches = new Set<Listener>();
let taken: { event: (typeof EVENTS)[number]; listeners: Listener[] }[] = [];

/**
 * Collects unhandled rejections and uncaught exceptions, which would otherwise end the process or fail
 * the test runner, until it is told to stop.
 *
 * While any watch lasts, other listeners of the process are not told.
 */
export function watchEscapes(note: Listener): () => void {
  if (watches.size === 0) take();
  watches.add(note);
  return () => {
    if (watches.delete(note) && watches.size === 0) giveBack();
  };
}

function tell(error: unknown): void {
  for (const watch of watches) watch(error);
}

function take(): void {
  taken = EVENTS.map((event) => ({
    event,
    listeners: process.listeners(event as never) as Listener[],
  }));
  for (const { event } of taken) {
    process.removeAllListeners(event);
    process.on(event, tell);
  }
}

function giveBack(): void {
  for (const { event, listeners } of taken) {
    process.off(event, tell);
    for (const listener of listeners) process.on(event, listener);
  }
}

/**
 * What keeps a process from ending and is made by programs: timers, sockets, watched files, children.
 * Requests under way and the runner's own pipes come and go by themselves.
 */
const HELD = new Set([
  "Timeout",
  "Immediate",
  "TCPSocketWrap",
  "TCPServerWrap",
  "UDPWrap",
  "FSEventWrap",
  "StatWatcher",
  "ProcessWrap",
  "Worker",
]);

/** How many there are, by name. */
export type Resources = ReadonlyMap<string, number>;

/** Handles and timers of this process, and the listeners it has itself. */
export function openResources(): Resources {
  const counts = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) {
    if (HELD.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  for (const event of process.eventNames()) {
    counts.set(`listener for ${String(event)}`, process.listenerCount(event));
  }
  return counts;
}

/** Those of which there are more than there were, in words. */
export function resourcesBeyond(before: Resources): string[] {
  return [...openResources()].flatMap(([name, count]) => {
    const more = count - (before.get(name) ?? 0);
    return more > 0 ? [`${more} × ${name}`] : [];
  });
}

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What a process holds, garbage not counted. */
export interface Holding {
  /** Objects and buffers, in bytes. */
  readonly heap: number;
  /** Sockets, timers and the like, by kind. */
  readonly handles: Readonly<Record<string, number>>;
}

let collect: (() => void) | undefined;

/** Collects garbage and tells what is left. */
export async function measure(): Promise<Holding> {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  // Finalizers run between two collections, and free what the second one finds.
  collect();
  await new Promise<void>((resolve) => setImmediate(resolve));
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed + arrayBuffers, handles: countHandles() };
}

/** Sockets, timers and the like that keep the process alive, by kind. */
export function countHandles(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** What there is more of than at first: `2 TCPSocketWrap`. */
export function leakedHandles(
  first: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
): readonly string[] {
  return Object.entries(now).flatMap(([kind, count]) => {
    const more = count - (first[kind] ?? 0);
    return more > 0 ? [`${more} ${kind}`] : [];
  });
}

/** Bytes by which a heap may be larger at the end, for what the engine itself adds. */
const SLACK = 2 * 1024 * 1024;

/**
 * Tells how much a heap has grown: the median of the last third of its sizes against that of the first
 * third. One size says little, since caches of the engine come and go.
 *
 * @param heaps - in bytes, after the warm-up
 * @returns undefined for growth within a twentieth and 2 MiB
 */
export function heapGrowth(heaps: readonly number[]): { from: number; to: number } | undefined {
  const third = Math.max(1, Math.floor(heaps.length / 3));
  const [from, to] = [median(heaps.slice(0, third)), median(heaps.slice(-third))];
  return to > from * 1.05 + SLACK ? { from, to } : undefined;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

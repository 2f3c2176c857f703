import { freeBuffer } from "./free-buffer.ts";

/** The smallest buffer lent: a batch of frames, or one read of a socket (64 KiB in Node) and a rest. */
export const LEAST_LENT_BYTES: number = 128 * 1024;
/** Larger buffers are freed, not kept: one of them would be most of what the pool may keep. */
const MOST_BYTES = 2 * 1024 * 1024;
/** What the pool keeps of buffers that nobody uses, in bytes. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;

/** Buffers of one length each, by the number of times it doubles {@link LEAST_LENT_BYTES}. */
const kept: Lending[][] = Array.from({ length: lengthClass(MOST_BYTES) + 1 }, () => []);
let keptBytes = 0;
/** What a buffer of the pool knows of itself; a map or set of buffers costs more than the rest together. */
const lending = Symbol("lending");
type Lendable = ArrayBufferLike & { [lending]?: Lending };

interface Lending {
  readonly whole: Uint8Array;
  /** It comes back once: one buffer in two hands would mix up two connections. */
  isLent: boolean;
}

/**
 * Lends a buffer to whichever connection needs one, so that traffic at full speed allocates none: the garbage
 * collector would have to stop everything for every 64 MiB of them.
 *
 * @param length - what it must hold, in bytes
 * @returns a buffer of at least that length, with arbitrary content
 */
export function borrowBuffer(length: number): Uint8Array {
  if (length > MOST_BYTES) return createLent(length);
  const index = lengthClass(length);
  const found = kept[index]?.pop();
  if (found === undefined) return createLent(LEAST_LENT_BYTES << index);
  keptBytes -= found.whole.length;
  found.isLent = true;
  return found.whole;
}

function createLent(length: number): Uint8Array {
  const whole = new Uint8Array(length);
  (whole.buffer as Lendable)[lending] = { whole, isLent: true };
  return whole;
}

/**
 * Takes a buffer back, to lend it again or to free it. Whoever returns it must not look at it again.
 *
 * @param view - the buffer or any part of it; anything that was not lent, or was returned, is left alone
 */
export function returnBuffer(view: Uint8Array): void {
  const entry = (view.buffer as Lendable)[lending];
  if (entry?.isLent !== true) return;
  entry.isLent = false;
  const { length } = entry.whole;
  if (length > MOST_BYTES || keptBytes + length > MAX_KEPT_BYTES) {
    freeBuffer(entry.whole);
    return;
  }
  kept[lengthClass(length)]?.push(entry);
  keptBytes += length;
}

function lengthClass(length: number): number {
  return length <= LEAST_LENT_BYTES ? 0 : 32 - Math.clz32((length - 1) >>> 17);
}

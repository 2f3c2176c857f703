import { releaseMessage } from "@heddle/protocol";

const owners = new WeakMap<Uint8Array, () => void>();

/**
 * Lends bytes to whoever reads them next, who says with {@link giveBack} that they are read.
 *
 * Large buffers that are made anew for every chunk keep the garbage collector busy, and each new one is cold
 * memory. What never comes back is lost to its owner, and to nobody else: the collector takes it.
 *
 * @param back - called once, when nobody looks at the bytes any more
 */
export function lend(view: Uint8Array, back: () => void): Uint8Array {
  owners.set(view, back);
  return view;
}

/** Gives lent bytes back to their owner; does nothing with any others, or the second time. */
export function giveBack(view: Uint8Array): void {
  const back = owners.get(view);
  if (back === undefined) return;
  owners.delete(view);
  back();
}

/** What may stand around a chunk in its message, in bytes. */
const MAX_AROUND = 64;

/**
 * Frees the message that a received chunk came in, now instead of whenever the collector runs.
 *
 * @param view - of a message of its own, that nobody looks at any more; its length may be 0 afterwards
 */
export function release(view: Uint8Array): void {
  if (view.buffer.byteLength - view.length <= MAX_AROUND) releaseMessage(view);
}

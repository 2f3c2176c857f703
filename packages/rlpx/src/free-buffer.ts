/** Below this the call costs more than the collector would. */
const LEAST_BYTES = 4096;

type Drain = Pick<InstanceType<typeof MessageChannel>["port1"], "postMessage">;

/** A closed port: what is transferred to it leaves its owner all the same, and is dropped (HTML §9.4.3). */
let drain: Drain | undefined;

/**
 * Frees the memory behind a buffer now, instead of whenever the garbage collector runs; its length is 0 then.
 *
 * `node:crypto` and sockets make a new buffer for every piece. The collector is started by how much memory
 * buffers hold, not by how few of them are alive, and stops everything meanwhile; what is freed is used
 * again for the next piece while it is still in the processor's cache.
 *
 * @param view - a whole buffer that nobody else looks at; any other view, and a small one, is left alone
 */
export function freeBuffer(view: Uint8Array): void {
  const { length } = view;
  // First: asking a small view for its buffer makes one.
  if (length < LEAST_BYTES) return;
  const { buffer } = view;
  if (length === buffer.byteLength) drop(buffer);
}

/**
 * As {@link freeBuffer}, for a view of a part: what else is in the buffer is freed with it.
 *
 * @param view - of a buffer that nobody else looks at any part of
 */
export function freeWholeBuffer(view: Uint8Array): void {
  if (view.length >= LEAST_BYTES) drop(view.buffer);
}

function drop(buffer: ArrayBufferLike): void {
  if (!(buffer instanceof ArrayBuffer)) return;
  drain ??= createDrain();
  try {
    drain?.postMessage(0, [buffer]);
  } catch {
    // Pools and the memory of WebAssembly are not to be given away: they stay.
  }
}

function createDrain(): Drain | undefined {
  if (typeof MessageChannel !== "function") return undefined;
  const { port1 } = new MessageChannel();
  port1.close();
  return port1;
}

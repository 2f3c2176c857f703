import { createPortableEngine } from "./engine.portable.ts";
import { createWasmEngine } from "./engine.wasm.ts";
import { type FrameEngine, WINDOW_BYTES } from "./layout.ts";

const shared: { sealing?: FrameEngine; opening?: FrameEngine } = {};

/**
 * The engine that all connections share for one of the two things it does: WebAssembly, or plain TypeScript
 * where that is missing or forbidden.
 *
 * One for each, so that where a connection is alone, request and answer do not have to change places in it.
 */
export function sharedEngine(use: "sealing" | "opening"): FrameEngine {
  return (shared[use] ??= createWasmEngine() ?? createPortableEngine());
}

/**
 * Keccak-256 of bytes, by the engine whose MACs are the same hash: 32 bytes, the caller's.
 *
 * @param engine - lent for the call; one that all connections share unless told otherwise
 */
export function keccak256(
  message: Uint8Array,
  engine: FrameEngine = sharedEngine("sealing"),
): Uint8Array {
  engine.holder?.release();
  engine.reset();
  for (let at = 0; at === 0 || at < message.length; at += WINDOW_BYTES) {
    const piece = message.subarray(at, at + WINDOW_BYTES);
    engine.window.set(piece);
    engine.absorbSeed(piece.length);
  }
  return engine.digest.slice();
}

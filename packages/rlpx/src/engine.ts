import { createPortableEngine } from "./engine.portable.ts";
import { createWasmEngine } from "./engine.wasm.ts";
import { type FrameEngine, WINDOW_BYTES } from "./layout.ts";

let shared: FrameEngine | undefined;

/** The engine all connections share: WebAssembly, or plain TypeScript where that is missing or forbidden. */
export function sharedEngine(): FrameEngine {
  shared ??= createWasmEngine() ?? createPortableEngine();
  return shared;
}

/**
 * Keccak-256 of bytes, by the engine whose MACs are the same hash: 32 bytes, the caller's.
 *
 * @param engine - lent for the call; the one that all connections share unless told otherwise
 */
export function keccak256(message: Uint8Array, engine: FrameEngine = sharedEngine()): Uint8Array {
  engine.holder?.release();
  engine.reset();
  for (let at = 0; at === 0 || at < message.length; at += WINDOW_BYTES) {
    const piece = message.subarray(at, at + WINDOW_BYTES);
    engine.window.set(piece);
    engine.absorbSeed(piece.length);
  }
  return engine.digest.slice();
}

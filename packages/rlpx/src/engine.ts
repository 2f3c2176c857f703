import { createPortableEngine } from "./engine.portable.ts";
import { createWasmEngine } from "./engine.wasm.ts";
import type { FrameEngine } from "./layout.ts";

let shared: FrameEngine | undefined;

/** The engine all connections share: WebAssembly, or plain TypeScript where that is missing or forbidden. */
export function sharedEngine(): FrameEngine {
  shared ??= createWasmEngine() ?? createPortableEngine();
  return shared;
}

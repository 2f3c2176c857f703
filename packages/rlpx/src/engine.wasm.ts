import { ENGINE_BASE64 } from "./engine.bytes.ts";
import { type FrameEngine, MEMORY, STATE, WINDOW_BYTES } from "./layout.ts";

/** The part of the WebAssembly API used here; the compiler's ES library does not declare it. */
interface WebAssemblyApi {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: EngineExports };
}

interface EngineExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly reset: () => void;
  readonly absorbSeed: (length: number) => void;
  readonly sealFrames: (end: number, keystreamAt: number) => void;
  readonly sealHeader: (at: number, keystreamAt: number) => void;
  readonly absorbBody: (at: number, length: number) => void;
  readonly sealBody: (at: number, length: number, keystreamAt: number) => void;
  readonly sealTag: (at: number) => void;
  readonly openHeader: (at: number, keystreamAt: number) => number;
  readonly openBody: (at: number, length: number, keystreamAt: number) => void;
  readonly openTag: (at: number) => number;
}

/**
 * Starts the WebAssembly engine: fixed memory, no imports, nothing allocated after this call.
 *
 * @returns `undefined` where WebAssembly is missing or a content security policy forbids it
 */
export function createWasmEngine(): FrameEngine | undefined {
  const { WebAssembly } = globalThis as { WebAssembly?: WebAssemblyApi };
  if (WebAssembly === undefined) return undefined;
  let wasm: EngineExports;
  try {
    const bytes = Uint8Array.from(atob(ENGINE_BASE64), (character) => character.charCodeAt(0));
    wasm = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  } catch {
    // Why it may not be compiled does not matter: the portable engine gives the same bytes.
    return undefined;
  }
  const { buffer } = wasm.memory;
  const { window, keystream } = MEMORY;
  return {
    holder: undefined,
    state: new Uint8Array(buffer, 0, STATE.bytes),
    digest: new Uint8Array(buffer, MEMORY.digest, 32),
    window: new Uint8Array(buffer, window, WINDOW_BYTES),
    keystream: new Uint8Array(buffer, keystream, WINDOW_BYTES),
    reset: wasm.reset,
    absorbSeed: wasm.absorbSeed,
    sealFrames: (end, keystreamAt) => wasm.sealFrames(end, keystream + keystreamAt),
    sealHeader: (at, keystreamAt) => wasm.sealHeader(window + at, keystream + keystreamAt),
    absorbBody: (at, length) => wasm.absorbBody(window + at, length),
    sealBody: (at, length, keystreamAt) =>
      wasm.sealBody(window + at, length, keystream + keystreamAt),
    sealTag: (at) => wasm.sealTag(window + at),
    openHeader: (at, keystreamAt) => wasm.openHeader(window + at, keystream + keystreamAt),
    openBody: (at, length, keystreamAt) =>
      wasm.openBody(window + at, length, keystream + keystreamAt),
    openTag: (at) => wasm.openTag(window + at) === 1,
  };
}

import { ecb } from "@noble/ciphers/aes.js";
import { keccakP } from "@noble/hashes/sha3.js";
import { swap32IfBE } from "@noble/hashes/utils.js";

import { type FrameEngine, STATE, WINDOW_BYTES } from "./layout.ts";

/** Keccak-256 absorbs this many bytes between two permutations. */
const RATE = 136;

/** Starts the engine in plain TypeScript over `@noble`, for places without WebAssembly. */
export function createPortableEngine(): FrameEngine {
  return new PortableEngine();
}

/** Keeps the same state in the same places as the WebAssembly engine, but for the round keys: the key itself. */
class PortableEngine implements FrameEngine {
  holder: FrameEngine["holder"];
  readonly state: Uint8Array = new Uint8Array(STATE.bytes);
  readonly digest: Uint8Array = new Uint8Array(32);
  readonly window: Uint8Array = new Uint8Array(WINDOW_BYTES);
  readonly keystream: Uint8Array = new Uint8Array(WINDOW_BYTES);

  reset(): void {
    this.state.fill(0);
    this.state.set(this.window.subarray(0, 32), STATE.roundKeys);
  }

  absorbSeed(length: number): void {
    this.#absorb(this.window.subarray(0, length));
    this.#settle();
  }

  sealFrames(end: number, keystreamAt: number): void {
    let from = keystreamAt;
    for (let at = 0; at < end;) {
      const length = (this.#sizeAt(at) + 15) & ~15;
      this.sealHeader(at, from);
      this.sealBody(at + 32, length, from + 16);
      this.sealTag(at + 32 + length);
      at += length + 48;
      from += length + 16;
    }
  }

  sealHeader(at: number, keystreamAt: number): void {
    this.#xorKeystream(at, 16, keystreamAt);
    this.#step(this.window.subarray(at, at + 16));
    this.window.set(this.#tag(), at + 16);
  }

  absorbBody(at: number, length: number): void {
    this.#absorb(this.window.subarray(at, at + length));
  }

  sealBody(at: number, length: number, keystreamAt: number): void {
    this.#xorKeystream(at, length, keystreamAt);
    this.#absorb(this.window.subarray(at, at + length));
  }

  sealTag(at: number): void {
    this.#stepFrame();
    this.window.set(this.#tag(), at);
  }

  openHeader(at: number, keystreamAt: number): number {
    this.#step(this.window.subarray(at, at + 16));
    if (!this.#isTag(at + 16)) return -1;
    this.#xorKeystream(at, 16, keystreamAt);
    return this.#sizeAt(at);
  }

  openBody(at: number, length: number, keystreamAt: number): void {
    this.#absorb(this.window.subarray(at, at + length));
    this.#xorKeystream(at, length, keystreamAt);
  }

  openTag(at: number): boolean {
    this.#stepFrame();
    return this.#isTag(at);
  }

  /** rlpx.md §MAC: absorbs `aes(mac-secret, tag) XOR seed`, and settles the next tag. */
  #step(seed: Uint8Array): void {
    const key = this.state.subarray(STATE.roundKeys, STATE.roundKeys + 32);
    const mixed = ecb(key, { disablePadding: true }).encrypt(this.#tag());
    for (let i = 0; i < 16; i++) mixed[i] = (mixed[i] ?? 0) ^ (seed[i] ?? 0);
    this.#absorb(mixed);
    this.#settle();
  }

  /** The frame's own step takes the digest of all ciphertext so far as both tag and seed. */
  #stepFrame(): void {
    this.#settle();
    this.#step(this.#tag());
  }

  #absorb(data: Uint8Array): void {
    const { state } = this;
    let position = state[STATE.position] ?? 0;
    for (const byte of data) {
      state[position] = (state[position] ?? 0) ^ byte;
      position += 1;
      if (position < RATE) continue;
      permute(state.subarray(0, 200));
      position = 0;
    }
    state[STATE.position] = position;
  }

  /** Tag = the first 16 bytes of the digest; the state goes on as if it had not been asked. */
  #settle(): void {
    const padded = this.state.slice(0, 200);
    const position = this.state[STATE.position] ?? 0;
    padded[position] = (padded[position] ?? 0) ^ 0x01;
    padded[RATE - 1] = (padded[RATE - 1] ?? 0) ^ 0x80;
    permute(padded);
    this.digest.set(padded.subarray(0, 32));
    this.state.set(padded.subarray(0, 16), STATE.tag);
  }

  #tag(): Uint8Array {
    return this.state.slice(STATE.tag, STATE.tag + 16);
  }

  /** Looks at every byte before it answers, so that timing does not tell where two MACs part. */
  #isTag(at: number): boolean {
    let difference = 0;
    for (let i = 0; i < 16; i++) {
      difference |= (this.window[at + i] ?? 0) ^ (this.state[STATE.tag + i] ?? 0);
    }
    return difference === 0;
  }

  #xorKeystream(at: number, length: number, keystreamAt: number): void {
    const { window, keystream } = this;
    for (let i = 0; i < length; i++) {
      window[at + i] = (window[at + i] ?? 0) ^ (keystream[keystreamAt + i] ?? 0);
    }
  }

  #sizeAt(at: number): number {
    const [high = 0, middle = 0, low = 0] = this.window.subarray(at, at + 3);
    return (high << 16) | (middle << 8) | low;
  }
}

/** Permutes 200 bytes whose offset in their buffer is a multiple of 4. */
function permute(bytes: Uint8Array): void {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, 50);
  swap32IfBE(words);
  keccakP(words);
  swap32IfBE(words);
}

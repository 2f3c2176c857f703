import { createAesCtr } from "#crypto";

import type { AesCtr } from "./aes.ts";
import { freeBuffer } from "./free-buffer.ts";
import { type FrameEngine, STATE, WINDOW_BYTES } from "./layout.ts";

/** What the handshake hands over for one direction. */
export interface FrameSecrets {
  /** 32 bytes, the key of the frame cipher. */
  readonly aesSecret: Uint8Array;
  /** 32 bytes, the key of the MAC's block cipher. */
  readonly macSecret: Uint8Array;
  /** `(macSecret XOR nonce) || handshake packet` as sent, which the MAC absorbs first. */
  readonly macSeed: Uint8Array;
}

/** Encrypting zeros yields the bare keystream, which one call makes for a whole batch of frames. */
const ZEROS = new Uint8Array(WINDOW_BYTES);
/** A call to the cipher costs as much as 4 KiB of its keystream: a single small message does not pay for one. */
const LEAST_KEYSTREAM_BYTES = 512;
const NOTHING = new Uint8Array(0);

/** One direction of a connection: its keystream and its MAC, lent to an engine until another one needs that. */
export class Direction {
  readonly engine: FrameEngine;
  readonly #cipher: AesCtr;
  readonly #state = new Uint8Array(STATE.bytes);
  /** Keystream that was made and not used before the last release: the first `#leftoverBytes` of this. */
  #leftover: Uint8Array = NOTHING;
  #leftoverBytes = 0;
  /** The unused keystream in the engine while this direction holds it. */
  #keystreamAt = 0;
  #keystreamEnd = 0;

  /** @param secrets - copied */
  constructor({ aesSecret, macSecret, macSeed }: FrameSecrets, engine: FrameEngine) {
    this.engine = engine;
    this.#cipher = createAesCtr(aesSecret);
    this.acquire();
    engine.window.set(macSecret);
    engine.reset();
    for (let at = 0; at < macSeed.length; at += WINDOW_BYTES) {
      const piece = macSeed.subarray(at, at + WINDOW_BYTES);
      engine.window.set(piece);
      engine.absorbSeed(piece.length);
    }
  }

  /**
   * Loads this direction into the engine, where it stays until another one is loaded; returns false when it was
   * there and the window is as it left it.
   */
  acquire(): boolean {
    const { engine } = this;
    if (engine.holder === this) return false;
    engine.holder?.release();
    engine.holder = this;
    engine.state.set(this.#state);
    this.#keystreamAt = 0;
    this.#keystreamEnd = this.#leftoverBytes;
    if (this.#keystreamEnd > 0) {
      engine.keystream.set(this.#leftover.subarray(0, this.#keystreamEnd));
    }
    return true;
  }

  /** Takes this direction's state out of the engine, if it is there. */
  release(): void {
    const { engine } = this;
    if (engine.holder !== this) return;
    engine.holder = undefined;
    this.#state.set(engine.state);
    const rest = this.#keystreamEnd - this.#keystreamAt;
    // What a burst left behind is not held any longer than it lasts.
    if (rest > this.#leftover.length || this.#leftover.length > 2 * LEAST_KEYSTREAM_BYTES) {
      this.#leftover = new Uint8Array(Math.max(rest, LEAST_KEYSTREAM_BYTES));
    }
    this.#leftover.set(engine.keystream.subarray(this.#keystreamAt, this.#keystreamEnd));
    this.#leftoverBytes = rest;
  }

  /**
   * Uses up `length` bytes of keystream and returns where they lie in the engine.
   *
   * @param length - multiple of 16, at most {@link WINDOW_BYTES}
   * @param ahead - if more must be made, how much to make at once
   */
  keystream(length: number, ahead: number = length): number {
    if (this.#keystreamEnd - this.#keystreamAt < length) this.#makeKeystream(length, ahead);
    const at = this.#keystreamAt;
    this.#keystreamAt += length;
    return at;
  }

  /** How much keystream is made already, which the next bytes have to use. */
  get keystreamLeft(): number {
    return this.#keystreamEnd - this.#keystreamAt;
  }

  /**
   * Encrypts or decrypts without the engine, which spares the keystream's way through its memory; to be called
   * when no keystream is left.
   *
   * @param data - multiple of 16 bytes; only read
   * @returns a new buffer, the caller's
   */
  crypt(data: Uint8Array): Uint8Array {
    return this.#cipher.update(data);
  }

  #makeKeystream(length: number, ahead: number): void {
    const { keystream } = this.engine;
    const rest = this.#keystreamEnd - this.#keystreamAt;
    if (rest > 0) keystream.copyWithin(0, this.#keystreamAt, this.#keystreamEnd);
    const most = Math.max(ahead & ~15, LEAST_KEYSTREAM_BYTES);
    const wanted = Math.max(length - rest, Math.min(most, WINDOW_BYTES - rest));
    const made = this.#cipher.update(ZEROS.subarray(0, wanted));
    keystream.set(made, rest);
    freeBuffer(made);
    this.#keystreamAt = 0;
    this.#keystreamEnd = rest + wanted;
  }
}

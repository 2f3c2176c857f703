import { ecb } from "@noble/ciphers/aes.js";
import { keccak_256 } from "@noble/hashes/sha3.js";

/**
 * One direction's rolling MAC: a keccak-256 state that absorbs everything sent and is asked for a tag
 * after each header and each frame. Written as the specification puts it, over `@noble` alone, so that
 * the engines can be held against it.
 *
 * @see devp2p rlpx.md §MAC
 */
export class RollingMac {
  readonly #macSecret: Uint8Array;
  readonly #hash: ReturnType<typeof keccak_256.create> = keccak_256.create();

  /**
   * @param macSecret - 32 bytes; copied
   * @param macSeed - absorbed first: `(macSecret XOR nonce) || handshake packet`, as sent
   */
  constructor(macSecret: Uint8Array, macSeed: Uint8Array) {
    this.#macSecret = macSecret.slice();
    this.#hash.update(macSeed);
  }

  /** Absorbs frame ciphertext, any length. */
  update(ciphertext: Uint8Array): void {
    this.#hash.update(ciphertext);
  }

  /** Absorbs a header's 16 bytes of ciphertext and returns its 16-byte tag. */
  headerTag(ciphertext: Uint8Array): Uint8Array {
    return this.#step(ciphertext);
  }

  /** Returns the 16-byte tag of the frame whose ciphertext has been absorbed. */
  frameTag(): Uint8Array {
    return this.#step(this.digest().subarray(0, 16));
  }

  /** The 32-byte keccak-256 of all that was absorbed; the state goes on. */
  digest(): Uint8Array {
    return this.#hash.clone().digest();
  }

  #step(seed: Uint8Array): Uint8Array {
    const aes = ecb(this.#macSecret, { disablePadding: true });
    const mixed = aes.encrypt(this.digest().subarray(0, 16));
    this.#hash.update(mixed.map((byte, i) => byte ^ (seed[i] ?? 0)));
    return this.digest().subarray(0, 16);
  }
}

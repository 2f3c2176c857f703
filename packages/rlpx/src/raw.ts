import { concatBytes, curve as fastestCurve, type Curve } from "@heddle/identity";
import { ecb } from "@noble/ciphers/aes.js";
import { keccak_256 } from "@noble/hashes/sha3.js";

import { createAesCtr } from "#crypto";
import type { AesCtr } from "./aes.ts";
import { openEcies, sealEcies, type RandomBytes } from "./ecies.ts";
import type { FrameSecrets } from "./frame.ts";

/** How a frame may differ from what {@link RlpxSession} would write. */
export interface RawFrameOptions {
  /** What the header states, 0 to 2^24-1; the length of the data by default. */
  readonly frameSize?: number;
  /** What follows the frame-size in the header, up to 13 bytes; `C2 80 80` by default. */
  readonly headerData?: Uint8Array;
  /** What the header is filled up to 16 bytes with; 0 by default. */
  readonly headerPadding?: number;
  /** What the data is filled up to 16 bytes with; 0 by default. */
  readonly padding?: number;
}

/**
 * Seals frames of any content, also such as no node may send: for testing what the other side makes of them.
 *
 * Written as the specification puts it, over `@noble` and independent of the engine that sessions use. Its MAC and
 * keystream go on from frame to frame, so that one connection can carry good frames and bad ones.
 *
 * @see devp2p rlpx.md §Framing, §MAC
 */
export class RawFrameWriter {
  readonly #cipher: AesCtr;
  readonly #macSecret: Uint8Array;
  readonly #mac: ReturnType<typeof keccak_256.create> = keccak_256.create();

  /** @param secrets - of the direction to write; copied */
  constructor({ aesSecret, macSecret, macSeed }: FrameSecrets) {
    this.#cipher = createAesCtr(aesSecret);
    this.#macSecret = macSecret.slice();
    this.#mac.update(macSeed);
  }

  /**
   * Seals the next frame.
   *
   * @param data - frame-data of any length, none included; only read
   * @returns header, header MAC (bytes 16 to 31), padded data and frame MAC (the last 16), owned by the caller
   * @throws RangeError when the header has no room for the size or the header data
   */
  seal(data: Uint8Array, options: RawFrameOptions = {}): Uint8Array {
    const header = this.#cipher.update(makeHeader(data.length, options));
    const headerMac = this.#step(header);
    const padded = new Uint8Array(Math.ceil(data.length / 16) * 16).fill(options.padding ?? 0);
    padded.set(data);
    const body = this.#cipher.update(padded);
    this.#mac.update(body);
    return concatBytes(header, headerMac, body, this.#step(this.#tag()));
  }

  #tag(): Uint8Array {
    return this.#mac.clone().digest().subarray(0, 16);
  }

  #step(seed: Uint8Array): Uint8Array {
    const mixed = ecb(this.#macSecret, { disablePadding: true }).encrypt(this.#tag());
    this.#mac.update(mixed.map((byte, i) => byte ^ (seed[i] ?? 0)));
    return this.#tag();
  }
}

function makeHeader(length: number, options: RawFrameOptions): Uint8Array {
  const { frameSize = length, headerData = DEFAULT_HEADER_DATA, headerPadding = 0 } = options;
  if (!Number.isInteger(frameSize) || frameSize < 0 || frameSize > 0xffffff) {
    throw new RangeError(`frame-size ${frameSize} is outside 0 to 16777215`);
  }
  if (headerData.length > 13) {
    throw new RangeError(`header-data of ${headerData.length} bytes exceeds 13`);
  }
  const header = new Uint8Array(16).fill(headerPadding);
  header.set([frameSize >> 16, frameSize >> 8, frameSize]);
  header.set(headerData, 3);
  return header;
}

/** The list [capability-id, context-id], both 0. */
const DEFAULT_HEADER_DATA = Uint8Array.of(0xc2, 0x80, 0x80);

/** What sealing a handshake packet depends on, beside its content. */
export interface RawHandshakeOptions {
  readonly curve?: Curve;
  /** `crypto.getRandomValues`, if not given. Asked for an ephemeral secret key (32 bytes) and an IV (16). */
  readonly randomBytes?: RandomBytes;
}

/**
 * Seals a handshake packet around any plaintext, its 2-byte size in front.
 *
 * @param publicKey - of the node it is for, 64 bytes
 * @param plaintext - normally the RLP list of auth or ack and padding behind it; at most 65,422 bytes
 * @returns 115 bytes more than the plaintext, also where {@link MAX_HANDSHAKE_SIZE} forbids that much
 * @throws RangeError when the size does not fit into its 2 bytes
 * @throws CurveError `ERR_CURVE_BAD_POINT` when `publicKey` is no point
 * @see EIP-8; devp2p rlpx.md §Initial Handshake
 */
export function sealHandshake(
  publicKey: Uint8Array,
  plaintext: Uint8Array,
  options: RawHandshakeOptions = {},
): Uint8Array {
  const size = plaintext.length + 65 + 16 + 32;
  if (size > 0xffff) throw new RangeError(`handshake packet size ${size} exceeds 65535`);
  const prefix = Uint8Array.of(size >> 8, size & 0xff);
  const sealed = sealEcies(options.curve ?? fastestCurve, publicKey, plaintext, {
    sharedInfo: prefix,
    randomBytes:
      options.randomBytes ?? ((length) => crypto.getRandomValues(new Uint8Array(length))),
  });
  return concatBytes(prefix, sealed);
}

/**
 * Opens a handshake packet and looks at nothing inside.
 *
 * @param secretKey - of the node it is for, 32 bytes
 * @param packet - its 2-byte size included
 * @returns the plaintext, padding included, owned by the caller
 * @throws {@link RemoteProtocolError} `ERR_RLPX_BAD_HANDSHAKE`
 */
export function openHandshake(
  secretKey: Uint8Array,
  packet: Uint8Array,
  curve: Curve = fastestCurve,
): Uint8Array {
  return openEcies(curve, secretKey, packet.subarray(2), packet.subarray(0, 2));
}

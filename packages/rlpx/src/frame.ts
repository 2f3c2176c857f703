import { createAesCtr } from "#aes";

import type { AesCtr } from "./aes.ts";
import { RemoteProtocolError } from "./errors.ts";
import { RollingMac } from "./mac.ts";

/** The largest `frame-data`, in bytes: what a 3-byte frame-size can say. */
export const MAX_FRAME_SIZE = 0xffffff;

/** What the handshake hands over for one direction. */
export interface FrameSecrets {
  /** 32 bytes, the key of the frame cipher. */
  readonly aesSecret: Uint8Array;
  /** 32 bytes, the key of the MAC's block cipher. */
  readonly macSecret: Uint8Array;
  /** `(macSecret XOR nonce) || handshake packet` as sent, which the MAC absorbs first. */
  readonly macSeed: Uint8Array;
}

const paddedTo16 = (size: number): number => (size + 15) & ~15;

/**
 * Encrypts and authenticates frames of one direction, in the order they are pushed.
 *
 * @see devp2p rlpx.md §Framing, §MAC
 */
export class FrameWriter {
  readonly #cipher: AesCtr;
  readonly #mac: RollingMac;
  #wire: Uint8Array[] = [];
  #pendingBytes = 0;

  /** @param secrets - copied */
  constructor(secrets: FrameSecrets) {
    this.#cipher = createAesCtr(secrets.aesSecret);
    this.#mac = new RollingMac(secrets.macSecret, secrets.macSeed);
  }

  /** Wire bytes that the next {@link take} will return. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Appends one frame whose `frame-data` is `head || body`.
   *
   * @param head - the message id in RLP, 1 to 5 bytes; copied
   * @param body - the payload, snappy-compressed or not; copied
   * @returns how many wire bytes the frame adds
   * @throws RangeError when `frame-data` would be empty or longer than {@link MAX_FRAME_SIZE}
   */
  push(head: Uint8Array, body: Uint8Array): number {
    const size = head.length + body.length;
    if (size < 1 || size > MAX_FRAME_SIZE) {
      throw new RangeError(`frame-data of ${size} bytes is outside 1 to ${MAX_FRAME_SIZE}`);
    }
    const plain = new Uint8Array(16 + paddedTo16(size));
    plain.set([size >> 16, size >> 8, size, 0xc2, 0x80, 0x80]);
    plain.set(head, 16);
    plain.set(body, 16 + head.length);
    const sealed = this.#cipher.update(plain);
    const headerTag = this.#mac.headerTag(sealed.subarray(0, 16));
    this.#mac.update(sealed.subarray(16));
    this.#wire.push(sealed.subarray(0, 16), headerTag, sealed.subarray(16), this.#mac.frameTag());
    this.#pendingBytes += plain.length + 32;
    return plain.length + 32;
  }

  /** Returns the wire bytes of all pending frames in one buffer, which the caller owns. */
  take(): Uint8Array {
    const out = new Uint8Array(this.#pendingBytes);
    let at = 0;
    for (const part of this.#wire) {
      out.set(part, at);
      at += part.length;
    }
    this.#wire = [];
    this.#pendingBytes = 0;
    return out;
  }
}

/**
 * Authenticates and decrypts the frames of one direction from chunks of any length.
 *
 * @see devp2p rlpx.md §Framing, §MAC
 */
export class FrameReader {
  readonly #cipher: AesCtr;
  readonly #mac: RollingMac;
  #buffer: Uint8Array = new Uint8Array(0);
  #end = 0;
  #start = 0;
  #frameSize: number | undefined;
  #failure: RemoteProtocolError | undefined;

  /** Largest frame-size accepted, in bytes; read when a header arrives, so it may change between frames. */
  maxFrameSize: number;

  /** @param secrets - copied */
  constructor(secrets: FrameSecrets & { readonly maxFrameSize: number }) {
    this.#cipher = createAesCtr(secrets.aesSecret);
    this.#mac = new RollingMac(secrets.macSecret, secrets.macSeed);
    this.maxFrameSize = secrets.maxFrameSize;
  }

  /** Appends bytes from the peer, any length; copied. */
  feed(chunk: Uint8Array): void {
    const used = this.#end - this.#start;
    if (this.#end + chunk.length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(used * 2, used + chunk.length));
      grown.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = grown;
      this.#start = 0;
      this.#end = used;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /**
   * Authenticates and decrypts the next frame, if all of it has arrived.
   *
   * @returns `frame-data`, owned by the caller, or `undefined` when more bytes are needed
   * @throws {@link RemoteProtocolError} `ERR_RLPX_BAD_HEADER_MAC`, `ERR_RLPX_BAD_FRAME_MAC`,
   * `ERR_RLPX_FRAME_SIZE`; the reader is dead afterwards and throws the same error again
   */
  next(): Uint8Array | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    this.#frameSize ??= this.#readHeader();
    if (this.#frameSize === undefined) return undefined;
    const padded = paddedTo16(this.#frameSize);
    const sealed = this.#read(padded + 16);
    if (sealed === undefined) return undefined;
    this.#mac.update(sealed.subarray(0, padded));
    if (!isEqualConstantTime(this.#mac.frameTag(), sealed.subarray(padded))) {
      this.#fail(new RemoteProtocolError("ERR_RLPX_BAD_FRAME_MAC", "frame MAC does not match"));
    }
    const data = this.#cipher.update(sealed.subarray(0, padded)).slice(0, this.#frameSize);
    this.#frameSize = undefined;
    return data;
  }

  #readHeader(): number | undefined {
    const sealed = this.#read(32);
    if (sealed === undefined) return undefined;
    if (!isEqualConstantTime(this.#mac.headerTag(sealed.subarray(0, 16)), sealed.subarray(16))) {
      this.#fail(new RemoteProtocolError("ERR_RLPX_BAD_HEADER_MAC", "header MAC does not match"));
    }
    const [high = 0, middle = 0, low = 0] = this.#cipher.update(sealed.subarray(0, 16));
    const size = (high << 16) | (middle << 8) | low;
    if (size < 1 || size > this.maxFrameSize) {
      const message = `frame-size ${size} is outside 1 to ${this.maxFrameSize}`;
      this.#fail(new RemoteProtocolError("ERR_RLPX_FRAME_SIZE", message));
    }
    return size;
  }

  #read(length: number): Uint8Array | undefined {
    if (this.#end - this.#start < length) return undefined;
    this.#start += length;
    return this.#buffer.slice(this.#start - length, this.#start);
  }

  #fail(error: RemoteProtocolError): never {
    this.#failure = error;
    throw error;
  }
}

/** Looks at every byte before it answers, so that timing does not tell where two MACs part. */
function isEqualConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

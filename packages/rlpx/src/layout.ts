/**
 * What a direction's rolling MAC keeps between two frames, and where: 25 keccak lanes, how many bytes
 * of the current 136-byte block are absorbed (u32), the current 16-byte tag, the expanded macSecret.
 */
export const STATE = { lanes: 0, position: 200, tag: 208, roundKeys: 224, bytes: 464 } as const;

/** Bytes of wire data an engine can hold at once; longer frames pass through in pieces. */
export const WINDOW_BYTES: number = 64 * 1024;

/** Where the WebAssembly engine keeps its buffers; the state is at 0. */
export const MEMORY = { digest: 960, window: 0x10000, keystream: 0x20000 } as const;

/**
 * Turns bytes in a window into sealed or opened ones, for one direction at a time.
 *
 * An engine serves every connection: a direction copies its state in, works on the window, and copies
 * its state out, so an idle connection owns nothing but {@link STATE}`.bytes` bytes and no slot ever has
 * to be given back. All offsets and lengths count bytes; body lengths are multiples of 16.
 */
export interface FrameEngine {
  /** Whoever's state is loaded now; it is released before another's is loaded. */
  holder: { release(): void } | undefined;
  /** The loaded state. */
  readonly state: Uint8Array;
  /** Wire bytes, {@link WINDOW_BYTES} long. */
  readonly window: Uint8Array;
  /** The 32-byte Keccak-256 digest that was settled last, by whatever state was loaded then. */
  readonly digest: Uint8Array;
  /** AES-CTR keystream for the window, as long. */
  readonly keystream: Uint8Array;

  /** Makes the loaded state that of an empty MAC, from the 32-byte macSecret at the start of the window. */
  reset(): void;
  /** Absorbs the first `length` bytes of the window and settles the tag. */
  absorbSeed(length: number): void;

  /** Seals the whole frames that fill `[0, end)`, laid out as on the wire with the MACs left blank. */
  sealFrames(end: number, keystreamAt: number): void;
  /** Seals the 16-byte header at `at` and writes its MAC behind it. */
  sealHeader(at: number, keystreamAt: number): void;
  /** Takes a piece of a frame that is ciphertext into the MAC. */
  absorbBody(at: number, length: number): void;
  /** Seals a piece of a frame. */
  sealBody(at: number, length: number, keystreamAt: number): void;
  /** Writes the MAC of the frame whose body was sealed in pieces. */
  sealTag(at: number): void;

  /** Verifies and opens the header at `at`; returns the frame-size it states, or -1 if its MAC is wrong. */
  openHeader(at: number, keystreamAt: number): number;
  /** Opens a piece of a frame, which is not authentic until {@link openTag} says so. */
  openBody(at: number, length: number, keystreamAt: number): void;
  /** Whether the 16 bytes at `at` are the MAC of the frame whose body was opened; in constant time. */
  openTag(at: number): boolean;
}

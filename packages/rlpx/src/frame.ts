import { borrowBuffer, returnBuffer } from "./buffer-pool.ts";
import { Direction, type FrameSecrets } from "./direction.ts";
import { sharedEngine } from "./engine.ts";
import { RemoteProtocolError } from "./errors.ts";
import { freeBuffer } from "./free-buffer.ts";
import { type FrameEngine, WINDOW_BYTES } from "./layout.ts";
import { ReadBuffer } from "./read-buffer.ts";

export type { FrameSecrets } from "./direction.ts";

/** The largest `frame-data`, in bytes: what a 3-byte frame-size can say. */
export const MAX_FRAME_SIZE = 0xffffff;

/** Header and header MAC; the frame's own MAC follows its padded data. */
const HEADER_BYTES = 32;
const MAC_BYTES = 16;
/** A frame that has not arrived whole is opened in pieces of at least this many bytes. */
const LEAST_PIECE_BYTES = 1024;
/** A batch that fills less than this part of its buffer leaves as a copy, so that the buffer can stay. */
const COPIED_PART = 1 / 4;
/** Keystream made ahead of what is known to be needed, at most. */
const KEYSTREAM_AHEAD_BYTES = 8192;
const NOTHING = new Uint8Array(0);

const paddedTo16 = (size: number): number => (size + 15) & ~15;

/**
 * Encrypts and authenticates frames of one direction, in the order they are pushed.
 *
 * Frames wait in the clear, laid out as on the wire, and are sealed in place a window at a time.
 *
 * @see devp2p rlpx.md §Framing, §MAC
 */
export class FrameWriter {
  readonly #direction: Direction;
  #wire: Uint8Array = NOTHING;
  #sealedTo = 0;
  #end = 0;
  /** Bytes of `[sealedTo, end)` that the cipher covers: all but the MACs. */
  #unsealedBytes = 0;

  /**
   * @param secrets - copied
   * @param engine - does the work; the one in which all connections seal unless told otherwise
   */
  constructor(secrets: FrameSecrets, engine: FrameEngine = sharedEngine("sealing")) {
    this.#direction = new Direction(secrets, engine);
  }

  /** Wire bytes that the next {@link take} will return. */
  get pendingBytes(): number {
    return this.#end;
  }

  /**
   * Appends one frame whose `frame-data` is `head || body`.
   *
   * @param head - the message id in RLP, 1 to 5 bytes; copied
   * @param body - the payload, snappy-compressed or not; copied
   * @returns how many wire bytes the frame adds
   * @throws RangeError when `frame-data` would be empty or longer than {@link MAX_FRAME_SIZE}; nothing has
   * changed then
   */
  push(head: Uint8Array, body: Uint8Array): number {
    const size = head.length + body.length;
    if (size < 1 || size > MAX_FRAME_SIZE) {
      throw new RangeError(`frame-data of ${size} bytes is outside 1 to ${MAX_FRAME_SIZE}`);
    }
    const padded = paddedTo16(size);
    const length = HEADER_BYTES + padded + MAC_BYTES;
    if (this.#end - this.#sealedTo + length > WINDOW_BYTES) this.#sealFrames();
    this.#reserve(length);
    const wire = this.#wire;
    const at = this.#end;
    const bodyAt = at + HEADER_BYTES + head.length;
    wire[at] = size >> 16;
    wire[at + 1] = size >> 8;
    wire[at + 2] = size;
    // header-data: the list [capability-id, context-id], both 0; readers ignore it.
    wire[at + 3] = 0xc2;
    wire[at + 4] = 0x80;
    wire[at + 5] = 0x80;
    // The buffer holds what was sent before, perhaps to somebody else: padding is zero.
    for (let i = at + 6; i < at + 16; i++) wire[i] = 0;
    for (let i = 0; i < head.length; i++) wire[at + HEADER_BYTES + i] = head[i] ?? 0;
    wire.set(body, bodyAt);
    for (let i = bodyAt + body.length; i < at + HEADER_BYTES + padded; i++) wire[i] = 0;
    this.#end = at + length;
    if (length > WINDOW_BYTES) this.#sealLongFrame(padded);
    else this.#unsealedBytes += 16 + padded;
    return length;
  }

  /**
   * Returns the wire bytes of all pending frames in one buffer, which the caller owns.
   *
   * Whoever has no more use for it gives it to {@link returnBuffer}, and the next batch needs no new one.
   */
  take(): Uint8Array {
    this.#sealFrames();
    const wire = this.#wire;
    const end = this.#end;
    this.#wire = NOTHING;
    this.#sealedTo = 0;
    this.#end = 0;
    if (end >= wire.length * COPIED_PART) return wire.subarray(0, end);
    const copy = wire.slice(0, end);
    returnBuffer(wire);
    return copy;
  }

  /** Makes room for `length` more bytes, of any content. */
  #reserve(length: number): void {
    const needed = this.#end + length;
    if (needed <= this.#wire.length) return;
    const grown = borrowBuffer(needed);
    grown.set(this.#wire.subarray(0, this.#end));
    returnBuffer(this.#wire);
    this.#wire = grown;
  }

  /** Seals the whole frames that wait, which together fit into the window. */
  #sealFrames(): void {
    const length = this.#end - this.#sealedTo;
    if (length === 0) return;
    const direction = this.#direction;
    const { engine } = direction;
    direction.acquire();
    engine.window.set(this.#wire.subarray(this.#sealedTo, this.#end));
    engine.sealFrames(length, direction.keystream(this.#unsealedBytes));
    this.#wire.set(engine.window.subarray(0, length), this.#sealedTo);
    this.#unsealedBytes = 0;
    this.#sealedTo = this.#end;
  }

  /** Seals the frame that was pushed last and is longer than the window. */
  #sealLongFrame(padded: number): void {
    const direction = this.#direction;
    const { engine } = direction;
    direction.acquire();
    let at = this.#sealedTo;
    engine.window.set(this.#wire.subarray(at, at + 16));
    engine.sealHeader(0, direction.keystream(16));
    this.#wire.set(engine.window.subarray(0, HEADER_BYTES), at);
    at += HEADER_BYTES;
    const end = at + padded;
    const made = Math.min(direction.keystreamLeft, padded);
    engine.window.set(this.#wire.subarray(at, at + made));
    engine.sealBody(0, made, direction.keystream(made));
    this.#wire.set(engine.window.subarray(0, made), at);
    at += made;
    while (at < end) {
      const length = Math.min(end - at, WINDOW_BYTES);
      const sealed = direction.crypt(this.#wire.subarray(at, at + length));
      engine.window.set(sealed);
      engine.absorbBody(0, length);
      this.#wire.set(sealed, at);
      freeBuffer(sealed);
      at += length;
    }
    engine.sealTag(0);
    this.#wire.set(engine.window.subarray(0, MAC_BYTES), at);
    this.#sealedTo = this.#end;
  }
}

/**
 * Authenticates and decrypts the frames of one direction from chunks of any length.
 *
 * Memory follows what has arrived, never what a header announces: a long frame is opened piece by piece
 * into a buffer that doubles. The caller bounds how much it feeds between calls of {@link next}.
 *
 * @see devp2p rlpx.md §Framing, §MAC
 */
export class FrameReader {
  /** Largest frame-size accepted, in bytes; read when a header arrives, so it may change between frames. */
  maxFrameSize: number;
  readonly #direction: Direction;
  readonly #input = new ReadBuffer();
  /** The frame-size of the frame being read; 0 while its header is awaited. */
  #frameSize = 0;
  /** Frame-data that was opened before the whole frame was there. */
  #opened: Uint8Array = NOTHING;
  #openedBytes = 0;
  #failure: RemoteProtocolError | undefined;

  /**
   * @param secrets - copied
   * @param engine - does the work; the one in which all connections open unless told otherwise
   */
  constructor(
    secrets: FrameSecrets & { readonly maxFrameSize: number },
    engine: FrameEngine = sharedEngine("opening"),
  ) {
    this.#direction = new Direction(secrets, engine);
    this.maxFrameSize = secrets.maxFrameSize;
  }

  /** Appends bytes from the peer, any length; copied. A dead reader drops them. */
  feed(chunk: Uint8Array): void {
    if (this.#failure === undefined) this.#input.append(chunk);
  }

  /**
   * Authenticates and decrypts the next frame, if all of it has arrived.
   *
   * Interop: go-ethereum authenticates a frame of size 0 and then finds no message id in it; here the
   * header is refused at once. Like go-ethereum, nothing in the header but the size is looked at.
   *
   * @returns `frame-data` (1 to {@link maxFrameSize} bytes), owned by the caller, or `undefined` when
   * more bytes are needed
   * @throws {@link RemoteProtocolError} `ERR_RLPX_BAD_HEADER_MAC`, `ERR_RLPX_BAD_FRAME_MAC`,
   * `ERR_RLPX_FRAME_SIZE` (0, or over {@link maxFrameSize}); the reader is dead afterwards and throws the
   * same error again
   */
  next(): Uint8Array | undefined {
    return this.use((frameData) => frameData.slice());
  }

  /**
   * As {@link next}, without a copy: what `read` makes of the frame-data is returned, and the frame-data itself is
   * overwritten as soon as `read` has returned.
   *
   * @throws as {@link next} does, and whatever `read` throws
   */
  use<T>(read: (frameData: Uint8Array) => T): T | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#direction.acquire()) this.#input.forgetWindow();
    const data = this.#readHeader() ? this.#readFrame() : undefined;
    if (data === undefined) {
      this.#input.settle();
      return undefined;
    }
    // Whoever is told of a last message may not ask for another one.
    if (this.#input.length === 0) this.#input.settle();
    try {
      return read(data);
    } finally {
      returnBuffer(data);
    }
  }

  /** Returns whether the header of the current frame is known. */
  #readHeader(): boolean {
    if (this.#frameSize > 0) return true;
    const available = this.#input.length;
    if (available < HEADER_BYTES) return false;
    const { engine } = this.#direction;
    const at = this.#input.load(HEADER_BYTES, engine.window);
    const size = engine.openHeader(at, this.#direction.keystream(16, this.#ahead()));
    if (size < 0) {
      this.#fail(new RemoteProtocolError("ERR_RLPX_BAD_HEADER_MAC", "header MAC does not match"));
    }
    if (size < 1 || size > this.maxFrameSize) {
      const message = `frame-size ${size} is outside 1 to ${this.maxFrameSize}`;
      this.#fail(new RemoteProtocolError("ERR_RLPX_FRAME_SIZE", message));
    }
    this.#input.consume(HEADER_BYTES);
    this.#frameSize = size;
    return true;
  }

  /** How much keystream to make at once: it is used up by what is there already. */
  #ahead(): number {
    // Half: of the smallest frame, 64 bytes, the cipher covers 32.
    return Math.min(this.#input.length >> 1, KEYSTREAM_AHEAD_BYTES);
  }

  #readFrame(): Uint8Array | undefined {
    const padded = paddedTo16(this.#frameSize);
    const isWhole = this.#openedBytes === 0 && this.#input.length >= padded + MAC_BYTES;
    if (!isWhole || padded + MAC_BYTES > WINDOW_BYTES) return this.#readLongFrame(padded);
    const { engine } = this.#direction;
    const at = this.#input.load(padded + MAC_BYTES, engine.window);
    engine.openBody(at, padded, this.#direction.keystream(padded, this.#ahead()));
    if (!engine.openTag(at + padded)) this.#failFrame();
    const data = engine.window.subarray(at, at + this.#frameSize);
    this.#input.consume(padded + MAC_BYTES);
    this.#frameSize = 0;
    return data;
  }

  /** Opens what has arrived of a frame that is long or incomplete; its data leaves only when authentic. */
  #readLongFrame(padded: number): Uint8Array | undefined {
    const { engine } = this.#direction;
    while (this.#openedBytes < padded) {
      const rest = padded - this.#openedBytes;
      const length = Math.min(this.#input.length & ~15, rest, WINDOW_BYTES);
      if (length < rest && length < LEAST_PIECE_BYTES) return undefined;
      this.#openPiece(length);
    }
    if (this.#input.length < MAC_BYTES) return undefined;
    if (!engine.openTag(this.#input.load(MAC_BYTES, engine.window))) this.#failFrame();
    this.#input.consume(MAC_BYTES);
    const data = this.#opened.subarray(0, this.#frameSize);
    this.#opened = NOTHING;
    this.#openedBytes = 0;
    this.#frameSize = 0;
    return data;
  }

  /** Opens the next `length` bytes of a body: with the keystream that is there already, then without any. */
  #openPiece(length: number): void {
    const direction = this.#direction;
    const { engine } = direction;
    const made = Math.min(direction.keystreamLeft, length);
    if (made > 0) {
      const at = this.#input.load(made, engine.window);
      engine.openBody(at, made, direction.keystream(made));
      this.#keep(engine.window.subarray(at, at + made));
      this.#input.consume(made);
    }
    const rest = length - made;
    if (rest === 0) return;
    const at = this.#input.load(rest, engine.window);
    engine.absorbBody(at, rest);
    const opened = direction.crypt(engine.window.subarray(at, at + rest));
    this.#keep(opened);
    freeBuffer(opened);
    this.#input.consume(rest);
  }

  /** Keeps a piece of frame-data, without the padding at its end. */
  #keep(piece: Uint8Array): void {
    const at = this.#openedBytes;
    const end = Math.min(at + piece.length, this.#frameSize);
    if (end > this.#opened.length) {
      // A few bytes of a frame that never comes must not hold a large buffer.
      const wanted = Math.min(Math.max(at * 2, end), this.#frameSize);
      const grown = wanted < WINDOW_BYTES / 2 ? new Uint8Array(wanted) : borrowBuffer(wanted);
      grown.set(this.#opened.subarray(0, at));
      returnBuffer(this.#opened);
      this.#opened = grown;
    }
    this.#opened.set(piece.subarray(0, end - at), at);
    this.#openedBytes = at + piece.length;
  }

  #failFrame(): never {
    this.#fail(new RemoteProtocolError("ERR_RLPX_BAD_FRAME_MAC", "frame MAC does not match"));
  }

  #fail(error: RemoteProtocolError): never {
    this.#failure = error;
    this.#direction.release();
    this.#input.clear();
    returnBuffer(this.#opened);
    this.#opened = NOTHING;
    throw error;
  }
}

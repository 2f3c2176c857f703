import { concatBytes, decodeRlp, encodeRlp, rlpItemLength } from "@heddle/identity";
import type { RlpValue } from "@heddle/identity";
import { BaseMessage, decodeDisconnect, UNREADABLE_REASON } from "@heddle/p2p";
import type { MessageCodec, WireMessage } from "@heddle/p2p";
import {
  compress,
  decompress,
  FrameReader,
  RawFrameWriter,
  RemoteProtocolError,
  SNAPPY_VERSION,
} from "@heddle/rlpx";
import type { RawFrameOptions, SessionSecrets } from "@heddle/rlpx";

/** How a message leaves when the script wants it otherwise than it should be. */
export interface FrameOptions extends RawFrameOptions {
  /** Sends the payload as it is, although messages are compressed: a Snappy body of the script's own, or none. */
  readonly isRaw?: boolean;
  /** Changes the sealed frame: its MACs, for one. */
  readonly damage?: (frame: Uint8Array) => Uint8Array;
}

/** A message and how it stood in its frame. */
export interface FramedMessage extends WireMessage {
  /** Behind the message id, compressed or not. */
  readonly raw: Uint8Array;
}

/** The largest frame, and the largest message, in bytes. */
const MAX_SIZE = 0xffffff;

/**
 * The frames of an RLPx session, right and wrong ones: what each of them does to the MAC and the keystream, the next
 * one goes on from.
 *
 * Nothing is checked on the way out. What comes in is read as strictly as in any session, but for sizes.
 *
 * @see devp2p rlpx.md §Framing
 */
export class ScriptedFrames implements MessageCodec {
  readonly #writer: RawFrameWriter;
  readonly #reader: FrameReader;
  #pending: Uint8Array[] = [];
  #isCompressed = false;

  /** @param secrets - of a handshake that is done: `ScriptedAuth` and `ScriptedAck` give them */
  constructor(secrets: SessionSecrets) {
    this.#writer = new RawFrameWriter(secrets.egress);
    this.#reader = new FrameReader({ ...secrets.ingress, maxFrameSize: MAX_SIZE });
  }

  /** Whether messages are compressed, as they are when both sides have said a version from 5 on. */
  get isCompressed(): boolean {
    return this.#isCompressed;
  }

  /**
   * Seals a message and does not send it.
   *
   * @param msgId - encoded as RLP, whatever it is
   * @throws RangeError as {@link sealData} does
   */
  seal(msgId: number | bigint, payload: Uint8Array, options: FrameOptions = {}): Uint8Array {
    const isPlain = !this.#isCompressed || options.isRaw === true;
    const body = isPlain ? payload : compress(payload);
    return this.sealData(concatBytes(encodeRlp(msgId), body), options);
  }

  /**
   * Seals any frame-data, none included, and does not send it.
   *
   * @returns header, header MAC (bytes 16 to 31), padded data and frame MAC (the last 16), owned by the caller
   * @throws RangeError when `frameSize` is over 2^24-1 or `headerData` over 13 bytes
   */
  sealData(data: Uint8Array, options: FrameOptions = {}): Uint8Array {
    const frame = this.#writer.seal(data, options);
    return options.damage?.(frame) ?? frame;
  }

  push(msgId: number, payload: Uint8Array): number {
    const frame = this.seal(msgId, payload);
    this.#pending.push(frame);
    return frame.length;
  }

  get pendingBytes(): number {
    return this.#pending.reduce((sum, { length }) => sum + length, 0);
  }

  take(): Uint8Array {
    return concatBytes(...this.#pending.splice(0));
  }

  feed(chunk: Uint8Array): void {
    this.#reader.feed(chunk);
  }

  /**
   * The next message, if all of it has come.
   *
   * @throws RemoteProtocolError, RlpError or Error when the other side breaks the framing
   */
  next(): FramedMessage | undefined {
    const data = this.#reader.next();
    if (data === undefined) return undefined;
    const length = rlpItemLength(data);
    const msgId = readId(decodeRlp(data.subarray(0, length)));
    const raw = data.subarray(length);
    return { msgId, raw, payload: this.#open(msgId, raw) };
  }

  helloAccepted(remoteVersion: number): void {
    this.#isCompressed = remoteVersion >= SNAPPY_VERSION;
  }

  /**
   * A Disconnect may have left before compression was agreed on, and some nodes never compress it: no form of one is
   * the Snappy block of another, so that what can be read as it stands is one.
   */
  #open(msgId: number, raw: Uint8Array): Uint8Array {
    if (msgId !== BaseMessage.disconnect) {
      return this.#isCompressed ? decompress(raw, MAX_SIZE) : raw;
    }
    if (decodeDisconnect(raw) !== UNREADABLE_REASON) return raw;
    try {
      return decompress(raw, MAX_SIZE);
    } catch (error) {
      if (error instanceof RemoteProtocolError) return raw;
      throw error;
    }
  }
}

function readId(value: RlpValue): number {
  if (!(value instanceof Uint8Array)) throw new Error("a message id is a list");
  return value.reduce((id, byte) => id * 256 + byte, 0);
}

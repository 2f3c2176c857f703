import { LocalProtocolError, RemoteProtocolError } from "./errors.ts";
import { returnBuffer } from "./buffer-pool.ts";
import { FrameReader, FrameWriter, MAX_FRAME_SIZE } from "./frame.ts";
import type { SessionSecrets } from "./secrets.ts";
import { compressBriefly, decompress, MIN_SEARCH_SIZE, storeBriefly } from "./snappy.ts";

/** The largest payload before compression, and the largest frame-data, in bytes. */
export const MAX_MESSAGE_SIZE: number = MAX_FRAME_SIZE;

/**
 * The largest payload until Hello is accepted, in bytes. Only Hello and Disconnect can come before it, whose
 * message ids take 1 byte more.
 */
export const MAX_HELLO_SIZE = 2048;

/** The message id of Disconnect, and the longest form in which its reason has been seen, in bytes. */
const DISCONNECT = 0x01;
const MAX_PLAIN_DISCONNECT = 4;

/** After messages that would not shrink, at most so many are sent as they are before the next attempt. */
const MAX_STORED_RUN = 31;

/** The largest message id: 4 bytes of RLP integer. */
export const MAX_MSG_ID = 0xffffffff;

/** The p2p version from which on messages after Hello are compressed. */
export const SNAPPY_VERSION = 5;

/** A message as it stands on the wire. */
export interface RlpxMessage {
  readonly msgId: number;
  /** RLP, decompressed, not checked; owned by the receiver. */
  readonly payload: Uint8Array;
}

/**
 * One authenticated channel: messages in and sealed bytes out, sealed bytes in and messages out.
 *
 * The two directions are independent. After the peer's fault the receiving one is dead; the sending one
 * goes on, so that the peer can be told why it is disconnected.
 *
 * @example
 * session.feed(chunk);
 * for (let m = session.next(); m !== undefined; m = session.next()) handle(m.msgId, m.payload);
 * @see devp2p rlpx.md §Framing
 */
export class RlpxSession {
  /** The peer's node id, 64 bytes, proven by the handshake. */
  readonly remoteId: Uint8Array;
  readonly #writer: FrameWriter;
  readonly #reader: FrameReader;
  #maxFrameSize = 1 + MAX_HELLO_SIZE;
  #isHelloAccepted = false;
  #isCompressed = false;
  /** How many more messages are stored without an attempt to compress them, and how many the next time. */
  #toStore = 0;
  #storedRun = 0;
  #failure: RemoteProtocolError | undefined;

  /**
   * @param remoteId - 64 bytes; copied
   * @param secrets - of a handshake that is done: `Initiator` and `Recipient` do this for you
   */
  constructor(remoteId: Uint8Array, secrets: SessionSecrets) {
    this.remoteId = new Uint8Array(remoteId);
    this.#writer = new FrameWriter(secrets.egress);
    this.#reader = new FrameReader({ ...secrets.ingress, maxFrameSize: this.#maxFrameSize });
  }

  /** Wire bytes that the next {@link take} returns. */
  get pendingBytes(): number {
    return this.#writer.pendingBytes;
  }

  /**
   * Seals one message into the pending batch.
   *
   * @param msgId - 0 to {@link MAX_MSG_ID}
   * @param payload - RLP, not compressed; read before this returns
   * @returns how many bytes the message takes on the wire
   * @throws {@link LocalProtocolError} `ERR_RLPX_MESSAGE_SIZE` when the payload is over 2^24-1 bytes, or message
   * id and compressed payload are together, or over 2048 bytes before {@link helloAccepted}; nothing has
   * changed then
   * @throws RangeError when `msgId` is no integer in range
   */
  push(msgId: number, payload: Uint8Array): number {
    if (payload.length > MAX_MESSAGE_SIZE) {
      throw oversized(`message of ${payload.length} bytes exceeds ${MAX_MESSAGE_SIZE}`);
    }
    const head = encodeMsgId(msgId);
    const body = this.#isCompressed ? this.#compress(payload) : payload;
    const size = head.length + body.length;
    if (size > this.#maxFrameSize) {
      throw oversized(`frame-size ${size} exceeds ${this.#maxFrameSize}`);
    }
    return this.#writer.push(head, body);
  }

  /** Returns the wire bytes of all pending messages, in one buffer that the caller owns. */
  take(): Uint8Array {
    return this.#writer.take();
  }

  /** Takes back what {@link take} returned, for a later batch; optional, and the caller's last touch of it. */
  giveBack(bytes: Uint8Array): void {
    returnBuffer(bytes);
  }

  /**
   * Takes bytes from the peer; {@link next} finds the messages in them.
   *
   * @param chunk - any length; copied, so the caller may reuse it
   * @throws {@link RemoteProtocolError} the error that {@link next} threw, once it has
   */
  feed(chunk: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#reader.feed(chunk);
  }

  /**
   * Returns the next message, if all of it has arrived.
   *
   * @throws {@link RemoteProtocolError} `ERR_RLPX_BAD_HEADER_MAC`, `ERR_RLPX_BAD_FRAME_MAC`, `ERR_RLPX_FRAME_SIZE`,
   * `ERR_RLPX_BAD_MSG_ID`, `ERR_RLPX_BAD_SNAPPY`, `ERR_RLPX_MESSAGE_SIZE`; the same one again when called afterwards
   */
  next(): RlpxMessage | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return this.#reader.use(this.#readMessage);
    } catch (error) {
      if (error instanceof RemoteProtocolError) this.#failure = error;
      throw error;
    }
  }

  /**
   * Lifts the limit of 2048 bytes to 2^24-1 and, if the peer can, compresses from here on in both directions.
   *
   * Call it when the peer's Hello is accepted and ours is pushed, before the next {@link next}.
   *
   * @param remoteVersion - p2p version in the peer's Hello
   * @throws {@link LocalProtocolError} `ERR_RLPX_HELLO_REPEATED` when called twice
   * @see EIP-706
   */
  helloAccepted(remoteVersion: number): void {
    if (this.#isHelloAccepted) {
      throw new LocalProtocolError("ERR_RLPX_HELLO_REPEATED", "a Hello was accepted before");
    }
    this.#isHelloAccepted = true;
    this.#isCompressed = remoteVersion >= SNAPPY_VERSION;
    this.#maxFrameSize = MAX_FRAME_SIZE;
    this.#reader.maxFrameSize = MAX_FRAME_SIZE;
  }

  readonly #readMessage = (frameData: Uint8Array): RlpxMessage => {
    const { msgId, length } = decodeMsgId(frameData);
    const body = frameData.subarray(length);
    return { msgId, payload: this.#isCompressed ? readCompressed(msgId, body) : body.slice() };
  };

  /**
   * What does not shrink, such as what is compressed or encrypted already, tends to come in runs: looking for
   * repeats in all of it would be a large part of the work of sending it.
   */
  #compress(payload: Uint8Array): Uint8Array {
    if (this.#toStore > 0) {
      this.#toStore -= 1;
      return storeBriefly(payload);
    }
    const body = compressBriefly(payload);
    if (payload.length < MIN_SEARCH_SIZE) return body;
    this.#storedRun =
      body.length < payload.length ? 0 : Math.min(this.#storedRun * 2 + 1, MAX_STORED_RUN);
    this.#toStore = this.#storedRun;
    return body;
  }
}

/**
 * Interop: EthereumJS always, and Nethermind when it has too many peers, send Disconnect uncompressed after
 * Hello. No encoding of a reason is the Snappy block of one, so what does not decompress is taken as it stands.
 */
function readCompressed(msgId: number, body: Uint8Array): Uint8Array {
  if (msgId !== DISCONNECT || body.length > MAX_PLAIN_DISCONNECT)
    return decompress(body, MAX_MESSAGE_SIZE);
  try {
    const payload = decompress(body, MAX_MESSAGE_SIZE);
    // A bare reason of 0x00 is also the Snappy block of nothing, which is no Disconnect.
    return payload.length === 0 ? body.slice() : payload;
  } catch (error) {
    if (error instanceof RemoteProtocolError) return body.slice();
    throw error;
  }
}

/** The message ids that are all but always used, each as its one byte. */
const SHORT_IDS: readonly Uint8Array[] = Array.from({ length: 0x80 }, (_, msgId) =>
  Uint8Array.of(msgId === 0 ? 0x80 : msgId),
);

/** Writes a message id as an RLP integer, 1 to 5 bytes, to be read only. */
function encodeMsgId(msgId: number): Uint8Array {
  const short = SHORT_IDS[msgId];
  if (short !== undefined) return short;
  if (!Number.isInteger(msgId) || msgId < 0 || msgId > MAX_MSG_ID) {
    throw new RangeError(`msgId ${msgId} is not an integer from 0 to ${MAX_MSG_ID}`);
  }
  const width = Math.ceil((32 - Math.clz32(msgId)) / 8);
  const encoded = new Uint8Array(1 + width);
  encoded[0] = 0x80 + width;
  for (let i = 0; i < width; i++) encoded[width - i] = msgId >>> (8 * i);
  return encoded;
}

/**
 * Reads the message id that frame-data starts with.
 *
 * Interop: geth writes ids from 128 on in 2 bytes and more, and takes any canonical integer up to 2^64-1; ids
 * above 2^32-1, which no set of shared capabilities reaches, are refused.
 */
function decodeMsgId(frameData: Uint8Array): { msgId: number; length: number } {
  const first = frameData[0];
  if (first === undefined) throw badMsgId("missing");
  if (first === 0x80) return { msgId: 0, length: 1 };
  if (first > 0 && first < 0x80) return { msgId: first, length: 1 };
  const width = first - 0x80;
  if (width < 1 || width > 4) throw badMsgId("not an integer of up to 4 bytes");
  if (frameData.length < 1 + width) throw badMsgId("cut off");
  let msgId = 0;
  for (let i = 1; i <= width; i++) msgId = msgId * 256 + (frameData[i] ?? 0);
  const isCanonical = frameData[1] !== 0 && msgId >= 0x80;
  if (!isCanonical) throw badMsgId("not canonical");
  return { msgId, length: 1 + width };
}

function badMsgId(detail: string): RemoteProtocolError {
  return new RemoteProtocolError("ERR_RLPX_BAD_MSG_ID", `bad message id: ${detail}`);
}

function oversized(message: string): LocalProtocolError {
  return new LocalProtocolError("ERR_RLPX_MESSAGE_SIZE", message);
}

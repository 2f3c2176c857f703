import { concatBytes, decodeRlp, encodeRlp, rlpItemLength } from "@heddle/identity";
import type { RlpValue } from "@heddle/identity";
import { compress, decompress, FrameReader, RawFrameWriter } from "@heddle/rlpx";
import type { RawFrameOptions, SessionSecrets } from "@heddle/rlpx";

import { Base } from "./hello.ts";
import type { End, Wire } from "./wire.ts";

/** A message from the node. */
export interface Received {
  readonly msgId: number;
  /** Decompressed where messages are compressed. */
  readonly payload: Uint8Array;
  /** As it stood in the frame. */
  readonly raw: Uint8Array;
}

/** How a message is written when the case wants it otherwise. */
export interface SendOptions extends RawFrameOptions {
  /** Sends the payload as it is, although messages are compressed. */
  readonly isRaw?: boolean;
  /** Changes the sealed frame: MACs, for one. */
  readonly damage?: (frame: Uint8Array) => Uint8Array;
}

/** Frames over a {@link Wire}, good ones and bad ones, after a handshake that has succeeded. */
export class RawSession {
  readonly wire: Wire;
  readonly #writer: RawFrameWriter;
  readonly #reader: FrameReader;
  /** Whether messages are compressed, as they are after Hello between nodes of version 5. */
  isCompressed = false;

  constructor(wire: Wire, secrets: SessionSecrets) {
    this.wire = wire;
    this.#writer = new RawFrameWriter(secrets.egress);
    this.#reader = new FrameReader({ ...secrets.ingress, maxFrameSize: 0xffffff });
  }

  /** Seals one message without sending it. */
  seal(msgId: number | bigint, payload: Uint8Array, options: SendOptions = {}): Uint8Array {
    const isPlain = !this.isCompressed || options.isRaw === true;
    const body = isPlain ? payload : compress(payload);
    return this.sealFrame(concatBytes(encodeRlp(msgId), body), options);
  }

  /** Seals frame-data without sending it. */
  sealFrame(data: Uint8Array, options: SendOptions = {}): Uint8Array {
    const frame = this.#writer.seal(data, options);
    return options.damage?.(frame) ?? frame;
  }

  /** Sends one message. */
  send(msgId: number | bigint, payload: Uint8Array, options: SendOptions = {}): Promise<void> {
    return this.wire.write(this.seal(msgId, payload, options));
  }

  /** Hands over bytes that came behind the handshake. */
  feed(bytes: Uint8Array): void {
    this.#reader.feed(bytes);
  }

  /**
   * Reads the next message.
   *
   * @param ms - for how long at most
   * @returns the message, how the connection ended, or undefined when neither came in time
   * @throws RemoteProtocolError, Error when the node itself breaks the framing: the case then fails
   */
  async read(ms: number): Promise<Received | End | undefined> {
    const deadline = Date.now() + ms;
    for (;;) {
      const data = this.#reader.next();
      if (data !== undefined) return this.#parse(data);
      const left = deadline - Date.now();
      const chunk = await this.wire.read(Math.max(0, left));
      if (!(chunk instanceof Uint8Array)) return chunk;
      this.#reader.feed(chunk);
    }
  }

  #parse(data: Uint8Array): Received {
    const length = rlpItemLength(data);
    const msgId = readId(decodeRlp(data.subarray(0, length)));
    const raw = data.subarray(length);
    return { msgId, raw, payload: this.isCompressed ? inflate(msgId, raw) : raw };
  }
}

/** A Disconnect may be from before compression, and from nodes that never compress it. */
function inflate(msgId: number, raw: Uint8Array): Uint8Array {
  try {
    return decompress(raw, 0xffffff);
  } catch (error) {
    if (msgId === Base.disconnect) return raw;
    throw error;
  }
}

function readId(value: RlpValue): number {
  if (!(value instanceof Uint8Array)) throw new Error("a message id is a list");
  return value.reduce((id, byte) => id * 256 + byte, 0);
}

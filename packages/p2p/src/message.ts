import { decodeRlp, RlpError } from "@heddle/identity";
import type { RlpValue } from "@heddle/identity";
import { freeBuffer, freeWholeBuffer } from "@heddle/rlpx";

import { RemoteProtocolError } from "./errors.ts";

/** Turns RLP bytes into a value of type T; throws `RlpError` (or a subclass) on bytes it refuses. */
export interface Decoder<T> {
  decode(payload: Uint8Array): T;
}

/**
 * One received message of a subprotocol. The payload is immutable by contract and stays valid for ever, unless
 * its reader releases it.
 */
export class Message {
  /** Relative to the protocol: 0 to length-1. */
  readonly code: number;
  /** One RLP item, not decoded yet, as it came from the peer. */
  readonly payload: Uint8Array;

  constructor(code: number, payload: Uint8Array) {
    this.code = code;
    this.payload = payload;
  }

  /** Payload length in bytes, uncompressed. */
  get size(): number {
    return this.payload.length;
  }

  /**
   * Frees the memory of the payload now, where it is large enough to matter; not calling it costs nothing but
   * work for the garbage collector.
   *
   * For protocols that pass hundreds of megabytes: nobody may look at the payload, or at what was decoded
   * from it as views, any more. Its length may be 0 afterwards.
   */
  release(): void {
    freeBuffer(this.payload);
  }

  /**
   * Decodes the payload: to plain byte strings and lists, or through `decoder` to what it makes of it.
   *
   * May be called any number of times. Without a decoder byte strings are copies; those of a schema are views into
   * {@link Message.payload}.
   *
   * @throws {@link RemoteProtocolError} `ERR_P2P_BAD_PAYLOAD`; thrown out of `run`, it ends the
   *   connection with 0x02
   */
  decode(): RlpValue;
  decode<T>(decoder: Decoder<T>): T;
  decode<T>(decoder?: Decoder<T>): T | RlpValue {
    try {
      return decoder === undefined ? decodeRlp(this.payload) : decoder.decode(this.payload);
    } catch (error) {
      if (!(error instanceof RlpError)) throw error;
      throw new RemoteProtocolError(
        "ERR_P2P_BAD_PAYLOAD",
        `message code ${this.code}: ${error.message}`,
        { cause: error },
      );
    }
  }
}

/**
 * As {@link Message.release}, by a part of the payload: for who has only what was decoded from it.
 *
 * @param part - a view into the payload of a message that nobody looks at any more
 */
export function releaseMessage(part: Uint8Array): void {
  freeWholeBuffer(part);
}

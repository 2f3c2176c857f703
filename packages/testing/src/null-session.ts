import { bytesEqual, concatBytes, nodeIdOf } from "@heddle/identity";
import {
  DisconnectReason,
  MAX_HELLO_SIZE,
  RemoteProtocolError,
  StreamEndedError,
} from "@heddle/p2p";
import type { ByteStream, MessageCodec, Session, SessionUpgrade, WireMessage } from "@heddle/p2p";
import {
  LocalProtocolError,
  MAX_MESSAGE_SIZE,
  MAX_MSG_ID,
  RemoteProtocolError as FrameError,
} from "@heddle/rlpx";

const ID_BYTES = 64;
/** Length of the payload and message id, 4 bytes each, big-endian. */
const HEADER_BYTES = 8;

/**
 * A session without cryptography, for simulations of many nodes: **for tests only**.
 *
 * Both sides send their node id, unproven, and then frames of length, message id and payload in the
 * clear. The size limits are RLPx's; nothing is compressed, so sizes on the wire differ.
 *
 * @example
 * new Server({ session: nullSession, transport: network.transport("10.0.0.1"), key, clientId });
 */
export const nullSession: SessionUpgrade = async (stream, { secretKey, remoteId, signal }) => {
  stream.write(idOf(secretKey).slice());
  const { id, rest } = await readId(stream, signal);
  if (remoteId !== undefined && !bytesEqual(id, remoteId)) {
    throw new RemoteProtocolError(
      "ERR_P2P_IDENTITY_MISMATCH",
      "null session: the node that answers is not the one that was dialed",
      { reason: DisconnectReason.unexpectedIdentity },
    );
  }
  const codec = new NullCodec();
  codec.feed(rest);
  return { remoteId: id, stream, codec } satisfies Session;
};

/** A server has one key for all its connections, and deriving the id is what costs most here. */
const ids = new WeakMap<Uint8Array, Uint8Array>();

function idOf(secretKey: Uint8Array): Uint8Array {
  const known = ids.get(secretKey);
  if (known !== undefined) return known;
  const id = nodeIdOf(secretKey);
  ids.set(secretKey, id);
  return id;
}

function readId(
  stream: ByteStream,
  signal: AbortSignal,
): Promise<{ id: Uint8Array; rest: Uint8Array }> {
  return new Promise((resolve, reject) => {
    let received: Uint8Array = new Uint8Array(0);
    const settle = (outcome: () => void): void => {
      signal.removeEventListener("abort", onAbort);
      outcome();
    };
    const onAbort = (): void => settle(() => reject(signal.reason as Error));
    stream.open({
      data(chunk) {
        received = concatBytes(received, chunk);
        if (received.length < ID_BYTES) return;
        stream.pause();
        const id = received.slice(0, ID_BYTES);
        settle(() => resolve({ id, rest: received.subarray(ID_BYTES) }));
      },
      drain: () => undefined,
      end: () => settle(() => reject(new StreamEndedError())),
      close: (error) => settle(() => reject(new StreamEndedError(error))),
    });
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    stream.resume();
  });
}

class NullCodec implements MessageCodec {
  #outgoing: Uint8Array[] = [];
  #incoming: Uint8Array[] = [];
  #buffered = 0;
  #maxSize = MAX_HELLO_SIZE;
  pendingBytes = 0;

  push(msgId: number, payload: Uint8Array): number {
    if (!Number.isInteger(msgId) || msgId < 0 || msgId > MAX_MSG_ID) {
      throw new RangeError(`msgId ${msgId} is not an integer from 0 to ${MAX_MSG_ID}`);
    }
    if (payload.length > this.#maxSize) {
      const problem = `message of ${payload.length} bytes exceeds ${this.#maxSize}`;
      throw new LocalProtocolError("ERR_RLPX_MESSAGE_SIZE", problem);
    }
    const frame = new Uint8Array(HEADER_BYTES + payload.length);
    const header = new DataView(frame.buffer);
    header.setUint32(0, payload.length);
    header.setUint32(4, msgId);
    frame.set(payload, HEADER_BYTES);
    this.#outgoing.push(frame);
    this.pendingBytes += frame.length;
    return frame.length;
  }

  take(): Uint8Array {
    const [first] = this.#outgoing;
    const taken =
      this.#outgoing.length === 1 && first !== undefined ? first : concatBytes(...this.#outgoing);
    this.#outgoing = [];
    this.pendingBytes = 0;
    return taken;
  }

  feed(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#incoming.push(chunk.slice());
    this.#buffered += chunk.length;
  }

  next(): WireMessage | undefined {
    if (this.#buffered < HEADER_BYTES) return undefined;
    const head = this.#gather(HEADER_BYTES);
    const header = new DataView(head.buffer, head.byteOffset);
    const size = header.getUint32(0);
    if (size > this.#maxSize) {
      throw new FrameError("ERR_RLPX_FRAME_SIZE", `frame-size ${size} exceeds ${this.#maxSize}`);
    }
    const end = HEADER_BYTES + size;
    if (this.#buffered < end) return undefined;
    const frame = this.#gather(end);
    this.#incoming[0] = frame.subarray(end);
    if (frame.length === end) this.#incoming.shift();
    this.#buffered -= end;
    return { msgId: header.getUint32(4), payload: frame.slice(HEADER_BYTES, end) };
  }

  helloAccepted(): void {
    this.#maxSize = MAX_MESSAGE_SIZE;
  }

  /** Joins what waits, unless the first chunk has `length` bytes: each byte is moved once a message. */
  #gather(length: number): Uint8Array {
    const [first] = this.#incoming;
    if (first !== undefined && first.length >= length) return first;
    const joined = concatBytes(...this.#incoming);
    this.#incoming = [joined];
    return joined;
  }
}

import { nodeIdOf } from "@heddle/identity";
import type { MessageCodec, SessionUpgrade, WireMessage } from "@heddle/p2p";

import { heddleOver } from "./heddle.ts";
import type { BenchPeer } from "./peer.ts";

const ID_BYTES = 64;
const HEADER_BYTES = 6;
const BATCH_BYTES = 64 * 1024;
/** A batch that is not fuller goes out as a copy, and its buffer stays. */
const COPIED_BYTES = 4 * 1024;

/** Length and id before each payload; no secrecy, no authenticity, no compression. */
class NullCodec implements MessageCodec {
  #batch = new Uint8Array(BATCH_BYTES);
  #view = new DataView(this.#batch.buffer);
  #input: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  /** Bytes of the message that has begun to arrive, with its header, as far as known. */
  #need = 0;
  pendingBytes = 0;

  push(msgId: number, payload: Uint8Array): number {
    const size = HEADER_BYTES + payload.length;
    this.#reserve(size);
    this.#view.setUint32(this.pendingBytes, payload.length);
    this.#view.setUint16(this.pendingBytes + 4, msgId);
    this.#batch.set(payload, this.pendingBytes + HEADER_BYTES);
    this.pendingBytes += size;
    return size;
  }

  take(): Uint8Array {
    const used = this.pendingBytes;
    this.pendingBytes = 0;
    if (used <= COPIED_BYTES) return this.#batch.slice(0, used);
    const batch = this.#batch.subarray(0, used);
    this.#batch = new Uint8Array(BATCH_BYTES);
    this.#view = new DataView(this.#batch.buffer);
    return batch;
  }

  feed(chunk: Uint8Array): void {
    const rest = this.#end - this.#at;
    if (rest === 0) {
      this.#input = chunk.slice();
      this.#at = 0;
      this.#end = chunk.length;
      return;
    }
    if (this.#end + chunk.length > this.#input.length) {
      const input = new Uint8Array(Math.max(rest + chunk.length, this.#need));
      input.set(this.#input.subarray(this.#at, this.#end));
      this.#input = input;
      this.#at = 0;
      this.#end = rest;
    }
    this.#input.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  next(): WireMessage | undefined {
    const [input, at] = [this.#input, this.#at];
    const have = this.#end - at;
    if (have < HEADER_BYTES) return undefined;
    const length =
      (input[at] ?? 0) * 2 ** 24 +
      (((input[at + 1] ?? 0) << 16) | ((input[at + 2] ?? 0) << 8) | (input[at + 3] ?? 0));
    this.#need = HEADER_BYTES + length;
    if (have < this.#need) return undefined;
    const from = at + HEADER_BYTES;
    this.#at = from + length;
    this.#need = 0;
    const msgId = ((input[at + 4] ?? 0) << 8) | (input[at + 5] ?? 0);
    return { msgId, payload: input.subarray(from, from + length) };
  }

  helloAccepted(): void {}

  #reserve(bytes: number): void {
    const needed = this.pendingBytes + bytes;
    if (needed <= this.#batch.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#batch.length * 2));
    larger.set(this.#batch.subarray(0, this.pendingBytes));
    this.#batch = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** Both sides say who they are, and are believed. */
const nullUpgrade: SessionUpgrade = (stream, { secretKey, nodeId, signal }) =>
  new Promise((resolve, reject) => {
    const codec = new NullCodec();
    let received = new Uint8Array(0);
    const fail = (): void => reject(new Error("the stream ended before the id had come"));
    stream.write(nodeId ?? nodeIdOf(secretKey));
    stream.open({
      data(chunk) {
        received = Uint8Array.of(...received, ...chunk);
        if (received.length < ID_BYTES) return;
        stream.pause();
        codec.feed(received.subarray(ID_BYTES));
        resolve({ remoteId: received.slice(0, ID_BYTES), stream, codec });
      },
      drain: () => undefined,
      end: fail,
      close: fail,
    });
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    stream.resume();
  });

/** Heddle's mux and API alone: the same as `heddle` over a session without cryptography. */
export const nullSession: BenchPeer = heddleOver(nullUpgrade);

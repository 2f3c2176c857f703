import type { Prepared } from "../payload.ts";
import type { Count, Link } from "./peer.ts";

const HEADER_BYTES = 6;
const BATCH_BYTES = 64 * 1024;
/** A batch that is not fuller goes out as a copy, and its buffer stays. */
const COPIED_BYTES = 4 * 1024;
const foo = new TextEncoder().encode("foo");
const bar = new TextEncoder().encode("bar");

/** The same codes as elsewhere. */
const DATA = 0;
const MARK = 1;
const COUNT = 2;
const WORD = 3;

/** A byte pipe that frames travel over: a socket, or a stream of a multiplexer. */
export interface Pipe {
  /** The bytes are the pipe's from now on. */
  write(bytes: Uint8Array): unknown;
  /** Whether to wait for {@link drained} before more is written. */
  isFull(): boolean;
  drained(): Promise<unknown>;
}

/** What a {@link FrameReader} hands out: a view into what was fed. */
type OnFrame = (code: number, payload: Uint8Array) => void;

/**
 * Cuts frames (4 bytes length, 1 byte code, 1 byte zero, payload) out of chunks; a frame within one chunk
 * is not copied.
 */
export class FrameReader {
  readonly #onFrame: OnFrame;
  #rest: Uint8Array[] = [];
  #have = 0;
  #need = HEADER_BYTES;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  feed(chunk: Uint8Array): void {
    if (this.#have === 0) return this.#cut(chunk);
    this.#rest.push(chunk);
    this.#have += chunk.length;
    if (this.#have < this.#need) return;
    const joined = new Uint8Array(this.#have);
    let at = 0;
    for (const part of this.#rest) {
      joined.set(part, at);
      at += part.length;
    }
    this.#rest = [];
    this.#have = 0;
    this.#need = HEADER_BYTES;
    this.#cut(joined);
  }

  #cut(bytes: Uint8Array): void {
    let at = 0;
    this.#need = HEADER_BYTES;
    while (bytes.length - at >= HEADER_BYTES) {
      const length =
        (bytes[at] ?? 0) * 2 ** 24 +
        (((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0));
      const end = at + HEADER_BYTES + length;
      if (end > bytes.length) {
        this.#need = end - at;
        break;
      }
      this.#onFrame(bytes[at + 4] ?? 0, bytes.subarray(at + HEADER_BYTES, end));
      at = end;
    }
    if (at === bytes.length) return;
    this.#rest = [bytes.subarray(at)];
    this.#have = bytes.length - at;
  }
}

/** Makes one frame of its own buffer. */
export function frame(code: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  setHeader(bytes, 0, code, payload.length);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

function setHeader(bytes: Uint8Array, at: number, code: number, length: number): void {
  bytes[at] = length >>> 24;
  bytes[at + 1] = length >>> 16;
  bytes[at + 2] = length >>> 8;
  bytes[at + 3] = length;
  bytes[at + 4] = code;
  bytes[at + 5] = 0;
}

/**
 * Writes frames in batches of 64 KiB, the last one when the event loop comes round; large payloads go
 * out as they are, uncopied, behind their header.
 */
export class BatchWriter {
  readonly #pipe: Pipe;
  #batch = new Uint8Array(BATCH_BYTES);
  #used = 0;
  #isScheduled = false;

  constructor(pipe: Pipe) {
    this.#pipe = pipe;
  }

  write(code: number, payload: Uint8Array): Promise<unknown> | undefined {
    const size = HEADER_BYTES + payload.length;
    if (this.#used + size > BATCH_BYTES) this.flush();
    if (size > BATCH_BYTES / 4) {
      this.#reserveHeader(code, payload.length);
      this.flush();
      this.#pipe.write(payload);
    } else {
      this.#reserveHeader(code, payload.length);
      this.#batch.set(payload, this.#used);
      this.#used += payload.length;
      this.#schedule();
    }
    return this.#pipe.isFull() ? this.#pipe.drained() : undefined;
  }

  flush(): void {
    if (this.#used === 0) return;
    if (this.#used <= COPIED_BYTES) {
      this.#pipe.write(this.#batch.slice(0, this.#used));
    } else {
      this.#pipe.write(this.#batch.subarray(0, this.#used));
      this.#batch = new Uint8Array(BATCH_BYTES);
    }
    this.#used = 0;
  }

  #reserveHeader(code: number, length: number): void {
    setHeader(this.#batch, this.#used, code, length);
    this.#used += HEADER_BYTES;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }
}

/** How a stack without messages of its own sends frames. */
export type SendFrame = (code: number, payload: Uint8Array) => Promise<unknown> | undefined;

/** The serving side over frames: counts, tells, says bar to foo. */
export function answerFrames(send: SendFrame): OnFrame {
  let [messages, bytes] = [0, 0];
  return (code, payload) => {
    if (code === DATA) {
      messages += 1;
      bytes += payload.length;
    } else if (code === MARK) {
      void send(COUNT, new Uint8Array(Float64Array.of(messages, bytes).buffer));
      messages = 0;
      bytes = 0;
    } else if (code === WORD && isWord(payload, foo)) {
      void send(WORD, bar);
    }
  };
}

/** The driving side over frames: what arrives goes to `onFrame`, what is asked for waits here. */
export class FrameCaller {
  readonly #send: SendFrame;
  #waiting: ((payload: Uint8Array) => void) | undefined;
  readonly onFrame: OnFrame = (_code, payload) => this.#waiting?.(payload);

  constructor(send: SendFrame) {
    this.#send = send;
  }

  send(payload: Prepared): Promise<unknown> | undefined {
    return this.#send(DATA, payload.rlp);
  }

  async finish(): Promise<Count> {
    const reply = await this.#ask(MARK, new Uint8Array(0));
    const [messages = 0, bytes = 0] = new Float64Array(Uint8Array.from(reply).buffer);
    return { messages, bytes };
  }

  async roundTrip(): Promise<void> {
    if (!isWord(await this.#ask(WORD, foo), bar)) throw new Error("got something else for foo");
  }

  #ask(code: number, payload: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
      void this.#send(code, payload);
    });
  }
}

/** A link of callers, one per channel. */
export function linkOf(callers: readonly FrameCaller[], close: () => void): Link {
  const at = (channel: number): FrameCaller => {
    const caller = callers[channel];
    if (caller === undefined) throw new Error(`channel ${channel} is not open`);
    return caller;
  };
  return {
    send: (channel, payload) => at(channel).send(payload),
    finish: (channel) => at(channel).finish(),
    roundTrip: () => at(0).roundTrip(),
    close,
  };
}

function isWord(payload: Uint8Array, word: Uint8Array): boolean {
  return payload.length === word.length && word.every((byte, i) => payload[i] === byte);
}

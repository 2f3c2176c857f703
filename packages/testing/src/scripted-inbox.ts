import { Message } from "@heddle/p2p";
import type { Clock, MessageCodec } from "@heddle/p2p";

import { Deadline } from "./deadline.ts";
import { ExpectationError } from "./expectation-error.ts";
import type { FramedMessage } from "./scripted-frames.ts";
import type { ScriptedWire, StreamEnd } from "./scripted-wire.ts";

/** Messages and bytes that may wait to be expected; above either, reading stops. */
const MAX_WAITING = 4_096;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** A message of any protocol, as it came; its `code` is its message id on the wire. */
export class ScriptedMessage extends Message {
  /** As it stood in its frame, compressed or not; the payload where the session knows no frames. */
  readonly raw: Uint8Array;

  constructor(msgId: number, payload: Uint8Array, raw: Uint8Array = payload) {
    super(msgId, payload);
    this.raw = raw;
  }

  /** Counted over all protocols. */
  get msgId(): number {
    return this.code;
  }
}

/** How an expectation waits. */
export interface ExpectOptions {
  /** In milliseconds of the peer's clock; what the peer was made with by default. */
  readonly timeoutMs?: number;
  /** Drops messages until the expected one comes; false by default: it must be the next. */
  readonly skipOthers?: boolean;
}

/** One message that is waited for. */
export interface ReadRequest extends ExpectOptions {
  readonly expected: string;
  /** Messages that are looked at; others stay where they are. All by default. */
  readonly concerns?: (message: Message) => boolean;
  readonly accepts: (message: Message) => boolean;
}

/** What the owner of an inbox does with messages. */
interface InboxEvents {
  /** Sees each message first; false keeps it out of the inbox. */
  arrived(message: Message): boolean;
  describe(message: { msgId: number; payload: Uint8Array }): string;
}

/** What a scripted peer has received and not yet expected, and the waits for more. */
export class ScriptedInbox {
  readonly #wire: ScriptedWire;
  readonly #codec: MessageCodec;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #events: InboxEvents;
  readonly #waiting: ScriptedMessage[] = [];
  #waitingBytes = 0;
  #wakes: (() => void)[] = [];
  #isPaused = false;
  #ended: StreamEnd | undefined;
  #broken: { readonly cause: unknown } | undefined;

  constructor(
    { wire, codec }: { wire: ScriptedWire; codec: MessageCodec },
    { clock, timeoutMs }: { clock: Clock; timeoutMs: number },
    events: InboxEvents,
  ) {
    this.#wire = wire;
    this.#codec = codec;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#events = events;
    // After the owner is constructed: the codec may hold messages that came behind the handshake.
    queueMicrotask(() => {
      this.#pump();
      wire.handTo({
        data: (chunk) => this.#receive(chunk),
        ended: (how) => this.#end(how),
        changed: this.#wake,
      });
    });
  }

  pause(): void {
    this.#isPaused = true;
    this.#wire.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#readOn();
  }

  async read({ expected, concerns, accepts, ...options }: ReadRequest): Promise<ScriptedMessage> {
    const deadline = new Deadline(this.#clock, options.timeoutMs ?? this.#timeoutMs, this.#wake);
    try {
      for (;;) {
        const message = this.#take(concerns);
        if (message === undefined) {
          await this.#more(expected, deadline);
        } else if (accepts(message)) {
          return message;
        } else if (options.skipOthers !== true) {
          throw this.#unexpected(expected, message);
        }
      }
    } finally {
      deadline.clear();
    }
  }

  /** The next message, or how the stream ended; undefined when neither came in time. */
  async next(
    timeoutMs: number = this.#timeoutMs,
  ): Promise<ScriptedMessage | StreamEnd | undefined> {
    const deadline = new Deadline(this.#clock, timeoutMs, this.#wake);
    try {
      for (;;) {
        const message = this.#take();
        if (message !== undefined) return message;
        if (this.#broken === undefined && this.#ended !== undefined) return this.#ended;
        if (this.#broken === undefined && deadline.hasPassed) return undefined;
        await this.#more("a message", deadline);
      }
    } finally {
      deadline.clear();
    }
  }

  async readEnd(options: ExpectOptions = {}): Promise<StreamEnd> {
    const expected = "the end of the stream";
    const deadline = new Deadline(this.#clock, options.timeoutMs ?? this.#timeoutMs, this.#wake);
    try {
      for (;;) {
        const message = this.#take();
        if (message !== undefined) {
          if (options.skipOthers !== true) throw this.#unexpected(expected, message);
        } else if (this.#ended !== undefined && this.#broken === undefined) {
          return this.#ended;
        } else {
          await this.#more(expected, deadline);
        }
      }
    } finally {
      deadline.clear();
    }
  }

  async drained(options: ExpectOptions = {}): Promise<void> {
    const deadline = new Deadline(this.#clock, options.timeoutMs ?? this.#timeoutMs, this.#wake);
    try {
      while (!this.#wire.isWritable) await this.#more("what was sent to be read", deadline);
    } finally {
      deadline.clear();
    }
  }

  #take(concerns: (message: Message) => boolean = () => true): ScriptedMessage | undefined {
    const index = this.#waiting.findIndex(concerns);
    if (index < 0) return undefined;
    const [message] = this.#waiting.splice(index, 1);
    this.#waitingBytes -= message?.size ?? 0;
    this.#readOn();
    return message;
  }

  /** Waits for anything to happen. @throws ExpectationError when nothing more can, or in time */
  async #more(expected: string, deadline: Deadline): Promise<void> {
    if (this.#broken !== undefined) {
      const { cause } = this.#broken;
      const what = cause instanceof Error ? cause.message : String(cause);
      const got = `bytes that are no message: ${what}`;
      throw new ExpectationError("ERR_TESTING_BROKEN", expected, got, { cause });
    }
    if (this.#ended !== undefined) {
      throw new ExpectationError("ERR_TESTING_ENDED", expected, "the end of the stream");
    }
    if (deadline.hasPassed) {
      const got = `nothing within ${deadline.ms} ms`;
      throw new ExpectationError("ERR_TESTING_TIMEOUT", expected, got);
    }
    await new Promise<void>((resolve) => this.#wakes.push(resolve));
  }

  #unexpected(expected: string, { code, payload }: Message): ExpectationError {
    const received = { msgId: code, payload };
    const got = this.#events.describe(received);
    return new ExpectationError("ERR_TESTING_UNEXPECTED", expected, got, { received });
  }

  #receive(chunk: Uint8Array): void {
    if (this.#broken !== undefined) return;
    try {
      this.#codec.feed(chunk);
    } catch (cause) {
      this.#broken = { cause };
    }
    this.#pump();
  }

  #pump(): void {
    try {
      while (this.#broken === undefined) {
        const wire: Partial<FramedMessage> | undefined = this.#codec.next();
        if (wire?.msgId === undefined || wire.payload === undefined) break;
        const message = new ScriptedMessage(wire.msgId, wire.payload, wire.raw);
        if (!this.#events.arrived(message)) continue;
        this.#waiting.push(message);
        this.#waitingBytes += message.size;
      }
    } catch (cause) {
      this.#broken = { cause };
    }
    if (this.#isFull) this.#wire.pause();
    this.#wake();
  }

  get #isFull(): boolean {
    return this.#waiting.length >= MAX_WAITING || this.#waitingBytes >= MAX_WAITING_BYTES;
  }

  #readOn(): void {
    if (!this.#isPaused && !this.#isFull) this.#wire.resume();
  }

  #end(how: StreamEnd): void {
    this.#ended = how;
    // As a peer in good order does: nothing is left to say on a stream that the other side has ended.
    if (how === "end") this.#wire.finish();
    this.#wake();
  }

  readonly #wake = (): void => {
    for (const wake of this.#wakes.splice(0)) wake();
  };
}

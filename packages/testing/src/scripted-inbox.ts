import { Message } from "@heddle/p2p";
import type { Clock, Session } from "@heddle/p2p";

import { ExpectationError } from "./expectation-error.ts";

/** Messages and bytes that may wait to be expected; above either, reading stops. */
const MAX_WAITING = 4_096;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

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
  readonly #session: Session;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #events: InboxEvents;
  readonly #waiting: Message[] = [];
  #waitingBytes = 0;
  #wakes: (() => void)[] = [];
  #isWritable = true;
  #isPaused = false;
  /** The stream's end, and what broke it if something did. */
  #ended: { readonly cause: unknown } | undefined;
  #broken: { readonly cause: unknown } | undefined;

  constructor(
    session: Session,
    { clock, timeoutMs }: { clock: Clock; timeoutMs: number },
    events: InboxEvents,
  ) {
    this.#session = session;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#events = events;
    session.stream.open({
      data: (chunk) => this.#receive(chunk),
      drain: () => {
        this.#isWritable = true;
        this.#wake();
      },
      end: () => {
        session.stream.end();
        this.#end(undefined);
      },
      close: (error) => this.#end(error),
    });
    // After the owner is constructed: the codec may hold messages that came behind the handshake.
    queueMicrotask(() => {
      this.#pump();
      this.#readOn();
    });
  }

  write(bytes: Uint8Array): void {
    this.#isWritable = this.#session.stream.write(bytes);
  }

  pause(): void {
    this.#isPaused = true;
    this.#session.stream.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#readOn();
  }

  async read({ expected, concerns, accepts, ...options }: ReadRequest): Promise<Message> {
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

  async readEnd(options: ExpectOptions = {}): Promise<void> {
    const expected = "the end of the stream";
    const deadline = new Deadline(this.#clock, options.timeoutMs ?? this.#timeoutMs, this.#wake);
    try {
      for (;;) {
        const message = this.#take();
        if (message !== undefined) {
          if (options.skipOthers !== true) throw this.#unexpected(expected, message);
        } else if (this.#ended !== undefined && this.#broken === undefined) {
          return;
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
      while (!this.#isWritable) await this.#more("what was sent to be read", deadline);
    } finally {
      deadline.clear();
    }
  }

  #take(concerns: (message: Message) => boolean = () => true): Message | undefined {
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
      const { cause } = this.#ended;
      const got = "the end of the stream";
      throw new ExpectationError("ERR_TESTING_ENDED", expected, got, { cause });
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
      this.#session.codec.feed(chunk);
    } catch (cause) {
      this.#broken = { cause };
    }
    this.#pump();
  }

  #pump(): void {
    try {
      while (this.#broken === undefined) {
        const wire = this.#session.codec.next();
        if (wire === undefined) break;
        const message = new Message(wire.msgId, wire.payload);
        if (!this.#events.arrived(message)) continue;
        this.#waiting.push(message);
        this.#waitingBytes += message.size;
      }
    } catch (cause) {
      this.#broken = { cause };
    }
    if (this.#isFull) this.#session.stream.pause();
    this.#wake();
  }

  get #isFull(): boolean {
    return this.#waiting.length >= MAX_WAITING || this.#waitingBytes >= MAX_WAITING_BYTES;
  }

  #readOn(): void {
    if (!this.#isPaused && !this.#isFull) this.#session.stream.resume();
  }

  #end(cause: unknown): void {
    this.#ended ??= { cause };
    this.#wake();
  }

  readonly #wake = (): void => {
    for (const wake of this.#wakes.splice(0)) wake();
  };
}

/** When a wait gives up. */
class Deadline {
  readonly ms: number;
  hasPassed = false;
  readonly #clock: Clock;
  readonly #timer: unknown;

  constructor(clock: Clock, ms: number, passed: () => void) {
    this.ms = ms;
    this.#clock = clock;
    this.#timer = clock.setTimeout(() => {
      this.hasPassed = true;
      passed();
    }, ms);
  }

  clear(): void {
    this.#clock.clearTimeout(this.#timer);
  }
}

import { Disconnect, DisconnectReason } from "@heddle/p2p";
import type { Clock, Message, MessageReadWriter, Peer } from "@heddle/p2p";

import { Envelope, seal } from "./envelope.ts";
import type { RequestId } from "./envelope.ts";
import { HandlerError, isEnd } from "./errors.ts";
import { badPayload, handlerFault, unexpectedCode } from "./faults.ts";
import type { AnyHandler, NotifyKind, Plan, RequestKind } from "./plan.ts";
import { Requests } from "./requests.ts";
import { ConnectionCounters, createContext } from "./runtime-context.ts";
import type { AnyContext } from "./runtime-context.ts";
import { errorWithin } from "./schema/errors.ts";
import { sendPayload } from "./send.ts";

/** Messages read ahead while handlers are busy and replies are waited for. */
const MAX_READ_AHEAD = 64;

/** Bytes read ahead; the message that crosses the bound is the last. */
const MAX_READ_AHEAD_BYTES = 1024 * 1024;

/** How one connection's handlers run. */
export interface ConnectionOptions {
  readonly concurrency: number;
  readonly maxPending: number;
}

type Incoming = { readonly kind: NotifyKind | RequestKind; readonly message: Message };

const ignore = (): void => undefined;

/** One typed protocol on one connection: its requests, and the handlers of what the peer sends. */
export class TypedConnection {
  readonly context: AnyContext;
  /** Rejects with what ends the connection from inside; never resolves. */
  readonly failed: Promise<never>;
  readonly #plan: Plan;
  readonly #peer: Peer;
  readonly #rw: MessageReadWriter;
  readonly #clock: Clock;
  readonly #options: ConnectionOptions;
  readonly #requests: Requests;
  readonly #counters: ConnectionCounters;
  /** Messages whose handler cannot start yet, in order. */
  readonly #waiting: Incoming[] = [];
  #waitingBytes = 0;
  /** Handlers that have not finished, and replies that are not accepted for sending yet. */
  #running = 0;
  /** A notification's handler runs: what came after it waits. */
  #isHeld = false;
  #isStopped = false;
  /** For each kind without ids, the sending of the last reply: the next one follows it. */
  readonly #lastReply = new Map<RequestKind, Promise<void>>();
  #wake: (() => void) | undefined;
  #reject: (error: unknown) => void = ignore;

  constructor(
    plan: Plan,
    peer: Peer,
    rw: MessageReadWriter,
    options: ConnectionOptions & { readonly state: unknown; readonly remote: unknown },
  ) {
    this.#plan = plan;
    this.#peer = peer;
    this.#rw = rw;
    this.#clock = rw.clock;
    this.#options = options;
    this.#counters = new ConnectionCounters(plan);
    this.#requests = new Requests({
      rw,
      clock: this.#clock,
      signal: peer.signal,
      maxPending: options.maxPending,
      countersOf: (kind) => this.#counters.ofRequest(kind),
      started: () => this.#changed(),
    });
    this.failed = new Promise<never>((_resolve, reject) => (this.#reject = reject));
    this.failed.catch(ignore);
    this.context = createContext({
      plan,
      peer,
      rw,
      requests: this.#requests,
      counters: this.#counters,
      state: options.state,
      remote: options.remote,
    });
  }

  /** Reads until the connection ends and every handler has finished; never rejects. */
  async read(): Promise<void> {
    const { signal } = this.#peer;
    let timer: unknown;
    // A companion's reads go on until those that require it have ended, which may wait for a reply.
    const onAbort = (): void => {
      timer = this.#clock.setTimeout(() => this.#requests.end(), 0);
      this.#changed();
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    for await (const message of this.#rw) {
      this.#accept(message);
      while (this.#mustPause()) await this.#nextChange();
    }
    this.#clock.clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    this.#requests.end();
    while (this.#running > 0) await this.#nextChange();
  }

  /** Starts no more handlers: the protocol is done with this peer. */
  stop(): void {
    this.#isStopped = true;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#changed();
  }

  #accept(message: Message): void {
    const incoming = this.#plan.byCode.get(message.code);
    try {
      if (incoming === undefined) throw unexpectedCode(this.#plan, message.code);
      if (incoming.type === "reply") {
        this.#requests.receive(incoming.kind, message);
        return;
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#isStopped) return;
    if (this.#waiting.length === 0 && this.#canStart()) {
      this.#start(incoming, message);
    } else {
      this.#waiting.push({ kind: incoming, message });
      this.#waitingBytes += message.payload.length;
    }
  }

  /**
   * With every handler busy, one message waits and reading stops. Replies must still get through,
   * because a busy handler may be waiting for one: then a bounded number of messages is read ahead.
   */
  #mustPause(): boolean {
    if (this.#waiting.length === 0 || this.#peer.signal.aborted) return false;
    const mayReadAhead =
      this.#waiting.length < MAX_READ_AHEAD && this.#waitingBytes < MAX_READ_AHEAD_BYTES;
    return this.#requests.size === 0 || !mayReadAhead;
  }

  #canStart(): boolean {
    return !this.#isHeld && this.#running < this.#options.concurrency;
  }

  #start(kind: NotifyKind | RequestKind, message: Message): void {
    try {
      if (kind.type === "notify") this.#notify(kind, message);
      else this.#serve(kind, message);
    } catch (error) {
      this.#fail(error);
    }
  }

  #notify(kind: NotifyKind, message: Message): void {
    const counters = this.#counters.ofNotify(kind);
    counters.received += 1;
    if (kind.handler === undefined) {
      counters.ignored += 1;
      return;
    }
    let value: unknown;
    try {
      value = kind.schema.decode(message.payload);
    } catch (error) {
      throw badPayload(error, kind.label, kind.name);
    }
    const result = this.#handle(kind.handler, kind.label, value);
    if (!isThenable(result)) return;
    this.#isHeld = true;
    this.#running += 1;
    void Promise.resolve(result).then(
      () => this.#finish(true),
      (error: unknown) => this.#fail(handlerFault(error, kind.label, this.#peer.signal), true),
    );
  }

  #serve(kind: RequestKind, message: Message): void {
    const { handler, request } = kind;
    if (handler === undefined) {
      throw new Disconnect(DisconnectReason.subprotocolError, `${request}: no handler`);
    }
    let id: RequestId | undefined;
    let value: unknown;
    try {
      if (kind.hasIds) {
        const envelope = new Envelope(message.payload);
        ({ id } = envelope);
        value = envelope.open(kind.schema);
      } else {
        value = kind.schema.decode(message.payload);
      }
    } catch (error) {
      throw badPayload(error, request, kind.name);
    }
    const result = this.#handle(handler, request, value);
    this.#running += 1;
    if (kind.hasIds && !isThenable(result)) {
      this.#reply(kind, id, result).then(this.#served, this.#notServed);
      return;
    }
    const before = this.#lastReply.get(kind);
    const sent = this.#replyLater(kind, id, result, before);
    if (!kind.hasIds) this.#lastReply.set(kind, sent.catch(ignore));
    sent.then(this.#served, this.#notServed);
  }

  async #replyLater(
    kind: RequestKind,
    id: RequestId | undefined,
    result: unknown,
    before: Promise<void> | undefined,
  ): Promise<void> {
    let value: unknown;
    try {
      value = await result;
    } catch (error) {
      throw handlerFault(error, kind.request, this.#peer.signal);
    }
    await before;
    await this.#reply(kind, id, value);
  }

  #reply(kind: RequestKind, id: RequestId | undefined, value: unknown): Promise<void> {
    let payload: Uint8Array;
    try {
      payload =
        id === undefined ? kind.replySchema.encode(value) : seal(id, kind.replySchema, value);
    } catch (error) {
      return Promise.reject(new HandlerError(kind.request, errorWithin(error, kind.replyName)));
    }
    this.#counters.ofRequest(kind).served += 1;
    return sendPayload(this.#rw, kind.replyCode, payload);
  }

  readonly #served = (): void => this.#finish(false);
  readonly #notServed = (error: unknown): void => this.#fail(error, false);

  #handle(handler: AnyHandler, label: string, value: unknown): unknown {
    try {
      return handler(this.context, value);
    } catch (error) {
      throw handlerFault(error, label, this.#peer.signal);
    }
  }

  #finish(wasHeld: boolean): void {
    this.#running -= 1;
    if (wasHeld) this.#isHeld = false;
    while (!this.#isStopped && this.#canStart()) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#waitingBytes -= next.message.payload.length;
      this.#start(next.kind, next.message);
    }
    this.#changed();
  }

  /** @param wasHeld - given by a handler that has ended, undefined before one has started */
  #fail(error: unknown, wasHeld?: boolean): void {
    // Once the connection is over, what fails for that very reason is no news.
    if (!isEnd(error, this.#peer.signal)) {
      this.stop();
      this.#reject(error);
    }
    if (wasHeld !== undefined) this.#finish(wasHeld);
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

import { DisconnectedError, LocalProtocolError, RemoteProtocolError } from "@heddle/p2p";
import type { Clock, Message, MessageReadWriter } from "@heddle/p2p";
import { RlpError } from "@heddle/identity";

import type { CallOptions } from "./context.ts";
import { DeadlineTimer } from "./deadline.ts";
import { Envelope, seal } from "./envelope.ts";
import { BadReply, PeerGone, RequestTimeout } from "./errors.ts";
import { checkReplyBytes, checkTimeout } from "./messages.ts";
import { badPayload } from "./faults.ts";
import type { RequestKind } from "./plan.ts";
import { errorWithin } from "./schema/errors.ts";
import { sendPayload } from "./send.ts";
import type { RequestCounters } from "./stats.ts";

/** What the requests of one connection need. */
export interface RequestsOptions {
  readonly rw: MessageReadWriter;
  readonly clock: Clock;
  /** The connection's signal: aborts with a `DisconnectedError`. */
  readonly signal: AbortSignal;
  /** Most requests that may wait for a reply at once. */
  readonly maxPending: number;
  readonly countersOf: (kind: RequestKind) => RequestCounters;
  /** A request was made: replies are waited for now. */
  readonly started: () => void;
}

interface Pending {
  readonly key: number;
  readonly kind: RequestKind;
  readonly startedAt: number;
  readonly timeoutMs: number;
  readonly maxReplyBytes: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Stops listening to the caller's signal. */
  release: (() => void) | undefined;
  /** Settled before its reply came; only those that are matched in order are kept. */
  isAbandoned: boolean;
}

const ignore = (): void => undefined;

/**
 * Our requests on one connection that wait for their replies.
 *
 * Replies are matched by id, or by order for the kinds that have none; there a request that was given
 * up keeps its place until its reply has come. One that could not be sent gives its place up.
 */
export class Requests {
  readonly #options: RequestsOptions;
  /** By wire id, or for kinds without ids by a negative number. */
  readonly #pending = new Map<number, Pending>();
  readonly #inOrder = new Map<RequestKind, Pending[]>();
  #abandoned = 0;
  #lastId = 0;
  #lastKey = 0;
  readonly #deadlines: DeadlineTimer;
  #hasEnded = false;

  constructor(options: RequestsOptions) {
    this.#options = options;
    this.#deadlines = new DeadlineTimer(options.clock, (now) => this.#expire(now));
  }

  /** How many wait for a reply. */
  get size(): number {
    return this.#pending.size;
  }

  /**
   * Sends a request.
   *
   * The promise may be dropped: its rejection never counts as unhandled.
   *
   * @throws SchemaValueError, RangeError at once
   */
  call(kind: RequestKind, value: unknown, options: CallOptions = {}): Promise<unknown> {
    const { timeoutMs = kind.timeoutMs, maxReplyBytes = kind.maxReplyBytes } = options;
    if (options.timeoutMs !== undefined) checkTimeout(timeoutMs);
    if (options.maxReplyBytes !== undefined) checkReplyBytes(maxReplyBytes);
    const key = kind.hasIds ? ++this.#lastId : --this.#lastKey;
    const payload = encode(kind, key, value);
    const refusal = this.#refusal(kind, options.signal);
    const promise = new Promise<unknown>((resolve, reject) => {
      if (refusal !== undefined) {
        reject(refusal.reason);
        return;
      }
      const startedAt = this.#options.clock.now();
      const pending: Pending = {
        key,
        kind,
        startedAt,
        timeoutMs,
        maxReplyBytes,
        resolve,
        reject,
        release: undefined,
        isAbandoned: false,
      };
      this.#start(pending, payload, options.signal);
    });
    promise.catch(ignore);
    return promise;
  }

  /**
   * Takes a reply.
   *
   * @throws RemoteProtocolError for one that nobody can have asked for, or that cannot be read
   */
  receive(kind: RequestKind, message: Message): void {
    let pending: Pending | undefined;
    if (!this.#hasEnded) {
      pending = kind.hasIds
        ? this.#match(kind, this.#readReply(kind, message), message)
        : this.#matchInOrder(kind, message);
    }
    if (pending === undefined) this.#options.countersOf(kind).late += 1;
  }

  /** The connection is over: what waits is rejected, and every later call. */
  end(): void {
    this.#hasEnded = true;
    this.#deadlines.stop();
    for (const pending of this.#pending.values()) {
      this.#settle(pending);
      pending.reject(this.#gone(pending.kind));
    }
    this.#inOrder.clear();
  }

  #refusal(kind: RequestKind, signal: AbortSignal | undefined): { reason: unknown } | undefined {
    if (this.#hasEnded || this.#options.signal.aborted) return { reason: this.#gone(kind) };
    if (signal?.aborted === true) return { reason: signal.reason };
    const { maxPending } = this.#options;
    if (this.#pending.size + this.#abandoned < maxPending) return undefined;
    const problem = `${maxPending} requests are waiting for replies, and no more may`;
    return {
      reason: new LocalProtocolError(
        "ERR_PROTOCOL_TOO_MANY_PENDING",
        `${kind.request}: ${problem}`,
      ),
    };
  }

  #start(pending: Pending, payload: Uint8Array, signal: AbortSignal | undefined): void {
    const { kind, startedAt, timeoutMs } = pending;
    this.#pending.set(pending.key, pending);
    if (!kind.hasIds) this.#queueOf(kind).push(pending);
    this.#deadlines.arm(startedAt + timeoutMs);
    // The connection's own signal needs no listener: its end rejects everything.
    if (signal !== undefined && signal !== this.#options.signal) {
      const cancel = (): void => {
        this.#options.countersOf(kind).cancelled += 1;
        this.#giveUp(pending, signal.reason);
      };
      signal.addEventListener("abort", cancel, { once: true });
      pending.release = () => signal.removeEventListener("abort", cancel);
    }
    sendPayload(this.#options.rw, kind.code, payload).then(
      () => void (this.#options.countersOf(kind).sent += 1),
      (error: unknown) => this.#notSent(pending, error),
    );
    this.#options.started();
  }

  /** A request never left: whether it still waits or was given up, no reply to it can come. */
  #notSent(pending: Pending, error: unknown): void {
    const { key, kind } = pending;
    const queue = kind.hasIds ? [] : this.#queueOf(kind);
    const place = queue.indexOf(pending);
    if (place !== -1) {
      queue.splice(place, 1);
      if (pending.isAbandoned) this.#abandoned -= 1;
    }
    if (!this.#pending.has(key)) return;
    this.#settle(pending);
    pending.reject(error instanceof DisconnectedError ? new PeerGone(kind.request, error) : error);
  }

  #readReply(kind: RequestKind, message: Message): Envelope {
    try {
      return new Envelope(message.payload);
    } catch (error) {
      throw badPayload(error, kind.reply, kind.replyName);
    }
  }

  #match(kind: RequestKind, envelope: Envelope, message: Message): Pending | undefined {
    const { id } = envelope;
    // None of ours is larger than a number holds.
    const pending = typeof id === "number" ? this.#pending.get(id) : undefined;
    if (pending !== undefined) {
      if (pending.kind !== kind) throw this.#refuseWrongCode(pending, kind);
      this.#answer(pending, message, (schema) => envelope.open(schema));
      return pending;
    }
    if (typeof id !== "number" || id < 1 || id > this.#lastId) {
      throw new RemoteProtocolError(
        "ERR_PROTOCOL_UNKNOWN_REQUEST",
        `${kind.reply}: answers a request that was never made`,
      );
    }
    return undefined;
  }

  #matchInOrder(kind: RequestKind, message: Message): Pending | undefined {
    const pending = this.#queueOf(kind).shift();
    if (pending === undefined) {
      throw new RemoteProtocolError(
        "ERR_PROTOCOL_UNKNOWN_REQUEST",
        `${kind.reply}: answers a request that was never made`,
      );
    }
    if (pending.isAbandoned) {
      this.#abandoned -= 1;
      return undefined;
    }
    this.#answer(pending, message, (schema) => schema.decode(message.payload));
    return pending;
  }

  #answer(
    pending: Pending,
    message: Message,
    open: (schema: RequestKind["replySchema"]) => unknown,
  ): void {
    const { kind, maxReplyBytes } = pending;
    this.#settle(pending);
    if (message.payload.length > maxReplyBytes) {
      const problem = `${message.payload.length} bytes, at most ${maxReplyBytes} were to come`;
      pending.reject(new BadReply(kind.request, problem));
      throw new RemoteProtocolError("ERR_PROTOCOL_REPLY_TOO_BIG", `${kind.reply}: ${problem}`);
    }
    let value: unknown;
    try {
      value = open(kind.replySchema);
    } catch (error) {
      const fault = badPayload(error, kind.reply, kind.replyName);
      const problem = error instanceof RlpError ? error.message : "the reply cannot be read";
      pending.reject(new BadReply(kind.request, problem, fault));
      throw fault;
    }
    this.#options.countersOf(kind).answer(this.#options.clock.now() - pending.startedAt);
    pending.resolve(value);
  }

  #refuseWrongCode(pending: Pending, came: RequestKind): RemoteProtocolError {
    this.#settle(pending);
    const fault = new RemoteProtocolError(
      "ERR_PROTOCOL_WRONG_REPLY",
      `${came.reply}: answers ${pending.kind.request}, which has another reply`,
    );
    pending.reject(new BadReply(pending.kind.request, `answered by ${came.reply}`, fault));
    return fault;
  }

  /** Rejects a request whose reply may still come. */
  #giveUp(pending: Pending, reason: unknown): void {
    this.#settle(pending);
    if (!pending.kind.hasIds) {
      pending.isAbandoned = true;
      this.#abandoned += 1;
    }
    pending.reject(reason);
  }

  #settle(pending: Pending): void {
    this.#pending.delete(pending.key);
    pending.release?.();
    pending.release = undefined;
  }

  #queueOf(kind: RequestKind): Pending[] {
    let queue = this.#inOrder.get(kind);
    if (queue === undefined) this.#inOrder.set(kind, (queue = []));
    return queue;
  }

  #expire(now: number): number {
    let next = Infinity;
    for (const pending of this.#pending.values()) {
      const deadline = pending.startedAt + pending.timeoutMs;
      if (deadline > now) {
        next = Math.min(next, deadline);
      } else {
        this.#options.countersOf(pending.kind).timedOut += 1;
        this.#giveUp(pending, new RequestTimeout(pending.kind.request, pending.timeoutMs));
      }
    }
    return next;
  }

  #gone(kind: RequestKind): PeerGone {
    const { reason } = this.#options.signal as { reason: unknown };
    return new PeerGone(kind.request, reason instanceof DisconnectedError ? reason : undefined);
  }
}

function encode(kind: RequestKind, id: number, value: unknown): Uint8Array {
  try {
    return kind.hasIds ? seal(id, kind.schema, value) : kind.schema.encode(value);
  } catch (error) {
    throw errorWithin(error, kind.name);
  }
}

import { encodeRlp } from "@heddle/identity";
import type { RlpInput } from "@heddle/identity";
import { LocalProtocolError as RlpxLocalError } from "@heddle/rlpx";

import type { SharedCapability } from "./capability.ts";
import type { Clock } from "./clock.ts";
import { count } from "./counters.ts";
import type { ProtocolCounters } from "./counters.ts";
import { LocalProtocolError } from "./errors.ts";
import type { Inbox } from "./inbox.ts";
import { messageCost } from "./inbox.ts";
import type { Message } from "./message.ts";
import { show } from "./option.ts";
import { OutQueue } from "./outbox.ts";
import type { Outgoing } from "./outbox.ts";
import type { MessageReadWriter, Protocol, ReadOptions, SendOptions } from "./protocol.ts";
import type { ReceiveWindow } from "./window.ts";

/** The largest payload that can be sent, in bytes: RLPx sizes have 24 bits. */
export const MAX_MESSAGE_SIZE: number = 2 ** 24 - 1;

/** A smaller payload fits a frame however badly it compresses, so that nothing is left to be told of it. */
const SURE_TO_FIT = 1024 * 1024;

/** Bounds of what one protocol may have waiting to be sent, in bytes of cost. */
export interface SendLimits {
  /** `send()` resolves at once below it. */
  readonly highWaterMark: number;
  /** `send()` rejects above it: somebody does not await. */
  readonly maxQueued: number;
}

/** What a channel asks of the mux it belongs to; one object for all channels of a connection. */
export interface ChannelOwner {
  enqueue(channel: Channel, item: Outgoing): void;
  provide(channel: Channel, context: unknown): void;
  sent(channel: Channel, code: number, payload: Uint8Array): void;
  /** A message is dropped, and whoever sent it may not look. Once for each kind of refusal. */
  refused(channel: Channel, error: LocalProtocolError): void;
}

const KEEP: SendOptions = {};
const ACCEPTED: Promise<void> = Promise.resolve();

/** One shared protocol on one connection: its inbox, its outgoing queue and the `rw` of its `run`. */
export class Channel implements MessageReadWriter {
  readonly capability: SharedCapability<Protocol>;
  readonly inbox: Inbox;
  readonly queue: OutQueue = new OutQueue();
  readonly counters: ProtocolCounters;
  readonly clock: Clock;
  readonly #owner: ChannelOwner;
  readonly #limits: SendLimits;
  #error: Error | undefined;
  /** The refusals that were told of, by their code. */
  #refusals: Map<string, LocalProtocolError> | undefined;
  /** How much the other side may have on its way and in the inbox; only with flow control. */
  window: ReceiveWindow | undefined;
  /** Set while the inbox is full: fires when nothing has been taken for too long. */
  stallTimer: unknown;
  /** False when a protocol it requires is not shared: its messages are discarded. */
  isRunnable = true;

  constructor(options: {
    capability: SharedCapability<Protocol>;
    inbox: Inbox;
    counters: ProtocolCounters;
    owner: ChannelOwner;
    limits: SendLimits;
    clock: Clock;
  }) {
    this.clock = options.clock;
    this.capability = options.capability;
    this.inbox = options.inbox;
    this.counters = options.counters;
    this.#owner = options.owner;
    this.#limits = options.limits;
  }

  get version(): number {
    return this.capability.version;
  }

  /** `name/version`. */
  get label(): string {
    return `${this.capability.name}/${this.capability.version}`;
  }

  /** The code as people read it: `foo/2 blob(0x04)`. */
  describe(code: number): string {
    const hex = `0x${code.toString(16).padStart(2, "0")}`;
    const name = this.capability.protocol.messageNames?.[code];
    return name === undefined ? `${this.label} ${hex}` : `${this.label} ${name}(${hex})`;
  }

  read(options?: ReadOptions): Promise<Message> {
    return this.inbox.read(options);
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    return this.inbox.iterate();
  }

  send(code: number, value: RlpInput): Promise<void> {
    return this.sendEncoded(code, encodeRlp(value));
  }

  sendItems(code: number, ...items: readonly RlpInput[]): Promise<void> {
    return this.sendEncoded(code, encodeRlp(items));
  }

  sendEncoded(
    code: number,
    payload: Uint8Array,
    { release = false }: SendOptions = KEEP,
  ): Promise<void> {
    if (!(payload instanceof Uint8Array)) {
      throw new TypeError(`payload: expected a Uint8Array of RLP, got ${show(payload)}`);
    }
    if (this.#error !== undefined) return this.#failed(this.#error);
    const refusal = this.#refuse(code, payload);
    if (refusal !== undefined) return this.#failed(this.#tell(refusal));
    const msgId = this.capability.offset + code;
    this.#owner.sent(this, code, payload);
    count(this.counters.out, code, payload.length);
    const { highWaterMark } = this.#limits;
    const isSmall = payload.length < Math.min(highWaterMark, SURE_TO_FIT);
    if (isSmall && this.queue.cost < highWaterMark) {
      this.#owner.enqueue(this, { msgId, payload, release });
      return ACCEPTED;
    }
    const accepted = new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void => reject(this.#sendError(code, error));
      this.#owner.enqueue(this, { msgId, payload, release, accepted: resolve, failed });
    });
    // The connection's end must not bring down a process that did not await this send.
    accepted.catch(() => undefined);
    return accepted;
  }

  provide(context: unknown): void {
    this.#owner.provide(this, context);
  }

  /** From now on sends reject with `error`. */
  closeSending(error: Error): void {
    this.#error ??= error;
  }

  #refuse(code: number, payload: Uint8Array): LocalProtocolError | undefined {
    const { length } = this.capability;
    if (!Number.isInteger(code) || code < 0 || code >= length) {
      return new LocalProtocolError(
        "ERR_P2P_CODE_RANGE",
        `${this.label}: code must be an integer from 0 to ${length - 1}, got ${code}`,
      );
    }
    if (payload.length > MAX_MESSAGE_SIZE) {
      return new LocalProtocolError(
        "ERR_P2P_MESSAGE_TOO_BIG",
        `${this.describe(code)}: ${payload.length} bytes exceed ${MAX_MESSAGE_SIZE}`,
      );
    }
    const { maxQueued } = this.#limits;
    if (this.queue.size > 0 && this.queue.cost + messageCost(payload) > maxQueued) {
      return new LocalProtocolError(
        "ERR_P2P_SEND_QUEUE_FULL",
        `${this.describe(code)}: ${this.queue.cost} bytes wait already, at most ${maxQueued} may; await send()`,
      );
    }
    return undefined;
  }

  /** The codec found that a message does not fit a frame, compressed as it is. */
  #sendError(code: number, error: Error): Error {
    if (!(error instanceof RlpxLocalError)) return error;
    const message = `${this.describe(code)}: ${error.message}`;
    return this.#tell(new LocalProtocolError("ERR_P2P_MESSAGE_TOO_BIG", message, { cause: error }));
  }

  /** Whether this refusal was told of; it need not be again. */
  hasTold(error: unknown): boolean {
    return error instanceof LocalProtocolError && this.#refusals?.get(error.code) === error;
  }

  /** A send that is not awaited would be refused in silence: the first refusal of a kind is told of. */
  #tell(error: LocalProtocolError): LocalProtocolError {
    this.#refusals ??= new Map();
    if (this.#refusals.has(error.code)) return error;
    this.#refusals.set(error.code, error);
    this.#owner.refused(this, error);
    return error;
  }

  /** A send that nobody awaits must not bring the process down. */
  #failed(error: Error): Promise<void> {
    const promise = Promise.reject(error);
    promise.catch(() => undefined);
    return promise;
  }
}

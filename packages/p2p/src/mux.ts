import { formatCapability } from "./capability.ts";
import type { SharedCapability } from "./capability.ts";
import { Channel } from "./channel.ts";
import type { ChannelOwner, SendLimits } from "./channel.ts";
import type { Clock } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { count, createProtocolCounters } from "./counters.ts";
import type { ProtocolCounters } from "./counters.ts";
import { RemoteProtocolError } from "./errors.ts";
import type { LocalProtocolError, TimeoutError } from "./errors.ts";
import { decodeGrants, encodeGrants, FLOW_CAPABILITY, INITIAL_WINDOW } from "./flow.ts";
import { Inbox, MESSAGE_OVERHEAD, messageCost } from "./inbox.ts";
import { Intake } from "./intake.ts";
import type { IntakeLimits } from "./intake.ts";
import { Message } from "./message.ts";
import type { Outgoing } from "./outbox.ts";
import type { Protocol } from "./protocol.ts";
import type { WireMessage } from "./session.ts";
import { ReceiveWindow } from "./window.ts";

/** Bounds of what one connection may hold unread and unsent. */
export interface MuxLimits extends SendLimits, IntakeLimits {}

/** What a mux tells the peer it serves. */
export interface MuxEvents {
  /** A protocol has not read for too long. */
  stalled(channel: Channel, error: TimeoutError): void;
  received(channel: Channel, code: number, payload: Uint8Array): void;
  sent(channel: Channel, code: number, payload: Uint8Array): void;
  provided(channel: Channel, context: unknown): void;
  /** A message that a protocol sent is dropped. */
  refused(channel: Channel, error: LocalProtocolError): void;
}

/**
 * Spreads the messages of one connection over its protocols and gathers what they send.
 *
 * Inbound is bounded without loss: a full inbox stops the stream (or, where the other side knows
 * `flow/1`, only its own protocol's sender), and one that nobody empties ends the connection.
 */
export class Mux implements ChannelOwner {
  readonly channels: readonly Channel[];
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #limits: MuxLimits;
  readonly #events: MuxEvents;
  /** Where `flow/1` messages stand, if the other side knows it. */
  readonly #flowMsgId: number | undefined;
  #last: Channel | undefined;
  /** When the messages of two channels last arrived one behind the other. */
  #sharedAt = Number.NEGATIVE_INFINITY;
  readonly #intake: Intake;
  #isOpen = true;

  constructor(options: {
    connection: Connection;
    shared: readonly SharedCapability<Protocol>[];
    clock: Clock;
    limits: MuxLimits;
    events: MuxEvents;
    /** By `name/version`; one that is missing is counted on its own. */
    counters: Readonly<Record<string, ProtocolCounters>>;
    /** The shortest round trip, in milliseconds, once it is known. */
    rttMs: () => number | undefined;
  }) {
    this.#connection = options.connection;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#events = options.events;
    this.#flowMsgId = options.shared.find(({ name }) => name === FLOW_CAPABILITY.name)?.offset;
    this.channels = options.shared
      .filter(({ name }) => name !== FLOW_CAPABILITY.name)
      .map((capability) => this.#createChannel(capability, options.counters));
    this.#intake = new Intake({
      channels: this.channels,
      connection: options.connection,
      clock: options.clock,
      limits: options.limits,
      hasFlowControl: this.hasFlowControl,
      stalled: (channel, error) => options.events.stalled(channel, error),
    });
    if (this.#flowMsgId === undefined) return;
    const { clock, rttMs, connection } = options;
    const max = this.#maxWindow();
    const busyMs = (): number => connection.busyMs;
    const sharedAt = (): number => this.#sharedAt;
    for (const channel of this.channels) {
      channel.queue.window = INITIAL_WINDOW;
      channel.window = new ReceiveWindow({ clock, max, rttMs, busyMs, sharedAt });
    }
  }

  /** Whether sender and receiver hold each protocol back on its own. */
  get hasFlowControl(): boolean {
    return this.#flowMsgId !== undefined;
  }

  /** Bytes waiting in all inboxes, with overhead. */
  get inboxCost(): number {
    return this.#intake.cost;
  }

  /**
   * Puts a message into the inbox of the protocol it belongs to.
   *
   * @throws {@link RemoteProtocolError} `ERR_P2P_MSG_ID_RANGE` when it belongs to none
   */
  dispatch({ msgId, payload }: WireMessage): void {
    if (msgId === this.#flowMsgId) {
      this.#onGrants(payload);
      return;
    }
    const channel = this.#channelOf(msgId);
    const code = msgId - channel.capability.offset;
    count(channel.counters.in, code, payload.length);
    this.#events.received(channel, code, payload);
    if (!channel.isRunnable) {
      channel.counters.discarded += 1;
      this.#grant(channel, messageCost(payload));
      return;
    }
    if (!this.#isOpen) return;
    this.#enterWindow(channel, messageCost(payload));
    this.#intake.enter(messageCost(payload));
    channel.inbox.push(new Message(code, payload));
    this.#intake.queued(channel);
  }

  /** Ends sending on every channel, and reading on those that `which` picks; queued messages stay readable. */
  close(error: Error, which: (channel: Channel) => boolean = () => true): void {
    this.#isOpen = false;
    this.#intake.close();
    for (const channel of this.channels) {
      channel.closeSending(error);
      if (which(channel)) channel.inbox.close(error);
    }
  }

  /** Fails every message that has not left. */
  failSends(error: Error): void {
    this.#connection.failOutbox(
      this.channels.map(({ queue }) => queue),
      error,
    );
  }

  /** @internal a channel has something to send */
  enqueue(channel: Channel, item: Outgoing): void {
    this.#connection.outbox.push(channel.queue, item);
    this.#connection.scheduleFlush();
  }

  /** @internal a channel's protocol publishes its context */
  provide(channel: Channel, context: unknown): void {
    this.#events.provided(channel, context);
  }

  /** @internal a channel has taken a message to send */
  sent(channel: Channel, code: number, payload: Uint8Array): void {
    this.#events.sent(channel, code, payload);
  }

  /** @internal a channel has refused a message to send */
  refused(channel: Channel, error: LocalProtocolError): void {
    this.#events.refused(channel, error);
  }

  #createChannel(
    capability: SharedCapability<Protocol>,
    counters: Readonly<Record<string, ProtocolCounters>>,
  ): Channel {
    const channel: Channel = new Channel({
      capability,
      counters: counters[formatCapability(capability)] ?? createProtocolCounters(),
      limits: this.#limits,
      inbox: new Inbox(this.#clock, (cost) => this.#onTaken(channel, cost)),
      owner: this,
      clock: this.#clock,
    });
    return channel;
  }

  #channelOf(msgId: number): Channel {
    const last = this.#last;
    if (last !== undefined && isIn(last, msgId)) return last;
    const channel = this.channels.find((candidate) => isIn(candidate, msgId));
    if (channel === undefined) {
      throw new RemoteProtocolError(
        "ERR_P2P_MSG_ID_RANGE",
        `message id 0x${msgId.toString(16)} belongs to no shared protocol (${this.#ranges()})`,
      );
    }
    if (last !== undefined) this.#sharedAt = this.#clock.now();
    this.#last = channel;
    return channel;
  }

  #ranges(): string {
    return this.channels
      .map(({ label, capability: { offset, length } }) => {
        return `${label} 0x${offset.toString(16)}-0x${(offset + length - 1).toString(16)}`;
      })
      .join(", ");
  }

  #onTaken(channel: Channel, cost: number): void {
    this.#grant(channel, cost);
    this.#intake.taken(channel, cost);
  }

  /** A message may be sent while the window is above zero. */
  #enterWindow({ inbox, label, window }: Channel, cost: number): void {
    if (window === undefined) return;
    const used = window.used(inbox.cost);
    if (used >= window.size) {
      throw new RemoteProtocolError(
        "ERR_P2P_WINDOW",
        `${label}: a message beyond the window, ${used} bytes of ${window.size} are used`,
      );
    }
    window.arrived(cost);
  }

  /** How far a window may grow: what the inbox takes, in messages of any size. */
  #maxWindow(): number {
    return Math.min(this.#limits.inboxBytes, this.#limits.inboxMessages * MESSAGE_OVERHEAD);
  }

  /** Lets the other side send as much again, once a worthwhile part of the window is free. */
  #grant({ capability, window }: Channel, cost: number): void {
    if (this.#flowMsgId === undefined || !this.#isOpen) return;
    const bytes = window?.taken(cost) ?? 0;
    if (bytes === 0) return;
    const grant = encodeGrants([{ offset: capability.offset, bytes }]);
    this.#connection.sendBase(this.#flowMsgId, grant);
  }

  #onGrants(payload: Uint8Array): void {
    for (const { offset, bytes } of decodeGrants(payload)) {
      const channel = this.channels.find(({ capability }) => capability.offset === offset);
      if (channel === undefined) continue;
      channel.queue.window += bytes;
      this.#connection.outbox.activate(channel.queue);
    }
    this.#connection.scheduleFlush();
  }
}

function isIn({ capability: { offset, length } }: Channel, msgId: number): boolean {
  return msgId >= offset && msgId < offset + length;
}

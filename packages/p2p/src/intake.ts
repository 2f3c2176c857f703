import { MAX_MESSAGE_SIZE } from "./channel.ts";
import type { Channel } from "./channel.ts";
import type { Clock } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { TimeoutError } from "./errors.ts";

/** Bounds of what one connection may hold unread. */
export interface IntakeLimits {
  /** Messages in one protocol's inbox before it counts as full. */
  readonly inboxMessages: number;
  /** Bytes in one protocol's inbox, every message with 256 bytes of overhead. */
  readonly inboxBytes: number;
  /** Bytes in all inboxes of the connection together. */
  readonly connectionBytes: number;
  /** How long an inbox may stay full without a message being taken, in milliseconds. */
  readonly stallTimeoutMs: number;
}

/** What an intake works with. */
export interface IntakeOptions {
  readonly channels: readonly Channel[];
  readonly connection: Connection;
  readonly clock: Clock;
  readonly limits: IntakeLimits;
  /** Whether the other side holds each protocol back on its own. */
  readonly hasFlowControl: boolean;
  /** A protocol has not read for too long. */
  readonly stalled: (channel: Channel, error: TimeoutError) => void;
}

/** A full inbox lets go of the brake when it is down to this part of its bound. */
const RESUME_SHARE = 0.5;

/**
 * While full inboxes stop the stream, one chunk is read in this time, in milliseconds. Interop: reth gives a
 * pong 15 s, and the messages of a protocol that does not read may lie in front of the ping.
 */
const GLANCE_MS = 2_000;

/** How far inboxes may be filled over their bounds by that: a quarter is 1 MiB, 16 chunks from a socket. */
const GLANCE_SHARE = 1.25;

/**
 * Keeps the inboxes of one connection within their bounds without losing a message: stops the stream while
 * they are full, and reports the protocol that keeps it stopped.
 */
export class Intake {
  readonly #options: IntakeOptions;
  /** Whether it holds the brake of the stream. */
  #isStopped = false;
  #glanceTimer: unknown;
  /** Cost of everything queued in all inboxes, in bytes. */
  cost = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** A message is put into its inbox next; where somebody waits for it, it is taken at once. */
  enter(cost: number): void {
    this.cost += cost;
  }

  /** After a message came into this inbox: stops what must stop. */
  queued(channel: Channel): void {
    if (this.#isFull(channel)) {
      this.#watch(channel);
      if (!this.#options.hasFlowControl) this.#stop();
    }
    if (this.cost < this.#bound()) return;
    this.#stop();
    // None of them need be full: whoever takes nothing from now on is the one that stops the others.
    for (const other of this.#options.channels) if (other.inbox.size > 0) this.#watch(other);
  }

  /** A message was taken out of this inbox: lets go on what may go on. */
  taken(channel: Channel, cost: number): void {
    this.cost -= cost;
    if (this.#isStopped && this.#mayGoOn()) this.#goOn();
    if (channel.stallTimer === undefined) return;
    this.#unwatch(channel);
    if (this.#holdsUp(channel)) this.#watch(channel);
  }

  /** Leaves no timer; what is still queued may be taken. */
  close(): void {
    const { clock, channels } = this.#options;
    clock.clearTimeout(this.#glanceTimer);
    this.#isStopped = false;
    for (const channel of channels) this.#unwatch(channel);
  }

  #stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#options.connection.pause("inbox");
    this.#lookLater();
  }

  #goOn(): void {
    const { clock, channels, connection } = this.#options;
    this.#isStopped = false;
    clock.clearTimeout(this.#glanceTimer);
    for (const channel of channels) if (!this.#isFull(channel)) this.#unwatch(channel);
    connection.resume("inbox");
  }

  #lookLater(): void {
    this.#glanceTimer = this.#options.clock.setTimeout(() => this.#glance(), GLANCE_MS);
  }

  /** Looks a little further while stopped, within bounds, for what can be answered all the same. */
  #glance(): void {
    const { channels, connection, limits } = this.#options;
    const hasRoom = channels.every(
      ({ inbox }) =>
        inbox.size < limits.inboxMessages * GLANCE_SHARE &&
        inbox.cost < limits.inboxBytes * GLANCE_SHARE,
    );
    if (hasRoom && this.cost < this.#bound() * GLANCE_SHARE) connection.glance();
    this.#lookLater();
  }

  /** Whether its sender is held back; with flow control that is as soon as the window is used up. */
  #isFull({ inbox, window }: Channel): boolean {
    const { limits } = this.#options;
    const isWindowUsed = window !== undefined && window.used(inbox.cost) >= window.size;
    return isWindowUsed || inbox.size >= limits.inboxMessages || inbox.cost >= limits.inboxBytes;
  }

  #mayGoOn(): boolean {
    const { channels, hasFlowControl } = this.#options;
    if (this.#isCrowded()) return false;
    return hasFlowControl || !channels.some((channel) => this.#isAboveMark(channel));
  }

  /** Whether it is one of those that keep the other side from going on. */
  #holdsUp(channel: Channel): boolean {
    if (this.#isFull(channel)) return true;
    if (!this.#isStopped || channel.inbox.size === 0) return false;
    return this.#isCrowded() || (!this.#options.hasFlowControl && this.#isAboveMark(channel));
  }

  #isAboveMark({ inbox }: Channel): boolean {
    const { inboxMessages, inboxBytes } = this.#options.limits;
    return inbox.size > inboxMessages * RESUME_SHARE || inbox.cost > inboxBytes * RESUME_SHARE;
  }

  #isCrowded(): boolean {
    return this.cost > this.#bound() * RESUME_SHARE;
  }

  /**
   * With flow control every protocol may fill its own window, and one of them cross it by a message of
   * any size, before all must wait: one that does not read is not to stop the others.
   */
  #bound(): number {
    const { channels, hasFlowControl, limits } = this.#options;
    if (!hasFlowControl) return limits.connectionBytes;
    const windows = channels.reduce((sum, { window }) => sum + (window?.size ?? 0), 0);
    return Math.max(limits.connectionBytes, windows) + MAX_MESSAGE_SIZE;
  }

  /** Sees to it that what is unread is not left so for too long. */
  #watch(channel: Channel): void {
    if (channel.stallTimer !== undefined) return;
    const { clock, limits, stalled } = this.#options;
    const { stallTimeoutMs } = limits;
    channel.stallTimer = clock.setTimeout(() => {
      const what = `${channel.label} inbox (${channel.inbox.size} messages not read)`;
      stalled(channel, new TimeoutError(what, stallTimeoutMs));
    }, stallTimeoutMs);
  }

  #unwatch(channel: Channel): void {
    this.#options.clock.clearTimeout(channel.stallTimer);
    channel.stallTimer = undefined;
  }
}

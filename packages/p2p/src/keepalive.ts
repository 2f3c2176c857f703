import type { Clock } from "./clock.ts";
import { TimeoutError } from "./errors.ts";

/** Intervals of the keepalive, in milliseconds. */
export interface KeepaliveLimits {
  /** How often a ping is sent; go-ethereum drops a peer that is silent for 30 s, so 15 s at most. */
  readonly pingIntervalMs: number;
  /** How long the other side may be silent. */
  readonly idleTimeoutMs: number;
}

/** What the keepalive needs of its connection. */
export interface KeepaliveHost {
  sendPing(): void;
  /** When bytes last arrived, or undefined while we ourselves do not read. */
  lastRead(): number | undefined;
  /** The other side has been silent for too long. */
  idle(error: TimeoutError): void;
}

interface Ping {
  readonly sentAt: number;
  readonly resolve?: (ms: number) => void;
  readonly reject?: (error: Error) => void;
}

/** Interop: reth closes on more than 5 pings in a burst, or more than one a second after that. */
const PING_BURST = 5;
const PING_PERIOD_MS = 1000;
const MAX_OUTSTANDING = 16;

/** Pings in time, measures round trips, and notices silence; one timer a connection. */
export class Keepalive {
  readonly #clock: Clock;
  readonly #limits: KeepaliveLimits;
  readonly #host: KeepaliveHost;
  #outstanding: Ping[] = [];
  #shared: Promise<number> | undefined;
  #timer: unknown;
  #pingTimer: unknown;
  #nextPing: number;
  /** Generic cell rate: the time at which the burst allowance is whole again. */
  #allowance = 0;
  #error: Error | undefined;
  /** The last measured round trip, in milliseconds. */
  rttMs: number | undefined;
  /** The shortest round trip measured so far, in milliseconds. */
  minRttMs: number | undefined;

  constructor(clock: Clock, limits: KeepaliveLimits, host: KeepaliveHost) {
    this.#clock = clock;
    this.#limits = limits;
    this.#host = host;
    this.#nextPing = clock.now() + limits.pingIntervalMs;
    this.#schedule();
  }

  /** Measures one round trip; calls that overlap share it, calls that come too fast are held back. */
  ping(): Promise<number> {
    if (this.#error !== undefined) return handled(Promise.reject(this.#error));
    this.#shared ??= handled(
      new Promise<number>((resolve, reject) => {
        const settle = (): void => {
          this.#shared = undefined;
        };
        this.#whenAllowed({
          resolve: (ms) => {
            settle();
            resolve(ms);
          },
          reject: (error) => {
            settle();
            reject(error);
          },
        });
      }),
    );
    return this.#shared;
  }

  /** A pong arrived: it answers the oldest ping; one that answers none is ignored. */
  onPong(): void {
    const ping = this.#outstanding.shift();
    if (ping === undefined) return;
    this.rttMs = this.#clock.now() - ping.sentAt;
    this.minRttMs = Math.min(this.rttMs, this.minRttMs ?? this.rttMs);
    ping.resolve?.(this.rttMs);
  }

  stop(error: Error): void {
    this.#error = error;
    this.#clock.clearTimeout(this.#timer);
    this.#clock.clearTimeout(this.#pingTimer);
    for (const ping of this.#outstanding.splice(0)) ping.reject?.(error);
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  #waiting: { resolve: (ms: number) => void; reject: (error: Error) => void } | undefined;

  #whenAllowed(waiter: { resolve: (ms: number) => void; reject: (error: Error) => void }): void {
    const wait = this.#untilAllowed();
    if (wait <= 0) {
      this.#send(waiter);
      return;
    }
    this.#waiting = waiter;
    this.#pingTimer = this.#clock.setTimeout(() => {
      this.#waiting = undefined;
      // Again, because a ping of our own accord may have been sent meanwhile.
      this.#whenAllowed(waiter);
    }, wait);
  }

  /** How long one more ping would break the limit, in milliseconds; zero or less when it would not. */
  #untilAllowed(): number {
    return this.#allowance - (PING_BURST - 1) * PING_PERIOD_MS - this.#clock.now();
  }

  #send(waiter: Omit<Ping, "sentAt">): void {
    const now = this.#clock.now();
    this.#allowance = Math.max(now, this.#allowance) + PING_PERIOD_MS;
    this.#outstanding.push({ sentAt: now, ...waiter });
    if (this.#outstanding.length > MAX_OUTSTANDING) this.#expire(this.#outstanding.shift());
    this.#host.sendPing();
  }

  #schedule(): void {
    const now = this.#clock.now();
    const { idleTimeoutMs } = this.#limits;
    const silentAt = (this.#host.lastRead() ?? now) + idleTimeoutMs;
    const expiresAt = (this.#outstanding[0]?.sentAt ?? now) + idleTimeoutMs;
    const due = Math.min(this.#nextPing, silentAt, expiresAt) - now;
    this.#timer = this.#clock.setTimeout(() => this.#tick(), Math.max(1, due));
  }

  #tick(): void {
    const now = this.#clock.now();
    const { idleTimeoutMs, pingIntervalMs } = this.#limits;
    const lastRead = this.#host.lastRead();
    if (lastRead !== undefined && now - lastRead >= idleTimeoutMs) {
      this.#host.idle(new TimeoutError("idle", idleTimeoutMs));
      return;
    }
    while ((this.#outstanding[0]?.sentAt ?? now) + idleTimeoutMs <= now) {
      this.#expire(this.#outstanding.shift());
    }
    if (now >= this.#nextPing) {
      const wait = this.#untilAllowed();
      this.#nextPing = now + (wait > 0 ? wait : pingIntervalMs);
      if (wait <= 0) this.#send({});
    }
    this.#schedule();
  }

  /** Interop: no implementation must answer pings; only whoever waits for the answer is told. */
  #expire(ping: Ping | undefined): void {
    ping?.reject?.(new TimeoutError("ping", this.#limits.idleTimeoutMs));
  }
}

/** A ping that nobody awaits must not bring the process down when the connection ends. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

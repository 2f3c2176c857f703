import { randomBytes } from "node:crypto";

import { Gossip1 } from "@heddle/gossip";
import { bytesEqual, escapeText, toHex } from "@heddle/identity";
import { Disconnect, DisconnectReason, LocalProtocolError, sleep } from "@heddle/p2p";
import type { Protocol } from "@heddle/p2p";
import { implement, PeerGone, RequestError, RequestTimeout } from "@heddle/protocol";
import type { Context } from "@heddle/protocol";

import type { ChatConfig } from "./config.ts";
import { ChatError } from "./errors.ts";
import { Chat1 } from "./protocol.ts";
import type { DirectMessage, Envelope, Receipt, ReceiptStatus } from "./protocol.ts";
import { RateLimit } from "./rate.ts";
import { RecentMap } from "./recent.ts";

/** Direct messages that are remembered, so that one which is sent twice is shown once. */
const MAX_REMEMBERED = 2_048;

/**
 * How long to wait before it is tried again, in milliseconds: the other side may be busy with the end of a
 * connection, and a node that was started elsewhere takes a moment to make its new address known.
 */
const RETRY_DELAY_MS = 2_000;

/** What one connection may still do. */
interface Link {
  readonly direct: RateLimit;
  readonly refusals: RateLimit;
}

type ChatContext = Context<typeof Chat1, Link>;

/** What {@link DirectMessages} needs of the rest of chat. */
export interface DirectParts {
  readonly config: ChatConfig;
  /** What we are called at the moment. */
  readonly nick: () => string;
  /** How a node is shown, safe to print. */
  readonly nameOf: (id: Uint8Array) => string;
  /** A node said what it is called. */
  readonly introduced: (id: Uint8Array, nick: string) => void;
  /** A message came, for the first time. */
  readonly received: (from: Uint8Array, message: DirectMessage) => Promise<ReceiptStatus>;
  /** The last connection to a node ended. */
  readonly disconnected: (id: Uint8Array) => void;
}

/** `chat/1` on every connection: messages to one node, and their receipts. */
export class DirectMessages {
  readonly protocols: readonly Protocol[];
  readonly #parts: DirectParts;
  readonly #contexts = new Map<string, ChatContext>();
  readonly #answered = new RecentMap<Promise<ReceiptStatus>>(MAX_REMEMBERED);
  readonly #closing = new AbortController();
  #pending = 0;

  constructor(parts: DirectParts) {
    this.#parts = parts;
    const { clock, limits } = parts.config;
    this.protocols = implement([Chat1], {
      requires: [Gossip1],
      state: (): Link => ({
        direct: new RateLimit(limits.direct, clock.now()),
        refusals: new RateLimit(limits.refusals, clock.now()),
      }),
      handshake: {
        local: () => ({ nick: parts.nick() }),
        verify: ({ nick }, { peer }) => parts.introduced(peer.id, nick),
      },
      on: { tell: (context, message) => this.#answer(context, message) },
      run: (context) => this.#hold(context),
    });
  }

  /** Nodes that speak `chat/1` with us at the moment. */
  get peers(): readonly Uint8Array[] {
    return Array.from(this.#contexts.values(), ({ peer }) => peer.id.slice());
  }

  isConnected(id: Uint8Array): boolean {
    return this.#contexts.has(toHex(id));
  }

  /**
   * Sends a message to one node and waits for its receipt; connects to it if need be.
   *
   * @throws {@link ChatError} saying in its message why it failed; the signal's reason
   */
  async send(to: Uint8Array, content: Envelope, signal?: AbortSignal): Promise<Receipt> {
    const { maxPending } = this.#parts.config.limits;
    if (this.#pending >= maxPending) {
      const problem = `${maxPending} direct messages wait already, and no more may`;
      throw new ChatError("ERR_CHAT_BUSY", problem);
    }
    const message = { ...content, id: new Uint8Array(randomBytes(16)) };
    const signals = signal === undefined ? [] : [signal];
    const either = AbortSignal.any([this.#closing.signal, ...signals]);
    this.#pending += 1;
    try {
      return await this.#deliver(to, message, either);
    } finally {
      this.#pending -= 1;
    }
  }

  /** Gives up every message that waits. */
  close(): void {
    this.#closing.abort(new ChatError("ERR_CHAT_CLOSED", "the chat is closed"));
  }

  async #deliver(to: Uint8Array, message: DirectMessage, signal: AbortSignal): Promise<Receipt> {
    const { clock, limits } = this.#parts.config;
    const ask = async (): Promise<Receipt> => {
      const context = await this.#reach(to, signal);
      return context.call.tell(message, { signal, timeoutMs: limits.receiptTimeoutMs });
    };
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof PeerGone)) throw this.#explain(to, error);
      // Whether it arrived cannot be known; by its id it is shown once, so it may be sent again.
      await sleep(clock, RETRY_DELAY_MS, signal);
      try {
        return await ask();
      } catch (again) {
        signal.throwIfAborted();
        throw this.#explain(to, again instanceof RequestError ? again : error);
      }
    }
  }

  /** What a request's failure means for a message. */
  #explain(to: Uint8Array, error: unknown): unknown {
    if (!(error instanceof RequestError)) return error;
    const why =
      error instanceof RequestTimeout
        ? `within ${error.timeoutMs} ms`
        : "before the connection ended";
    const problem = `no receipt from ${this.#parts.nameOf(to)} ${why}: the message may have arrived`;
    return new ChatError("ERR_CHAT_NO_RECEIPT", problem, { cause: error });
  }

  /** The connection to a node; tried again when it is not where we believe it to be, and we learn better. */
  async #reach(to: Uint8Array, signal: AbortSignal): Promise<ChatContext> {
    const { clock, find } = this.#parts.config;
    const tried = find?.(to)?.seq;
    try {
      return await this.#connect(to, signal);
    } catch (error) {
      if (!(error instanceof ChatError && error.code === "ERR_CHAT_UNREACHABLE")) throw error;
      await sleep(clock, RETRY_DELAY_MS, signal);
      if (!this.isConnected(to) && find?.(to)?.seq === tried) throw error;
      return this.#connect(to, signal);
    }
  }

  /** The connection to a node: the one there is, or a new one. */
  async #connect(to: Uint8Array, signal: AbortSignal): Promise<ChatContext> {
    signal.throwIfAborted();
    const existing = this.#contexts.get(toHex(to));
    if (existing !== undefined && !existing.signal.aborted) return existing;
    const { dial, find } = this.#parts.config;
    const name = this.#parts.nameOf(to);
    const record = find?.(to);
    if (record === undefined || !bytesEqual(record.id, to) || dial === undefined) {
      const why = dial === undefined ? "connections are not made here" : "its address is not known";
      throw new ChatError("ERR_CHAT_NO_RECORD", `${name} is not connected, and ${why}`);
    }
    const node = record.toEnode();
    if (node === undefined || node.tcpPort === 0) {
      const problem = `${name} is not connected, and its record names no address to dial`;
      throw new ChatError("ERR_CHAT_NO_ADDRESS", problem);
    }
    try {
      const peer = await dial(node, { signal });
      // Provided by our own implementation, so it has our own state.
      return (await peer.protocol(Chat1)) as ChatContext;
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(name, error);
    }
  }

  async #hold(context: ChatContext): Promise<void> {
    const { peer, signal } = context;
    const hex = toHex(peer.id);
    this.#contexts.set(hex, context);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    if (this.#contexts.get(hex) !== context) return;
    this.#contexts.delete(hex);
    this.#parts.disconnected(peer.id);
  }

  async #answer(context: ChatContext, message: DirectMessage): Promise<Receipt> {
    const { peer, state } = context;
    const now = this.#parts.config.clock.now();
    if (!state.direct.take(now)) {
      if (state.refusals.take(now)) return { status: "refused" };
      throw new Disconnect(DisconnectReason.subprotocolError, "too many direct messages");
    }
    const key = toHex(peer.id) + toHex(message.id);
    const answered = this.#answered.get(key);
    if (answered !== undefined) return { status: await answered };
    if (this.#closing.signal.aborted) return { status: "refused" };
    const answer = this.#parts.received(peer.id, message);
    this.#answered.set(key, answer);
    return { status: await answer };
  }
}

function unreachable(name: string, error: unknown): ChatError {
  if (error instanceof LocalProtocolError && error.code === "ERR_P2P_NOT_SHARED") {
    const problem = `${name} is connected, but does not speak chat`;
    return new ChatError("ERR_CHAT_NOT_SPOKEN", problem, { cause: error });
  }
  const why = error instanceof Error ? escapeText(error.message, 200) : typeof error;
  return new ChatError("ERR_CHAT_UNREACHABLE", `${name} cannot be reached: ${why}`, {
    cause: error,
  });
}

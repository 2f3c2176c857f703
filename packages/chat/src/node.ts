import type { GossipMessage } from "@heddle/gossip";
import { bytesEqual, nodeIdOf, RlpError, toHex } from "@heddle/identity";
import type { Protocol } from "@heddle/p2p";

import type { Chat, ChatCounters, ChatMember, SendOptions } from "./chat.ts";
import type { ChatConfig } from "./config.ts";
import { DirectMessages } from "./direct.ts";
import { ChatError } from "./errors.ts";
import { Listeners } from "./events.ts";
import type { ChatEvents, PresenceChange } from "./events.ts";
import { checkType, Handlers } from "./handlers.ts";
import type { MessageHandler, TypedMessage } from "./handlers.ts";
import { History } from "./history.ts";
import type { ChatMessage } from "./history.ts";
import { NameBook } from "./names.ts";
import { checkNick } from "./nick.ts";
import { ChatType, MAX_BODY_BYTES, MAX_TEXT_BYTES, sayBody } from "./protocol.ts";
import type { DirectMessage, Envelope, Receipt, ReceiptStatus } from "./protocol.ts";
import { QuotaCounter, RateLimit } from "./rate.ts";
import type { Quota } from "./rate.ts";
import { checkRoom } from "./room.ts";
import { Rooms } from "./rooms.ts";

/** Comings, goings and new names of one node that are reported: one alone must not drown the others'. */
const NOTICES_OF_ONE: Quota = { messages: 10, windowMs: 60_000 };

/** Everything of a {@link Chat}, put together. */
export class ChatNode implements Chat {
  readonly id: Uint8Array;
  readonly counters: ChatCounters = {
    received: 0,
    direct: 0,
    ignored: 0,
    malformed: 0,
    limited: 0,
    unreported: 0,
  };
  readonly #config: ChatConfig;
  readonly #names: NameBook;
  readonly #handlers: Handlers;
  readonly #listeners: Listeners;
  readonly #history: History;
  readonly #direct: DirectMessages;
  readonly #rooms: Rooms;
  readonly #notices: RateLimit;
  readonly #noticesOf: QuotaCounter;
  #nick: string;
  #isClosed = false;

  constructor(config: ChatConfig) {
    const { clock, limits, logger, nick } = config;
    this.#config = config;
    this.#nick = nick;
    this.id = nodeIdOf(config.key);
    this.#names = new NameBook(limits.maxNames, this.id, nick);
    this.#handlers = new Handlers(logger);
    this.#listeners = new Listeners((error) => logger.error("a chat listener failed", { error }));
    this.#history = new History(limits.maxHistory);
    this.#notices = new RateLimit(limits.notices, clock.now());
    this.#noticesOf = new QuotaCounter(NOTICES_OF_ONE, limits.maxNames);
    this.#direct = new DirectMessages({
      config,
      nick: () => this.#nick,
      nameOf: (id) => this.nameOf(id),
      introduced: (id, theirs) => this.#claim(id, theirs, clock.wallNow()),
      received: (from, message) => this.#receiveDirect(from, message),
      disconnected: (id) => this.#rooms.disconnected(id),
    });
    this.#rooms = new Rooms({
      config,
      counters: this.counters,
      nick: () => this.#nick,
      heard: (id, theirs, time) => this.#claim(id, theirs, time),
      received: (room, message, content) => this.#receive(room, message, content),
      changed: (room, id, change) => this.#changed(room, id, change),
    });
  }

  get protocols(): readonly Protocol[] {
    return this.#direct.protocols;
  }

  get nick(): string {
    return this.#nick;
  }

  get rooms(): readonly string[] {
    return this.#rooms.names;
  }

  rename(nick: string): void {
    this.#checkOpen();
    const checked = checkNick(nick);
    if (checked === this.#nick) return;
    this.#nick = checked;
    this.#names.claim(this.id, checked, this.#config.clock.wallNow());
    this.#rooms.announce();
  }

  join(room: string): string {
    this.#checkOpen();
    const name = checkRoom(room);
    this.#rooms.join(name);
    return name;
  }

  leave(room: string): boolean {
    return this.#rooms.leave(checkRoom(room));
  }

  say(room: string, text: string): ChatMessage {
    this.#checkOpen();
    const name = checkRoom(room);
    const { time } = this.#rooms.post(name, ChatType.say, sayBody.encode(checkText(text)));
    return this.#keepOwn({ room: name, to: undefined, text, time });
  }

  async tell(to: Uint8Array | string, text: string, options?: SendOptions): Promise<ChatMessage> {
    const body = sayBody.encode(checkText(text));
    const id = this.#addressee(to);
    const { status } = await this.#send(id, ChatType.say, body, options);
    if (status === "ignored") throw refused(this.nameOf(id), "does not take messages of this kind");
    const time = Math.floor(this.#config.clock.wallNow());
    return this.#keepOwn({ room: undefined, to: id.slice(), text, time });
  }

  post(room: string, type: string, body: Uint8Array): void {
    this.#checkOpen();
    checkType(type);
    checkBody(body);
    this.#rooms.post(checkRoom(room), type, body);
  }

  async send(
    to: Uint8Array | string,
    type: string,
    body: Uint8Array,
    options?: SendOptions,
  ): Promise<Receipt> {
    checkType(type);
    checkBody(body);
    return this.#send(this.#addressee(to), type, body, options);
  }

  handle(type: string, handler: MessageHandler): () => void {
    return this.#handlers.add(type, handler);
  }

  on<Name extends keyof ChatEvents>(
    name: Name,
    listener: (event: ChatEvents[Name]) => void,
  ): () => void {
    return this.#listeners.on(name, listener);
  }

  members(room: string): readonly ChatMember[] {
    const name = checkRoom(room);
    if (!this.#rooms.has(name)) return [];
    return [this.id, ...this.#rooms.members(name)].map((id) => ({
      id: id.slice(),
      name: this.nameOf(id),
      isSelf: id === this.id,
      isConnected: this.#direct.isConnected(id),
    }));
  }

  nameOf(id: Uint8Array): string {
    return this.#names.nameOf(id);
  }

  resolve(name: string): Uint8Array {
    return this.#names.resolve(name);
  }

  history(room?: string): readonly ChatMessage[] {
    return this.#history.list(room === undefined ? undefined : checkRoom(room));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#rooms.close();
    this.#direct.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #send(
    to: Uint8Array,
    type: string,
    body: Uint8Array,
    { signal }: SendOptions = {},
  ): Promise<Receipt> {
    this.#checkOpen();
    const receipt = await this.#direct.send(to, { type, nick: this.#nick, body }, signal);
    if (receipt.status === "refused") throw refused(this.nameOf(to), "refuses the message");
    return receipt;
  }

  #addressee(to: Uint8Array | string): Uint8Array {
    const id = typeof to === "string" ? this.resolve(to) : to;
    if (!(id instanceof Uint8Array) || id.length !== 64) {
      throw new TypeError("to: expected a name, or a node's id of 64 bytes");
    }
    if (bytesEqual(id, this.id)) throw new RangeError("to: that is this node itself");
    return id;
  }

  #keepOwn(said: Pick<ChatMessage, "room" | "text" | "time" | "to">): ChatMessage {
    const name = this.nameOf(this.id);
    const message = Object.freeze({ ...said, from: this.id.slice(), name, isOwn: true });
    this.#history.add(message);
    return message;
  }

  #receive(room: string, message: GossipMessage, { body, type }: Envelope): void {
    const { origin: from, time } = message;
    if (type === ChatType.say) void this.#hear(room, from, time, body);
    else void this.#dispatch({ type, from, name: this.nameOf(from), room, time, body });
  }

  async #receiveDirect(from: Uint8Array, message: DirectMessage): Promise<ReceiptStatus> {
    const { body, nick, type } = message;
    const time = Math.floor(this.#config.clock.wallNow());
    this.counters.direct += 1;
    this.#claim(from, nick, time);
    if (type === ChatType.say) return this.#hear(undefined, from, time, body);
    return this.#dispatch({ type, from, name: this.nameOf(from), room: undefined, time, body });
  }

  async #dispatch(message: TypedMessage): Promise<ReceiptStatus> {
    const status = await this.#handlers.dispatch(message);
    if (status === "ignored") this.counters.ignored += 1;
    return status;
  }

  #hear(room: string | undefined, from: Uint8Array, time: number, body: Uint8Array): ReceiptStatus {
    let text: string;
    try {
      text = sayBody.decode(body);
    } catch (error) {
      if (!(error instanceof RlpError)) throw error;
      this.counters.malformed += 1;
      this.#config.logger.debug("what was said is malformed", { from, error });
      return "refused";
    }
    const name = this.nameOf(from);
    const said = { room, from: from.slice(), to: undefined, name, text, time, isOwn: false };
    const message = Object.freeze(said);
    this.#history.add(message);
    this.#listeners.emit("message", message);
    return "delivered";
  }

  #claim(id: Uint8Array, nick: string, time: number): void {
    const renamed = this.#names.claim(id, nick, time);
    if (renamed === undefined || !this.#mayReport(id)) return;
    this.#listeners.emit("renamed", { id: id.slice(), ...renamed });
  }

  #changed(room: string, id: Uint8Array, change: PresenceChange): void {
    if (!this.#mayReport(id)) return;
    this.#listeners.emit("presence", { room, id: id.slice(), name: this.nameOf(id), change });
  }

  #mayReport(id: Uint8Array): boolean {
    const now = this.#config.clock.now();
    if (this.#noticesOf.take(toHex(id), now) && this.#notices.take(now)) return true;
    this.counters.unreported += 1;
    return false;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ChatError("ERR_CHAT_CLOSED", "the chat is closed");
  }
}

function refused(name: string, why: string): ChatError {
  return new ChatError("ERR_CHAT_REFUSED", `${name} ${why}`);
}

function checkText(text: unknown): string {
  if (typeof text !== "string") throw new TypeError("text: expected a string");
  const size = new TextEncoder().encode(text).length;
  if (size < 1 || size > MAX_TEXT_BYTES) {
    throw new RangeError(`text: expected 1 to ${MAX_TEXT_BYTES} bytes, got ${size}`);
  }
  // Half a character has no place in UTF-8.
  if (/\p{Cs}/u.test(text)) throw new TypeError("text: not well-formed");
  return text;
}

function checkBody(body: unknown): void {
  if (!(body instanceof Uint8Array)) throw new TypeError("body: expected a Uint8Array");
  if (body.length > MAX_BODY_BYTES) {
    throw new RangeError(`body: ${body.length} bytes exceed ${MAX_BODY_BYTES}`);
  }
}

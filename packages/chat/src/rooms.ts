import type { GossipMessage, Subscription } from "@heddle/gossip";
import { fromHex, RlpError, toHex } from "@heddle/identity";

import type { ChatConfig } from "./config.ts";
import { ChatError } from "./errors.ts";
import type { PresenceChange } from "./events.ts";
import { PresenceTable } from "./presence.ts";
import type { Sign } from "./presence.ts";
import { ChatType, envelope, MAX_INTERVAL_SECONDS, presenceBody } from "./protocol.ts";
import type { Envelope } from "./protocol.ts";
import { QuotaCounter } from "./rate.ts";
import { RecentMap } from "./recent.ts";
import { topicOf } from "./room.ts";

/** From so many members up, heartbeats come more slowly: their sum stays the same. */
const FULL_PACE_MEMBERS = 64;

/** Heartbeats come after 70 to 100 % of what was promised, so that members do not beat together. */
const EARLIEST_BEAT = 0.7;

/** How many windows of what one may say are remembered, for each nick that is. */
const WINDOWS_PER_NAME = 4;

/** How many messages are remembered, for each in the history: a room that is entered again shows them once. */
const SEEN_PER_HISTORY = 4;

/**
 * What one said is read in that order, if what came first is not a second behind: one message may travel by a
 * push, and the next by an announcement that is gathered, sent and asked for.
 */
const FOLLOWING = { replay: true, ordered: { waitMs: 1_000, late: "deliver" } } as const;

/** Our own words, among those of others. */
const SELF = "self";

/** What became of what came in. */
export interface RoomCounters {
  /** Messages of others that were taken. */
  received: number;
  /** Not an envelope, or with a body that its type does not have. */
  malformed: number;
  /** Beyond what one node may say. */
  limited: number;
}

/** What {@link Rooms} needs of the rest of chat. */
export interface RoomParts {
  readonly config: ChatConfig;
  readonly counters: RoomCounters;
  readonly nick: () => string;
  /** A node was heard under this nick, at this Unix time. */
  readonly heard: (id: Uint8Array, nick: string, time: number) => void;
  /** Something came that is not about who is here. */
  readonly received: (room: string, message: GossipMessage, content: Envelope) => void;
  readonly changed: (room: string, id: Uint8Array, change: PresenceChange) => void;
}

interface Room {
  readonly name: string;
  /** When we entered it, in Unix milliseconds: who came before that was here already. */
  readonly since: number;
  subscription: Subscription | undefined;
  timer: unknown;
}

/** The rooms we are in: what is said there, and who is there. */
export class Rooms {
  readonly #parts: RoomParts;
  readonly #rooms = new Map<string, Room>();
  readonly #presence: PresenceTable;
  readonly #speech: QuotaCounter;
  readonly #seen: RecentMap<true>;

  constructor(parts: RoomParts) {
    const { clock, limits } = parts.config;
    this.#parts = parts;
    this.#speech = new QuotaCounter(limits.speech, WINDOWS_PER_NAME * limits.maxNames);
    this.#seen = new RecentMap(SEEN_PER_HISTORY * limits.maxHistory);
    this.#presence = new PresenceTable({
      clock,
      maxMembers: limits.maxMembers,
      intervalMs: limits.heartbeatMs,
      expired: (room, id) => parts.changed(room, fromHex(id), "lost"),
    });
  }

  /** The names of the rooms, in the order of joining. */
  get names(): readonly string[] {
    return Array.from(this.#rooms.keys());
  }

  has(room: string): boolean {
    return this.#rooms.has(room);
  }

  /** Ids of others in a room, in the order of coming. */
  members(room: string): readonly Uint8Array[] {
    return this.#presence.list(room).map(fromHex);
  }

  /** @throws {@link ChatError} `ERR_CHAT_BUSY`, `ERR_CHAT_RATE` */
  join(room: string): void {
    if (this.#rooms.has(room)) return;
    const { config } = this.#parts;
    if (this.#rooms.size >= config.limits.maxRooms) {
      const problem = `${config.limits.maxRooms} rooms are joined, and no more may be`;
      throw new ChatError("ERR_CHAT_BUSY", problem);
    }
    const seconds = this.#promise(room);
    const { time } = this.#publish(room, ChatType.join, presenceBody.encode({ seconds }));
    const joined: Room = { name: room, since: time, subscription: undefined, timer: undefined };
    joined.subscription = config.gossip.subscribe(topicOf(room), FOLLOWING, (message) =>
      this.#receive(joined, message),
    );
    this.#rooms.set(room, joined);
    this.#scheduleBeat(joined, seconds);
  }

  /** Takes our leave; says whether we were there. */
  leave(room: string): boolean {
    const joined = this.#rooms.get(room);
    if (joined === undefined) return false;
    this.#parts.config.clock.clearTimeout(joined.timer);
    joined.subscription?.close();
    this.#rooms.delete(room);
    this.#presence.forget(room);
    try {
      this.#publish(room, ChatType.leave, new Uint8Array());
    } catch (error) {
      // The others find out by themselves.
      this.#parts.config.logger.debug("a leave was not published", { room, error });
    }
    return true;
  }

  /**
   * Says something to a room.
   *
   * @throws {@link ChatError} `ERR_CHAT_RATE`; RangeError when we are not there
   */
  post(room: string, type: string, body: Uint8Array): GossipMessage {
    if (!this.#rooms.has(room)) throw new RangeError(`room: ${room} is not joined`);
    if (this.#speech.isFull(SELF, this.#parts.config.clock.wallNow())) {
      throw new ChatError("ERR_CHAT_RATE", "too much is said at once: others would not take it");
    }
    const message = this.#publish(room, type, body);
    this.#speech.take(SELF, message.time);
    return message;
  }

  /** Lets everybody know of us now, and not with the next heartbeat: our nick is another. */
  announce(): void {
    for (const joined of this.#rooms.values()) this.#beat(joined);
  }

  /** The last connection to a node ended. */
  disconnected(id: Uint8Array): void {
    this.#presence.disconnected(toHex(id));
  }

  /** Leaves every room. */
  close(): void {
    for (const room of this.names) this.leave(room);
    this.#presence.clear();
  }

  #receive(room: Room, message: GossipMessage): void {
    const { counters } = this.#parts;
    let content: Envelope;
    try {
      content = envelope.decode(message.payload);
      if (this.#takePresence(room, message, content)) return;
    } catch (error) {
      if (!(error instanceof RlpError)) throw error;
      counters.malformed += 1;
      this.#parts.config.logger.debug("a room's message was malformed", { room: room.name, error });
      return;
    }
    const id = toHex(message.id);
    if (this.#seen.get(id) === true) return;
    this.#seen.set(id, true);
    if (!this.#speech.take(toHex(message.origin), message.time)) {
      counters.limited += 1;
      return;
    }
    counters.received += 1;
    this.#parts.heard(message.origin, content.nick, message.time);
    this.#hear(room, message, "here");
    this.#parts.received(room.name, message, content);
  }

  /** Deals with comings and goings; says whether the message was one. */
  #takePresence(room: Room, message: GossipMessage, { body, nick, type }: Envelope): boolean {
    if (type === ChatType.join || type === ChatType.here) {
      const { seconds } = presenceBody.decode(body);
      this.#parts.heard(message.origin, nick, message.time);
      const isNews = type === ChatType.join && message.time >= room.since;
      const change = isNews ? "joined" : "here";
      this.#hear(room, message, change, Math.max(1, seconds) * 1000);
    } else if (type === ChatType.leave) {
      this.#parts.heard(message.origin, nick, message.time);
      const wasHere = this.#presence.leave(room.name, toHex(message.origin), this.#signOf(message));
      if (wasHere) this.#parts.changed(room.name, message.origin, "left");
    } else return false;
    this.#parts.counters.received += 1;
    return true;
  }

  /** A member gave a sign of life; `change` is what it shows of one that is new. */
  #hear(room: Room, message: GossipMessage, change: "here" | "joined", intervalMs?: number): void {
    const sign = this.#signOf(message);
    const heard = intervalMs === undefined ? sign : { ...sign, intervalMs };
    const shown = this.#presence.hear(room.name, toHex(message.origin), heard);
    if (shown === "new") this.#parts.changed(room.name, message.origin, change);
    if (shown === "again") this.#parts.changed(room.name, message.origin, "returned");
  }

  #signOf({ epoch, sequence, time }: GossipMessage): Sign {
    return { epoch, sequence, ageMs: this.#parts.config.clock.wallNow() - time };
  }

  #publish(room: string, type: string, body: Uint8Array): GossipMessage {
    const payload = envelope.encode({ type, nick: this.#parts.nick(), body });
    try {
      return this.#parts.config.gossip.publish(topicOf(room), payload);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code !== "ERR_GOSSIP_RATE") throw error;
      const problem = "too much is published at once: others would not take it";
      throw new ChatError("ERR_CHAT_RATE", problem, { cause: error });
    }
  }

  /** Within how many seconds a room hears of us again. */
  #promise(room: string): number {
    const crowd = Math.ceil((this.#presence.count(room) + 1) / FULL_PACE_MEMBERS);
    const seconds = Math.ceil((this.#parts.config.limits.heartbeatMs * crowd) / 1000);
    return Math.min(seconds, MAX_INTERVAL_SECONDS);
  }

  #beat(room: Room): void {
    const seconds = this.#promise(room.name);
    try {
      this.#publish(room.name, ChatType.here, presenceBody.encode({ seconds }));
    } catch (error) {
      // The next one may succeed, and three may be missed.
      const fields = { room: room.name, error };
      this.#parts.config.logger.debug("a heartbeat was not published", fields);
    }
    this.#scheduleBeat(room, seconds);
  }

  #scheduleBeat(room: Room, seconds: number): void {
    const { clock, random } = this.#parts.config;
    clock.clearTimeout(room.timer);
    const share = EARLIEST_BEAT + (1 - EARLIEST_BEAT) * random();
    room.timer = clock.setTimeout(() => this.#beat(room), seconds * 1000 * share);
  }
}

import { randomBytes } from "node:crypto";

import type { Gossip, GossipMessage, SubscribeOptions, Subscription } from "@heddle/gossip";
import { nodeIdOf } from "@heddle/identity";
import type { Logger } from "@heddle/p2p";
import { VirtualClock } from "@heddle/testing";

import { createChat } from "../src/index.ts";
import type { Chat, ChatEvents, ChatOptions } from "../src/index.ts";

/** The same key for the same number. */
export function keyOf(number: number): Uint8Array {
  return new Uint8Array(32).fill(number);
}

interface Listening {
  readonly topic: string;
  readonly owner: Hub;
  readonly listener: (message: GossipMessage) => void;
}

/** What gossip promises, without a network: what one publishes, all others get at once. */
export class Air {
  readonly clock = new VirtualClock();
  readonly held: GossipMessage[] = [];
  readonly listening = new Set<Listening>();

  /** A node's part in it. */
  hub(number: number): Hub {
    return new Hub(this, nodeIdOf(keyOf(number)));
  }

  deliver(message: GossipMessage, from: Hub): void {
    this.held.push(message);
    for (const { listener, owner, topic } of this.listening) {
      if (owner !== from && topic === message.topic) listener(message);
    }
  }
}

/** One node's gossip, as far as chat needs it. */
export class Hub implements Pick<Gossip, "publish" | "subscribe"> {
  readonly #air: Air;
  readonly #epoch: number;
  readonly #sequences = new Map<string, number>();
  readonly id: Uint8Array;
  /** Thrown instead of publishing. */
  failure: Error | undefined;

  constructor(air: Air, id: Uint8Array) {
    this.#air = air;
    this.id = id;
    this.#epoch = air.clock.wallNow();
  }

  publish(topic: string, payload: Uint8Array): GossipMessage {
    if (this.failure !== undefined) throw this.failure;
    const message = this.make(topic, payload, {});
    this.#air.deliver(message, this);
    return message;
  }

  /** A message as this node would publish it, with what is different about it. */
  make(topic: string, payload: Uint8Array, changes: Partial<GossipMessage>): GossipMessage {
    const sequence = (this.#sequences.get(topic) ?? 0) + 1;
    this.#sequences.set(topic, sequence);
    return {
      id: randomBytes(32),
      origin: this.id,
      topic,
      epoch: this.#epoch,
      sequence,
      time: this.#air.clock.wallNow(),
      payload,
      signature: new Uint8Array(65),
      ...changes,
    };
  }

  subscribe(
    topic: string,
    { replay }: SubscribeOptions = {},
    listener: (message: GossipMessage) => void = () => undefined,
  ): Subscription {
    const entry: Listening = { topic, owner: this, listener };
    if (replay === true) {
      for (const message of this.#air.held) {
        if (message.topic === topic && message.origin !== this.id) listener(message);
      }
    }
    this.#air.listening.add(entry);
    const close = (): void => void this.#air.listening.delete(entry);
    return { topic, close } as unknown as Subscription;
  }
}

/** Everything that one chat reports, in words. */
export function record(chat: Chat): string[] {
  const heard: string[] = [];
  chat.on("message", ({ name, room, text }: ChatEvents["message"]) => {
    heard.push(`${room === undefined ? "" : `#${room} `}<${name}> ${text}`);
  });
  chat.on("presence", ({ change, name, room }) => heard.push(`#${room} ${name} ${change}`));
  chat.on("renamed", ({ from, to }) => heard.push(`${from} is ${to}`));
  return heard;
}

/** A chat on the air, and what it reports. */
export function chatOn(air: Air, number: number, nick: string, options: Partial<ChatOptions> = {}) {
  const hub = air.hub(number);
  const chat = createChat({
    gossip: hub,
    key: keyOf(number),
    nick,
    clock: air.clock,
    random: () => 1,
    ...options,
  });
  return { hub, chat, heard: record(chat) };
}

/** Keeps what is logged. */
export function recordingLogger(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const at = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

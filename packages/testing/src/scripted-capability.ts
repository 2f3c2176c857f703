import type { RlpInput } from "@heddle/identity";
import { BaseMessage, Message } from "@heddle/p2p";
import type { SharedCapability } from "@heddle/p2p";

import { describeMsgId } from "./expectation-error.ts";
import type { ExpectOptions, ReadRequest } from "./scripted-inbox.ts";
import type { ScriptedPeer } from "./scripted-peer.ts";

/** Says whether a message is the one that is expected; `code` is its msgId. */
export type Matcher = (message: Message) => boolean;

/** One protocol of a {@link ScriptedPeer}: codes count from 0, other protocols' messages stay queued. */
export class ScriptedCapability {
  readonly name: string;
  readonly version: number;
  /** Its first msgId. */
  readonly offset: number;
  readonly length: number;
  readonly #peer: ScriptedPeer;
  readonly #read: (request: ReadRequest) => Promise<Message>;

  constructor(
    peer: ScriptedPeer,
    { name, version, offset, length }: SharedCapability,
    read: (request: ReadRequest) => Promise<Message>,
  ) {
    this.name = name;
    this.version = version;
    this.offset = offset;
    this.length = length;
    this.#peer = peer;
    this.#read = read;
  }

  /** Sends a value as RLP; a code beyond the length is the next protocol's, or nobody's. */
  send(code: number, value: RlpInput): void {
    this.#peer.send(this.offset + code, value);
  }

  /** Sends a message with any payload. */
  sendRaw(code: number, payload: Uint8Array): void {
    this.#peer.sendRaw(this.offset + code, payload);
  }

  /**
   * Takes this protocol's next message, which must be this one.
   *
   * @param what - a code, or what says whether it is the one
   * @returns the message, its code relative to the protocol
   * @throws ExpectationError; a Disconnect fails it, too
   */
  async expect(what: number | Matcher, options: ExpectOptions = {}): Promise<Message> {
    const { offset, length } = this;
    const relative = ({ code, payload }: Message): Message => new Message(code - offset, payload);
    const isOurs = ({ code }: Message): boolean => code >= offset && code < offset + length;
    const message = await this.#read({
      expected:
        typeof what === "number"
          ? describeMsgId(offset + what, this.#peer.shared)
          : `${this.name}/${this.version} ${matcherName(what)}`,
      concerns: (message) => isOurs(message) || message.code === BaseMessage.disconnect,
      accepts: (message) =>
        isOurs(message) &&
        (typeof what === "number" ? message.code - offset === what : what(relative(message))),
      ...options,
    });
    return relative(message);
  }
}

/** How errors name what a matcher looks for: by its function name. */
export function matcherName({ name }: Matcher): string {
  return name === "" ? "a message that matches" : `a message that is ${name}`;
}

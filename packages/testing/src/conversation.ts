import { decodeRlp } from "@heddle/identity";
import type { RlpValue } from "@heddle/identity";
import { BaseMessage, decodeDisconnect, describeReason } from "@heddle/p2p";
import type { Message, Peer, Protocol } from "@heddle/p2p";
import { definitionOf } from "@heddle/protocol";

import { ExpectationError } from "./expectation-error.ts";
import { FaultKind } from "./faults.ts";
import type { Direction, Probe } from "./probe.ts";
import type { SeededRandom } from "./random.ts";
import type { CodeSample, Sampler } from "./samples.ts";
import type { ScriptedCapability } from "./scripted-capability.ts";
import type { ScriptedPeer } from "./scripted-peer.ts";

/** A request of the other side that has not been answered. */
export interface Asked {
  readonly replyCode: number;
  /** Undefined where requests carry no ids. */
  readonly id: RlpValue | undefined;
}

/** How a conversation is begun. */
export interface ConversationOptions {
  readonly protocol: Protocol;
  readonly direction: Direction;
  readonly sampler: Sampler;
  readonly random: SeededRandom;
}

/** A scripted peer that speaks one protocol, and its companions, with a probe. */
export class Conversation {
  readonly peer: ScriptedPeer;
  /** The same connection from the server's side. */
  readonly remote: Peer | undefined;
  readonly codes: readonly CodeSample[];
  /** Questions that wait for an answer of ours. */
  readonly asked: Asked[] = [];
  /** Why it ended, once the other side has said so. */
  endReason: number | undefined;
  /** How many messages of the protocol were sent. */
  sent = 0;
  readonly label: string;
  readonly #probe: Probe;
  readonly #options: ConversationOptions;
  readonly #capability: ScriptedCapability;
  #isOver = false;

  private constructor(probe: Probe, peer: ScriptedPeer, options: ConversationOptions) {
    const { name, version } = options.protocol;
    this.label = `${name}/${version}`;
    this.peer = peer;
    this.remote = probe.peer(peer);
    this.codes = options.sampler.codesOf(options.protocol);
    this.#probe = probe;
    this.#options = options;
    this.#capability = peer.capability(name);
  }

  /** Connects, and says Hello. */
  static async open(probe: Probe, options: ConversationOptions): Promise<Conversation> {
    const { protocol, direction } = options;
    // Of the protocol itself no other version, so that none of them is chosen.
    const spoken = probe.protocols.filter(
      (other) => other === protocol || other.name !== protocol.name,
    );
    return new Conversation(probe, await probe.connect(direction, spoken), options);
  }

  get protocol(): Protocol {
    return this.#options.protocol;
  }

  /** As in `foo/2 blob(0x04)`. */
  nameOf({ code, name }: CodeSample): string {
    return `${this.label} ${name}(0x${code.toString(16).padStart(2, "0")})`;
  }

  /** Whether the other side has ended it. */
  get isOver(): boolean {
    return this.#isOver || this.#probe.peer(this.peer) === undefined;
  }

  /**
   * Does the handshake, the companions' too: with a sample where there is one, otherwise by saying what
   * the other side has said.
   */
  async greet(): Promise<void> {
    for (const { protocol } of this.peer.shared) {
      const definition = definitionOf(protocol as Protocol);
      const message = definition?.messages[definition.handshake ?? ""];
      if (definition?.handshake === undefined || message === undefined) continue;
      const capability = this.peer.capability(protocol.name);
      const theirs = await this.#next(capability, message.code);
      const speaker = this.#probe.speakerOf(this.peer);
      const given = this.#options.sampler.handshake(definition.handshake, speaker);
      const payload = given === undefined ? theirs?.payload : message.schema.encode(given);
      if (payload === undefined) continue;
      capability.sendRaw(message.code, payload);
      if (protocol.name === this.#options.protocol.name) this.sent += 1;
      await this.#probe.clock.advance(0);
    }
  }

  /** Notes it when the handshake was not accepted: nothing that comes behind it is tested then. */
  checkGreeted(): void {
    if (!this.isOver || !this.codes.some(({ kind }) => kind === "handshake")) return;
    const detail = `${this.label}: ${this.fate} at the handshake; is there a sample of it?`;
    this.#probe.note(FaultKind.conduct, detail);
  }

  /** What has become of it, in words. */
  get fate(): string {
    if (!this.isOver) return "still connected";
    if (this.endReason === undefined) return "reset";
    return `disconnected as ${describeReason(this.endReason)}`;
  }

  /** Sends a message of the protocol, and lets everything run that waits for nothing else. */
  async send(code: number, payload: Uint8Array): Promise<void> {
    this.throwIn(code, payload);
    await this.#probe.clock.advance(0);
  }

  /** Sends a message of the protocol, and lets nothing run. */
  throwIn(code: number, payload: Uint8Array): void {
    this.sent += 1;
    this.#capability.sendRaw(code, payload);
  }

  /** Everything of the protocol that has come; requests are noted in {@link asked}. */
  async receive(): Promise<Message[]> {
    const received: Message[] = [];
    for (;;) {
      const message = await this.#next(this.#capability);
      if (message === undefined) return received;
      received.push(message);
      const sample = this.codes[message.code];
      if (sample?.kind !== "request" || sample.counterpart === undefined) continue;
      this.asked.push({
        replyCode: sample.counterpart,
        id: sample.hasId ? idOf(message) : undefined,
      });
    }
  }

  /** How many messages the other side's `run` has taken. */
  get read(): number {
    if (this.remote === undefined) return 0;
    return this.#probe.runOf(this.remote, this.label)?.read ?? 0;
  }

  /** The next message, if one has come; one virtual millisecond passes if not. */
  async #next(capability: ScriptedCapability, code?: number): Promise<Message | undefined> {
    const wanted = code ?? ((): boolean => true);
    try {
      return await this.#probe.clock.settle(capability.expect(wanted, { timeoutMs: 1 }));
    } catch (error) {
      if (!(error instanceof ExpectationError)) throw error;
      const { received } = error;
      if (received?.msgId === BaseMessage.disconnect) {
        this.endReason = decodeDisconnect(received.payload);
      }
      if (error.code === "ERR_TESTING_ENDED" || this.endReason !== undefined) this.#isOver = true;
      return undefined;
    }
  }
}

/** The id in front of a request's payload, which our own definition has put there. */
function idOf(message: Message): RlpValue {
  const value = decodeRlp(message.payload);
  return (Array.isArray(value) ? value[0] : undefined) ?? new Uint8Array(0);
}

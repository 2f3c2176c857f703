import { bytesEqual, encodeRlp } from "@heddle/identity";
import { BaseMessage, decodeDisconnect } from "@heddle/p2p";
import type { Capability, Hello } from "@heddle/p2p";
import type { ScriptedMessage, ScriptedPeer, StreamEnd } from "@heddle/testing";

import { accepted, hex, refused, silent, wrong } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import type { Lengths } from "./protocols.ts";

/** A shared protocol's place among the message ids, by the specification's rules. */
export interface Place extends Capability {
  readonly offset: number;
  readonly length: number;
}

/** RLP of the empty list, the payload of Ping and Pong. */
export const EMPTY_LIST: Uint8Array = Uint8Array.of(0xc0);

/** What a {@link Link} is made of. */
export interface LinkOptions {
  readonly peer: ScriptedPeer;
  readonly hello: Hello;
  readonly offer: readonly Capability[];
  readonly lengths: Lengths;
  /** The name of the protocol that returns what it gets. */
  readonly echo: string;
  readonly waitMs: number;
}

/** An active session: Hellos are exchanged, and any message may come. */
export class Link {
  readonly peer: ScriptedPeer;
  readonly hello: Hello;
  /** Shared protocols whose lengths are known, in the order of their message ids. */
  readonly places: readonly Place[];
  readonly waitMs: number;
  readonly #echo: string;

  constructor(options: LinkOptions) {
    this.peer = options.peer;
    this.hello = options.hello;
    this.waitMs = options.waitMs;
    this.#echo = options.echo;
    this.places = placesOf(options.offer, options.hello.capabilities, options.lengths);
  }

  /** The place of a shared protocol. @throws Error when it is not shared */
  place(name: string): Place {
    const place = this.places.find((candidate) => candidate.name === name);
    if (place === undefined) throw new Error(`${name} is not shared`);
    return place;
  }

  /** The place of the protocol that returns what it gets. @throws Error when it is not shared */
  get echoPlace(): Place {
    return this.place(this.#echo);
  }

  /** Sends a Ping. */
  ping(): void {
    this.peer.sendRaw(BaseMessage.ping, EMPTY_LIST);
  }

  /**
   * Reads until a message comes that is waited for; Pings are answered, the node's own messages skipped.
   *
   * @returns the message, or how it ended, or undefined when neither came in time
   */
  async next(
    isWanted: (message: ScriptedMessage) => boolean,
    ms: number = this.waitMs,
  ): Promise<ScriptedMessage | { reason: number } | StreamEnd | undefined> {
    const deadline = Date.now() + ms;
    for (;;) {
      const message = await this.peer.next(Math.max(0, deadline - Date.now()));
      if (message === undefined || typeof message === "string") return message;
      if (isWanted(message)) return message;
      if (message.msgId === BaseMessage.disconnect) {
        return { reason: decodeDisconnect(message.payload) };
      }
      if (message.msgId === BaseMessage.ping) this.peer.sendRaw(BaseMessage.pong, EMPTY_LIST);
    }
  }

  /** Waits for proof that the node took what was sent, or for the end. */
  async outcome(
    isProof: (message: ScriptedMessage) => boolean,
    proof: string,
    ms: number = this.waitMs,
  ): Promise<Outcome> {
    const answer = await this.next(isProof, ms);
    if (answer === undefined) return silent(ms);
    if (typeof answer === "string") return refused(answer);
    if ("reason" in answer) return refused("disconnect", answer.reason);
    return accepted(proof);
  }

  /** Sends a Ping: a Pong proves that the connection goes on. */
  async alive(proof = "the connection goes on: Ping is answered"): Promise<Outcome> {
    this.ping();
    return this.outcome(({ msgId }) => msgId === BaseMessage.pong, proof);
  }

  /** Waits for so many Pongs. */
  async pongs(count: number): Promise<Outcome> {
    for (let seen = 0; seen < count; seen += 1) {
      const outcome = await this.outcome(({ msgId }) => msgId === BaseMessage.pong, "");
      if (outcome.kind === "accepted") continue;
      return { ...outcome, detail: `${seen} of ${count} Pongs, then ${outcome.detail}` };
    }
    return accepted(count === 1 ? "Pong" : `${count} Pongs`);
  }

  /** Waits for the end; whatever comes before it, other than Disconnect, is skipped. */
  end(ms: number = this.waitMs): Promise<Outcome> {
    return this.outcome(() => false, "", ms);
  }

  /** Asks for whatever answer the node can give: a returned payload, else a Pong. */
  async answers(): Promise<Outcome> {
    const isShared = this.places.some(({ name }) => name === this.#echo);
    return isShared ? this.echo(token()) : this.alive();
  }

  /**
   * Sends a payload by `echo` (or to an even code of `wide`) and waits for it on the next message id: proof of the
   * offset, of the bytes and of the order. A return under another id is an error of the node's.
   */
  async echo(payload: Uint8Array, name: string = this.#echo, code = 0): Promise<Outcome> {
    const msgId = this.place(name).offset + code;
    this.peer.sendRaw(msgId, payload);
    return this.returned(payload, msgId + 1);
  }

  /** Waits for a payload on a message id. */
  async returned(payload: Uint8Array, msgId: number): Promise<Outcome> {
    let stray: ScriptedMessage | undefined;
    const answer = await this.next((message) => {
      const isMessage = message.msgId >= 0x10 && bytesEqual(message.payload, payload);
      if (isMessage && message.msgId !== msgId) stray = message;
      return isMessage;
    });
    if (stray !== undefined) {
      return wrong(`returned under message id ${hex(stray.msgId)}, not ${hex(msgId)}`);
    }
    if (answer === undefined) return silent(this.waitMs);
    if (typeof answer === "string") return refused(answer);
    if ("reason" in answer) return refused("disconnect", answer.reason);
    return accepted(`${payload.length} bytes returned under ${hex(msgId)}`);
  }
}

/** A payload that is valid RLP, and that no other case sends. */
export function token(length = 16): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return encodeRlp(bytes);
}

/**
 * The places that the specification gives to what both sides have: highest version of a name, names in byte order,
 * compact from 0x10 on.
 *
 * @see devp2p rlpx.md §Message ID-based Multiplexing
 */
export function placesOf(
  ours: readonly Capability[],
  theirs: readonly Capability[],
  lengths: Lengths,
): readonly Place[] {
  const best = new Map<string, number>();
  for (const { name, version } of ours) {
    const isShared = theirs.some((other) => other.name === name && other.version === version);
    if (isShared) best.set(name, Math.max(version, best.get(name) ?? 0));
  }
  const places: Place[] = [];
  let offset = 0x10;
  for (const name of [...best.keys()].sort()) {
    const length = lengths[name];
    // Behind a protocol of unknown length no place is known.
    if (length === undefined) break;
    places.push({ name, version: best.get(name) ?? 0, offset, length });
    offset += length;
  }
  return places;
}

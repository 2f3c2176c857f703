import { encodeRlp } from "@heddle/identity";
import type { RlpInput } from "@heddle/identity";
import {
  BaseMessage,
  decodeDisconnect,
  decodeHello,
  describeReason,
  encodeDisconnect,
} from "@heddle/p2p";
import type { Clock, Hello, Message, ProtocolShape, Session, SharedCapability } from "@heddle/p2p";

import { describeMessage, describeMsgId } from "./expectation-error.ts";
import { ScriptedAgreement } from "./scripted-agreement.ts";
import { matcherName, ScriptedCapability } from "./scripted-capability.ts";
import type { Matcher } from "./scripted-capability.ts";
import { ScriptedFrames } from "./scripted-frames.ts";
import type { FrameOptions } from "./scripted-frames.ts";
import { encodeScriptedHello } from "./scripted-hello.ts";
import type { ScriptedHello, WholeHello } from "./scripted-hello.ts";
import { ScriptedInbox } from "./scripted-inbox.ts";
import type { ExpectOptions, ScriptedMessage } from "./scripted-inbox.ts";
import type { ScriptedWire, StreamEnd } from "./scripted-wire.ts";

/** What a scripted peer is made of. */
export interface ScriptedPeerSetup {
  readonly session: Session;
  /** What carries the session. */
  readonly wire: ScriptedWire;
  /** 64 bytes. */
  readonly id: Uint8Array;
  /** What it says in its Hello, unless {@link ScriptedPeer.sendHello} is told otherwise. */
  readonly hello: WholeHello;
  /** The lengths of the protocols, by which message ids are dealt out. */
  readonly protocols: readonly ProtocolShape[];
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly answerPings: boolean;
}

/** How the other side ended a connection. */
export interface ScriptedEnding {
  readonly how: StreamEnd;
  /** Of the Disconnect that came before the end, if one did. */
  readonly reason: number | undefined;
}

/**
 * The other end of a connection, played by a test message by message; made by `scriptedPeer`.
 *
 * Nothing is checked on the way out. What comes in waits, in order, to be expected; pings are answered
 * and not shown, unless `answerPings` is false. Every wait has a deadline, on the clock that was given.
 * Disposing it destroys the stream.
 */
export class ScriptedPeer implements AsyncDisposable {
  readonly session: Session;
  /** The stream below the session: for pieces of frames, half-close and reset. */
  readonly wire: ScriptedWire;
  readonly #setup: ScriptedPeerSetup;
  readonly #inbox: ScriptedInbox;
  readonly #agreement: ScriptedAgreement;
  #reason: number | undefined;

  constructor(setup: ScriptedPeerSetup) {
    const { session, wire } = setup;
    this.session = session;
    this.wire = wire;
    this.#setup = setup;
    this.#agreement = new ScriptedAgreement(session.codec, setup.protocols);
    this.#inbox = new ScriptedInbox({ wire, codec: session.codec }, setup, {
      arrived: (message) => this.#onMessage(message),
      describe: (message) => describeMessage(message, this.shared),
    });
  }

  /** 64 bytes: who this is, as the handshake proved it. */
  get id(): Uint8Array {
    return this.#setup.id;
  }

  /** The other side's Hello; undefined until it has come. */
  get remoteHello(): Hello | undefined {
    return this.#agreement.remote;
  }

  /** What both Hellos have, with its place in the message ids; empty before both are said. */
  get shared(): readonly SharedCapability[] {
    return this.#agreement.shared;
  }

  /**
   * The frames below the messages: for frame-data of the script's own.
   *
   * @throws TypeError when the session is none of the script's, but of the `session` option or of the server's
   */
  get frames(): ScriptedFrames {
    const { codec } = this.session;
    if (codec instanceof ScriptedFrames) return codec;
    throw new TypeError("only a peer that speaks RLPx of its own has frames");
  }

  /** How the other side has ended the connection; undefined while it goes on. */
  get ending(): ScriptedEnding | undefined {
    const how = this.wire.ending;
    return how === undefined ? undefined : { how, reason: this.#reason };
  }

  /** Sends a Hello; what is not given is as the peer was set up. */
  sendHello(fields: ScriptedHello = {}): void {
    this.sendBytes(this.sealHello(fields));
  }

  /** Seals a Hello, which counts as said, for the script to send. */
  sealHello(fields: ScriptedHello = {}): Uint8Array {
    const payload = encodeScriptedHello({ ...this.#setup.hello, ...fields });
    const bytes = this.seal(BaseMessage.hello, payload);
    this.#agreement.say(payload);
    return bytes;
  }

  /** Exchanges Hellos. @throws ExpectationError when theirs does not come first */
  async greet(fields: ScriptedHello = {}): Promise<Hello> {
    this.sendHello(fields);
    return this.expectHello();
  }

  /** Takes the other side's Hello. @throws ExpectationError; `RemoteProtocolError` for one that is none */
  async expectHello(options?: ExpectOptions): Promise<Hello> {
    const { payload } = await this.expect(BaseMessage.hello, options);
    return decodeHello(payload);
  }

  /**
   * Does by hand what the exchange of Hellos does: lifts the size limit for strangers, and from version
   * 5 on compresses, in both directions. For scripts without a Hello.
   */
  agree(protocolVersion: number): void {
    this.#agreement.agree(protocolVersion);
  }

  /** Sends a value as RLP, as `rw.send` does, but with the msgId of the wire. */
  send(msgId: number, value: RlpInput): void {
    this.sendRaw(msgId, encodeRlp(value));
  }

  /**
   * Sends a message with any payload: it need not be RLP.
   *
   * @param options - how its frame differs from a right one
   * @throws TypeError where the session is none of the script's and such a thing is asked for
   */
  sendRaw(msgId: number | bigint, payload: Uint8Array, options?: FrameOptions): void {
    this.sendBytes(this.seal(msgId, payload, options));
  }

  /** Seals a message as {@link sendRaw} does, for the script to send: in pieces, twice, late or never. */
  seal(msgId: number | bigint, payload: Uint8Array, options?: FrameOptions): Uint8Array {
    const { codec } = this.session;
    const isPlain = options === undefined && typeof msgId === "number";
    if (!isPlain || codec instanceof ScriptedFrames) {
      return this.frames.seal(msgId, payload, options);
    }
    codec.push(msgId, payload);
    return codec.take();
  }

  /** Writes bytes to the stream as they are, in the place of a frame. The stream owns them afterwards. */
  sendBytes(bytes: Uint8Array): void {
    void this.wire.write(bytes);
  }

  /** Resolves when the other side has taken most of what was sent. @throws ExpectationError */
  drained(options?: ExpectOptions): Promise<void> {
    return this.#inbox.drained(options);
  }

  /**
   * Takes the next message, which must be this one.
   *
   * @param what - a msgId, or what says whether it is the one
   * @returns the message; its `code` is the msgId
   * @throws ExpectationError saying what was expected and what came
   */
  expect(what: number | Matcher, options: ExpectOptions = {}): Promise<ScriptedMessage> {
    return this.#inbox.read({
      expected: typeof what === "number" ? describeMsgId(what, this.shared) : matcherName(what),
      accepts: typeof what === "number" ? ({ code }) => code === what : what,
      ...options,
    });
  }

  /** Takes the Disconnect that must come next, with this reason if one is given; returns its reason. */
  async expectDisconnect(reason?: number, options: ExpectOptions = {}): Promise<number> {
    const name = describeMsgId(BaseMessage.disconnect, []);
    const message = await this.#inbox.read({
      expected: reason === undefined ? name : `${name} ${describeReason(reason)}`,
      accepts: ({ code, payload }) =>
        code === BaseMessage.disconnect &&
        (reason === undefined || decodeDisconnect(payload) === reason),
      ...options,
    });
    return decodeDisconnect(message.payload);
  }

  /** Resolves when the other side has ended the stream, and no message came before that; says how. */
  async expectEnd(options?: ExpectOptions): Promise<ScriptedEnding> {
    const how = await this.#inbox.readEnd(options);
    return { how, reason: this.#reason };
  }

  /**
   * Takes the next message, whatever it is.
   *
   * @param timeoutMs - for how long it waits; what the peer was made with by default
   * @returns the message, how the stream ended, or undefined when neither came in time
   * @throws ExpectationError `ERR_TESTING_BROKEN`
   */
  next(timeoutMs?: number): Promise<ScriptedMessage | StreamEnd | undefined> {
    return this.#inbox.next(timeoutMs);
  }

  /**
   * Speaks one protocol, with codes relative to 0.
   *
   * @throws TypeError when both Hellos are not said, or do not share it
   */
  capability(name: string): ScriptedCapability {
    const found = this.shared.find((shared) => shared.name === name);
    if (found === undefined) {
      const names = this.shared.map((shared) => `${shared.name}/${shared.version}`);
      throw new TypeError(`${name} is not shared; what is: ${names.join(", ") || "nothing"}`);
    }
    return new ScriptedCapability(this, found, (request) => this.#inbox.read(request));
  }

  /** Stops reading the stream: the other side's writes fill what holds them, then wait. */
  pause(): void {
    this.#inbox.pause();
  }

  /** Reads on. */
  resume(): void {
    this.#inbox.resume();
  }

  /** Says why and half-closes, as a peer in good order does. */
  disconnect(reason: number = 0): void {
    this.sendRaw(BaseMessage.disconnect, encodeDisconnect(reason));
    this.wire.finish();
  }

  /** Goes without a word. */
  destroy(): void {
    this.wire.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
  }

  /** Sees a message before it is queued; false keeps it from being shown. */
  #onMessage({ code, payload }: Message): boolean {
    if (code === BaseMessage.disconnect) this.#reason ??= decodeDisconnect(payload);
    if (code === BaseMessage.ping && this.#setup.answerPings) {
      this.send(BaseMessage.pong, []);
      return false;
    }
    if (code === BaseMessage.hello) this.#agreement.hear(payload);
    return true;
  }
}

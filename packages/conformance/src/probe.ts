import { bytesEqual } from "@heddle/identity";
import type { Enode } from "@heddle/identity";
import { BaseMessage, decodeDisconnect, PROTOCOL_VERSION } from "@heddle/p2p";
import type { Capability, Hello, Transport } from "@heddle/p2p";
import { encodeScriptedHello, ScriptedAuth, scriptedPeer } from "@heddle/testing";
import type {
  HandshakePacketOptions,
  ScriptedAuthOptions,
  ScriptedHello,
  ScriptedPeer,
  ScriptedSession,
  ScriptedWire,
} from "@heddle/testing";

import { Callee } from "./dialed.ts";
import type { Dialed, DialUs } from "./dialed.ts";
import { Link } from "./link.ts";
import { accepted, hex, refused, silent, wrong } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import { LENGTHS } from "./protocols.ts";
import type { Lengths } from "./protocols.ts";

/** What a case is given to reach the node with. */
export interface ProbeOptions {
  readonly node: Enode;
  /** TCP by default. */
  readonly transport?: Transport;
  /** What to offer in Hello. */
  readonly offer?: readonly Capability[];
  /** How many message codes each protocol has; {@link LENGTHS} by default. */
  readonly lengths?: Lengths;
  /** The protocol that returns under code 1 what it gets under code 0; `echo` by default. */
  readonly echo?: string;
  /** How long an answer may take, in milliseconds. */
  readonly waitMs?: number;
  /** For the cases in which the node dials. */
  readonly dial?: DialUs;
}

/** How long a node may take to answer or to close, unless a case knows better. */
export const DEFAULT_WAIT_MS = 10_000;

/** What our Hello calls us. */
const CLIENT_ID = "conformance/1";

/**
 * How far a connection has come: opened, handshake done, Hellos exchanged; or, where the node has dialed: its auth
 * read, our ack sent.
 */
export type Stage = "open" | "session" | "active" | "dialed" | "answered";

/** Opens connections to the node under test, each under a key of its own, and closes them in the end. */
export class Probe {
  readonly node: Enode;
  readonly offer: readonly Capability[];
  readonly lengths: Lengths;
  readonly echo: string;
  readonly waitMs: number;
  readonly #transport: Transport | undefined;
  readonly #dial: DialUs | undefined;
  readonly #wires: ScriptedWire[] = [];
  readonly #callees: Callee[] = [];

  constructor(options: ProbeOptions) {
    this.node = options.node;
    this.offer = options.offer ?? [];
    this.lengths = options.lengths ?? LENGTHS;
    this.echo = options.echo ?? "echo";
    this.waitMs = options.waitMs ?? DEFAULT_WAIT_MS;
    this.#transport = options.transport;
    this.#dial = options.dial;
  }

  /** Opens a connection and sends nothing. */
  async wire(): Promise<ScriptedWire> {
    const wire = await scriptedPeer.wire(this.node, this.#means());
    this.#wires.push(wire);
    return wire;
  }

  /** Makes an auth packet for the node, under a new key unless one is given. */
  auth(options: ScriptedAuthOptions = {}): ScriptedAuth {
    return new ScriptedAuth(this.node.id, options);
  }

  /** Encodes the Hello of an honest peer, but for what a case wants otherwise. */
  hello(nodeId: Uint8Array, fields: ScriptedHello = {}): Uint8Array {
    return encodeScriptedHello({
      protocolVersion: PROTOCOL_VERSION,
      clientId: CLIENT_ID,
      capabilities: this.offer,
      listenPort: 0,
      nodeId,
      ...fields,
    });
  }

  /**
   * Makes an attempt beside a second connection of the same stage on which nothing is wrong: an end that comes no
   * sooner than that connection's is no refusal, only the node's patience running out.
   */
  async sooner(stage: Stage, attempt: () => Promise<Outcome>): Promise<Outcome> {
    const control = await this.#idle(stage);
    const outcome = await attempt();
    const isLate = outcome.kind === "refused" && control.ending !== undefined;
    control.close();
    return isLate ? wrong("ended no sooner than a connection with nothing wrong") : outcome;
  }

  /** Sends bytes in place of an auth packet; `accepted` means that the node answered at all. */
  async offerAuth(bytes: Uint8Array, end: "end" | "stay" = "stay"): Promise<Outcome> {
    const wire = await this.wire();
    await wire.write(bytes);
    if (end === "end") wire.finish();
    const outcome = await this.firstAnswer(wire);
    wire.close();
    return outcome;
  }

  /** Waits for the first sign from the node on a connection without a session. */
  async firstAnswer(wire: ScriptedWire): Promise<Outcome> {
    const answer = await wire.read(this.waitMs);
    if (answer === undefined) return silent(this.waitMs);
    if (answer instanceof Uint8Array) return accepted(`answered with ${answer.length} bytes`);
    return refused(answer);
  }

  /**
   * Shakes hands: sends auth, reads ack. The rest is the case's: Hello, too.
   *
   * @param wire - one on which the auth has been sent; a new one by default
   * @throws Error when the node does not answer with a valid ack
   */
  async session(auth: ScriptedAuth = this.auth(), wire?: ScriptedWire): Promise<ScriptedPeer> {
    const connection = wire ?? (await this.wire());
    if (wire === undefined) await connection.write(auth.packet);
    return this.#over(await auth.open(connection));
  }

  /** Has the node dial us, and reads its auth. @throws Error when nobody knows how, or nobody comes */
  async dialed(): Promise<Dialed> {
    const dial = this.#dial;
    if (dial === undefined) throw new Error("nobody can make the node dial");
    const callee = new Callee();
    this.#callees.push(callee);
    return callee.receive(dial, this.#means());
  }

  /** Sends an ack that must be taken: a session on which Hello is the case's to send. */
  async answer({ wire, ack }: Dialed, options?: HandshakePacketOptions): Promise<ScriptedPeer> {
    const made = ack(options);
    await wire.write(made.packet);
    return this.#over(made.open(wire));
  }

  /**
   * Shakes hands and exchanges Hellos: an active session.
   *
   * @throws Error when the node ends the connection instead
   */
  async link(
    options: { hello?: ScriptedHello; offer?: readonly Capability[]; auth?: ScriptedAuth } = {},
  ): Promise<Link> {
    const { offer = this.offer } = options;
    const peer = await this.session(options.auth);
    peer.sendHello({ capabilities: offer, ...options.hello });
    return this.greet(peer, offer);
  }

  /** Has an active session for one attempt of several, and lets go of it afterwards. */
  async briefly(attempt: (link: Link) => Promise<Outcome>): Promise<Outcome> {
    const link = await this.link();
    try {
      return await attempt(link);
    } finally {
      link.peer.destroy();
    }
  }

  /** Reads the node's Hello on a session on which ours is sent. */
  async greet(peer: ScriptedPeer, offer: readonly Capability[] = this.offer): Promise<Link> {
    const hello = await this.readHello(peer);
    const { lengths, echo, waitMs } = this;
    return new Link({ peer, hello, offer, lengths, echo, waitMs });
  }

  /** Reads the node's Hello, the first message that may come. @throws Error when it is none of this node's */
  async readHello(peer: ScriptedPeer): Promise<Hello> {
    const hello = await peer.expectHello();
    if (!bytesEqual(hello.nodeId, this.node.id)) throw new Error("its Hello has another node id");
    return hello;
  }

  /**
   * Waits for the end of a session that sent something else than a good Hello; the node's own Hello says nothing.
   *
   * @param ms - for how long at most
   */
  async endOf(peer: ScriptedPeer, ms: number = this.waitMs): Promise<Outcome> {
    const deadline = Date.now() + ms;
    for (;;) {
      const message = await peer.next(Math.max(0, deadline - Date.now()));
      if (message === undefined) return silent(ms);
      if (typeof message === "string") return refused(message);
      if (message.msgId === BaseMessage.disconnect) {
        return refused("disconnect", decodeDisconnect(message.payload));
      }
      if (message.msgId !== BaseMessage.hello)
        return accepted(`answered with ${hex(message.msgId)}`);
    }
  }

  /** Lets go of every connection that was opened. */
  close(): void {
    for (const wire of this.#wires.splice(0)) wire.close();
    for (const callee of this.#callees.splice(0)) callee.close();
  }

  async #idle(stage: Stage): Promise<ScriptedWire> {
    switch (stage) {
      case "open":
        return this.wire();
      case "session":
        return (await this.session()).wire;
      case "active":
        return (await this.link()).peer.wire;
      case "dialed":
        return (await this.dialed()).wire;
      case "answered":
        return (await this.answer(await this.dialed())).wire;
      default:
        return stage satisfies never;
    }
  }

  #means(): { readonly timeoutMs: number; readonly transport?: Transport } {
    const transport = this.#transport;
    return { timeoutMs: this.waitMs, ...(transport === undefined ? {} : { transport }) };
  }

  #over(session: ScriptedSession): ScriptedPeer {
    return scriptedPeer.over(session, {
      hello: { clientId: CLIENT_ID, capabilities: this.offer },
      timeoutMs: this.waitMs,
      answerPings: false,
    });
  }
}

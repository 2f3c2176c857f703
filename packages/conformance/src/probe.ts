import { bytesEqual, generateSecretKey } from "@heddle/identity";
import type { Enode } from "@heddle/identity";
import type { Capability } from "@heddle/p2p";

import { AuthMaker } from "./handshake.ts";
import type { AuthOptions } from "./handshake.ts";
import { Base, encodeHello, readHello, readReason } from "./hello.ts";
import type { HelloFields, RemoteHello } from "./hello.ts";
import { Link } from "./link.ts";
import { accepted, hex, refused, silent, wrong } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import { RawSession } from "./session.ts";
import { LENGTHS } from "./protocols.ts";
import type { Lengths } from "./protocols.ts";
import { connectTcp, Wire } from "./wire.ts";
import type { Connect } from "./wire.ts";

/** What a case is given to reach the node with. */
export interface ProbeOptions {
  readonly node: Enode;
  readonly connect?: Connect;
  /** What to offer in Hello. */
  readonly offer?: readonly Capability[];
  /** How many message codes each protocol has; {@link LENGTHS} by default. */
  readonly lengths?: Lengths;
  /** The protocol that returns under code 1 what it gets under code 0; `echo` by default. */
  readonly echo?: string;
  /** How long an answer may take, in milliseconds. */
  readonly waitMs?: number;
}

/** How long a node may take to answer or to close, unless a case knows better. */
export const DEFAULT_WAIT_MS = 10_000;

/** Short enough that a connection looks busy, long enough that a few hundred bytes take minutes. */
const TRICKLE_PAUSE_MS = 500;

/** How far a connection has come: opened, handshake done, Hellos exchanged. */
export type Stage = "open" | "session" | "active";

/** Opens connections to the node under test, each under a key of its own, and closes them in the end. */
export class Probe {
  readonly node: Enode;
  readonly offer: readonly Capability[];
  readonly lengths: Lengths;
  readonly echo: string;
  readonly waitMs: number;
  readonly #connect: Connect;
  readonly #wires: Wire[] = [];

  constructor(options: ProbeOptions) {
    this.node = options.node;
    this.offer = options.offer ?? [];
    this.lengths = options.lengths ?? LENGTHS;
    this.echo = options.echo ?? "echo";
    this.waitMs = options.waitMs ?? DEFAULT_WAIT_MS;
    this.#connect = options.connect ?? connectTcp;
  }

  /** Opens a connection and sends nothing. */
  async wire(): Promise<Wire> {
    const wire = new Wire(await this.#connect(this.node));
    this.#wires.push(wire);
    return wire;
  }

  /** Makes an auth packet for the node, under a new key. */
  auth(options: AuthOptions = {}): AuthMaker {
    return new AuthMaker(generateSecretKey(), this.node.id, options);
  }

  /**
   * Makes an attempt beside a second connection of the same stage on which nothing is wrong: an end that comes no
   * sooner than that connection's is no refusal, only the node's patience running out.
   */
  async sooner(stage: Stage, attempt: () => Promise<Outcome>): Promise<Outcome> {
    const control = await this.#idle(stage);
    const outcome = await attempt();
    const isLate = outcome.kind === "refused" && control.isEnded;
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
  async firstAnswer(wire: Wire): Promise<Outcome> {
    const answer = await wire.read(this.waitMs);
    if (answer === undefined) return silent(this.waitMs);
    if (answer instanceof Uint8Array) return accepted(`answered with ${answer.length} bytes`);
    return refused(answer);
  }

  /**
   * Shakes hands: sends auth, reads ack.
   *
   * @throws Error when the node does not answer with a valid ack
   */
  async session(maker: AuthMaker = this.auth(), wire?: Wire): Promise<RawSession> {
    const connection = wire ?? (await this.wire());
    if (wire === undefined) await connection.write(maker.auth);
    const { packet, rest } = await this.#readPacket(connection);
    const session = new RawSession(connection, maker.accept(packet));
    session.feed(rest);
    return session;
  }

  /**
   * Shakes hands and exchanges Hellos: an active session.
   *
   * @throws Error when the node ends the connection instead
   */
  async link(
    options: { hello?: HelloFields; offer?: readonly Capability[]; maker?: AuthMaker } = {},
  ): Promise<Link> {
    const maker = options.maker ?? this.auth();
    const session = await this.session(maker);
    const offer = options.offer ?? this.offer;
    await session.send(Base.hello, encodeHello(maker.nodeId, offer, options.hello));
    return this.greet(session, { offer, isOld: Number(options.hello?.version ?? 5) < 5 });
  }

  /** Has an active session for one attempt of several, and lets go of it afterwards. */
  async briefly(attempt: (link: Link) => Promise<Outcome>): Promise<Outcome> {
    const link = await this.link();
    try {
      return await attempt(link);
    } finally {
      link.session.wire.close();
    }
  }

  /** Reads the node's Hello on a session on which ours is sent; `isOld` when ours says a version below 5. */
  async greet(
    session: RawSession,
    options: { offer?: readonly Capability[]; isOld?: boolean } = {},
  ): Promise<Link> {
    const { offer = this.offer, isOld = false } = options;
    const hello = await this.readHello(session);
    // EIP-706: both sides compress when both speak version 5 or later.
    session.isCompressed = hello.version >= 5 && !isOld;
    const { lengths, echo, waitMs } = this;
    return new Link({ session, hello, offer, lengths, echo, waitMs });
  }

  /** Reads the node's Hello, the first message that may come. */
  async readHello(session: RawSession): Promise<RemoteHello> {
    const message = await session.read(this.waitMs);
    if (message === undefined) throw new Error(`no Hello within ${this.waitMs} ms`);
    if (typeof message === "string") throw new Error("the connection ended before its Hello");
    if (message.msgId !== Base.hello) {
      throw new Error(`its first message is ${message.msgId}, not Hello`);
    }
    const hello = readHello(message.payload);
    if (!bytesEqual(hello.nodeId, this.node.id)) throw new Error("its Hello has another node id");
    return hello;
  }

  /**
   * Waits for the end of a session that sent something else than a good Hello; the node's own Hello says nothing.
   *
   * @param ms - for how long at most
   */
  async endOf(session: RawSession, ms: number = this.waitMs): Promise<Outcome> {
    const deadline = Date.now() + ms;
    for (;;) {
      const message = await session.read(Math.max(0, deadline - Date.now()));
      if (message === undefined) return silent(ms);
      if (typeof message === "string") return refused(message);
      if (message.msgId === Base.disconnect) return refused("disconnect", readReason(message.raw));
      if (message.msgId !== Base.hello) return accepted(`answered with ${hex(message.msgId)}`);
    }
  }

  /**
   * Writes bytes one by one, with a pause between them, until the node has had enough.
   *
   * @returns after how many milliseconds it ended the connection, or undefined when it read for `ms`
   */
  async trickle(wire: Wire, bytes: Uint8Array, ms: number): Promise<number | undefined> {
    const startedAt = Date.now();
    for (const byte of bytes) {
      await wire.write(Uint8Array.of(byte));
      await new Promise((resolve) => setTimeout(resolve, TRICKLE_PAUSE_MS));
      if (wire.isEnded) return Date.now() - startedAt;
      if (Date.now() - startedAt > ms) break;
    }
    return undefined;
  }

  /** Lets go of every connection that was opened. */
  close(): void {
    for (const wire of this.#wires.splice(0)) wire.close();
  }

  async #idle(stage: Stage): Promise<Wire> {
    if (stage === "open") return this.wire();
    const { wire } = stage === "session" ? await this.session() : (await this.link()).session;
    return wire;
  }

  /** Reads one handshake packet, and what came behind it. */
  async #readPacket(wire: Wire): Promise<{ packet: Uint8Array; rest: Uint8Array }> {
    let bytes = new Uint8Array(0);
    for (;;) {
      const size = bytes.length < 2 ? Infinity : 2 + (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0);
      if (bytes.length >= size) return { packet: bytes.slice(0, size), rest: bytes.slice(size) };
      const chunk = await wire.read(this.waitMs);
      if (chunk === undefined) throw new Error(`no ack within ${this.waitMs} ms`);
      if (typeof chunk === "string") throw new Error(`no ack: ${refused(chunk).detail}`);
      const longer = new Uint8Array(bytes.length + chunk.length);
      longer.set(bytes);
      longer.set(chunk, bytes.length);
      bytes = longer;
    }
  }
}

import { bytesEqual, toHex } from "@heddle/identity";
import type { Enode, Enr } from "@heddle/identity";
import { DisconnectReason } from "@heddle/p2p";
import type { DialError, DisconnectedError, Peer, Protocol } from "@heddle/p2p";

import { createConfig } from "./config.ts";
import type { PexOptions } from "./config.ts";
import type { DialOutcome } from "./book.ts";
import type { PexCounters } from "./counters.ts";
import type { KnownNode } from "./entry.ts";
import type { PexEvents, PexStatus } from "./events.ts";
import type { JoinOutcome } from "./join.ts";
import { MAX_PEERS_PER_REPLY } from "./messages.ts";
import type { Question } from "./messages.ts";
import { attached, createParts, updateOwn } from "./parts.ts";
import type { Parts, PexServer } from "./parts.ts";
import { createProtocols, publishOwn } from "./protocol.ts";

/** How often old entries are looked for, in milliseconds. */
const EXPIRE_MS = 600_000;

/** A peer that speaks `pex`, and the record it is known by. */
export interface PexPeer {
  readonly peer: Peer;
  /** Its newest record; one without an address is of a node that only dials. */
  readonly record: Enr;
}

/**
 * Makes a node's part in finding others: what it speaks with peers, and the book of whom to dial.
 *
 * @throws TypeError, RangeError naming the option, what was expected and what came
 * @example
 * const pex = createPeerExchange({ key, bootstrap: [enode] });
 * const server = new Server({ key, clientId, listen, protocols: [...pex.protocols, mine], candidates: [pex.candidates] });
 * pex.attach(server);
 * await server.start();
 * await pex.join();
 */
export function createPeerExchange(options: PexOptions): PeerExchange {
  return new PeerExchange(options);
}

/** A node's part in finding others; see {@link createPeerExchange}. */
export class PeerExchange implements AsyncDisposable {
  /** What a `Server` is to speak. */
  readonly protocols: readonly Protocol[];
  /** Whom a `Server` is to dial. */
  readonly candidates: AsyncIterable<Enr>;
  readonly #parts: Parts;
  readonly #detach: (() => void)[] = [];
  #expiring: unknown;
  #renewing: unknown;
  #closing: Promise<void> | undefined;

  constructor(options: PexOptions) {
    this.#parts = createParts(createConfig(options));
    this.protocols = createProtocols(this.#parts);
    this.candidates = this.#parts.candidates;
  }

  /** How the node stands in its network. */
  get status(): PexStatus {
    return this.#parts.joiner.status;
  }

  /** What has happened so far. */
  get counters(): PexCounters {
    return this.#parts.counters;
  }

  /** Who is connected and has introduced itself. */
  get peers(): readonly PexPeer[] {
    return this.#parts.roster.list().flatMap(({ peer, record }) => {
      return record === undefined ? [] : [{ peer, record: record.record }];
    });
  }

  /** Adds a listener for an event; the returned function removes it. */
  on<Name extends keyof PexEvents>(
    name: Name,
    listener: (event: PexEvents[Name]) => void,
  ): () => void {
    return this.#parts.listeners.on(name, listener);
  }

  /**
   * Binds to the server that speaks `protocols`: our record then names its address and protocols.
   *
   * Before or after its start; a server that stops and starts again needs no second call.
   *
   * @throws TypeError when a server is attached already, has another key, or does not speak `pex`
   */
  attach(server: PexServer): void {
    const parts = this.#parts;
    this.#check(server);
    parts.server = server;
    const { config } = server;
    parts.candidates.historyMs = config.limits.dialHistoryMs;
    parts.places.limit(config.maxInbound);
    parts.own.setCapabilities(config.protocols);
    this.#detach.push(
      server.on("listening", () => this.#listens()),
      server.on("dial", ({ node, error }) => this.#dialed(node, error)),
      server.on("peer:drop", ({ peer, error }) => this.#dropped(peer, error)),
    );
    if (server.address !== undefined) this.#listens();
    parts.questions.start();
    this.#expire();
    this.#renew();
  }

  /**
   * Joins the network: dials what the book knows and the bootstrap nodes until one introduces itself.
   *
   * From then on, whenever everybody is gone, it is tried again with growing waits until `close()`.
   * Progress is told by the events `attempt` and `status`.
   *
   * @param signal - gives up; the join rejects with its reason
   * @throws `JoinError` when nobody can be reached for now; it is tried again all the same
   * @throws TypeError when no running server is attached
   */
  async join(signal?: AbortSignal): Promise<JoinOutcome> {
    signal?.throwIfAborted();
    if (this.#closing !== undefined) throw new TypeError("the peer exchange is closed");
    if (!attached(this.#parts).isRunning) throw new TypeError("the server is not running");
    return this.#parts.joiner.join(signal);
  }

  /** Our own signed record, as it is now. */
  record(): Enr {
    return this.#parts.own.current;
  }

  /**
   * The newest record of a node: of ourselves, of a peer, or from the book.
   *
   * @param id - 64 bytes
   */
  find(id: Uint8Array): Enr | undefined {
    const { roster, book, own } = this.#parts;
    if (bytesEqual(id, this.#parts.id)) return own.current;
    return roster.get(toHex(id))?.record?.record ?? book.get(id)?.record;
  }

  /** The records in the book, in the order they were learnt. */
  known(): readonly Enr[] {
    return this.#parts.book.list().map(({ record }) => record);
  }

  /** Everything the book knows about the nodes in it. */
  nodes(): readonly KnownNode[] {
    return this.#parts.book.list();
  }

  /**
   * Asks a connected peer for addresses, and takes those it gives into the book.
   *
   * @param question - 64 records of any kind, if not given
   * @returns what is new to the book, or newer
   * @throws `RequestTimeout`, `PeerGone`, `BadReply`; TypeError for a peer that has not introduced itself
   */
  async ask(
    peer: Peer,
    { count = MAX_PEERS_PER_REPLY, capability }: Partial<Question> = {},
    signal?: AbortSignal,
  ): Promise<readonly Enr[]> {
    const member = this.#parts.roster.get(toHex(peer.id));
    if (member === undefined) throw new TypeError("the peer has not introduced itself");
    const news = await this.#parts.questions.ask(member, { count, capability }, signal);
    return news.map(({ record }) => record);
  }

  /** Ends everything but the connections, writes the book and closes the store. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { config, questions, spread, places, candidates, joiner, saver } = this.#parts;
    for (const detach of this.#detach.splice(0)) detach();
    config.clock.clearTimeout(this.#expiring);
    config.clock.clearTimeout(this.#renewing);
    joiner.close();
    questions.stop();
    spread.stop();
    places.stop();
    candidates.close();
    await saver.close();
  }

  #check(server: PexServer): void {
    if (this.#closing !== undefined) throw new TypeError("the peer exchange is closed");
    if (this.#parts.server !== undefined) throw new TypeError("a server is attached already");
    if (!bytesEqual(server.id, this.#parts.id)) {
      throw new TypeError("the server has another key than the peer exchange");
    }
    const isSpoken = this.protocols.every((protocol) => server.config.protocols.includes(protocol));
    if (!isSpoken) throw new TypeError("the server was made without the protocols of pex");
  }

  #listens(): void {
    const parts = this.#parts;
    parts.address.listens(parts.server?.address);
    if (updateOwn(parts)) publishOwn(parts);
  }

  #dialed(node: Enode, error: DialError | undefined): void {
    const { book, candidates, roster } = this.#parts;
    const key = toHex(node.id);
    const address = book.get(node.id)?.record.toEnode();
    if (error !== undefined && address?.host === node.host && address.tcpPort === node.tcpPort) {
      const outcome = judge(error, roster.size > 0);
      if (outcome !== undefined) book.dialed(node.id, outcome);
    }
    candidates.settled(key);
  }

  #dropped(peer: Peer, { reason, by }: DisconnectedError): void {
    const { book, candidates } = this.#parts;
    const isUnwanted =
      reason === DisconnectReason.tooManyPeers || reason === DisconnectReason.uselessPeer;
    if (!peer.inbound && by === "remote" && isUnwanted) book.dialed(peer.id, "busy");
    candidates.wake();
  }

  /** A sign of life, from time to time: what is never renewed is forgotten. */
  #renew(): void {
    const { config, own } = this.#parts;
    this.#renewing = config.clock.setTimeout(() => {
      own.renew();
      publishOwn(this.#parts);
      this.#renew();
    }, config.limits.announceMs);
  }

  #expire(): void {
    const { config, book, roster } = this.#parts;
    this.#expiring = config.clock.setTimeout(() => {
      // Whoever hears nothing at all is cut off himself, and will need what he knows.
      if (roster.size > 0) book.expire();
      this.#expire();
    }, EXPIRE_MS);
  }
}

/** What a failed dial says of the address; undefined when it says nothing. */
function judge({ reason, side }: DialError, isOnline: boolean): DialOutcome | undefined {
  switch (reason) {
    case DisconnectReason.requested:
    case DisconnectReason.clientQuitting:
    case DisconnectReason.alreadyConnected:
      return side === "local" ? undefined : "busy";
    case DisconnectReason.tooManyPeers:
      return side === "local" ? undefined : "busy";
    default:
      return isOnline ? "failure" : "unsure";
  }
}

import { formatEnode, nodeIdOf, toHex } from "@heddle/identity";
import type { Enode, Enr } from "@heddle/identity";

import { Backoff } from "./backoff.ts";
import { CandidateLoop } from "./candidates.ts";
import { isLoopback } from "./cidr.ts";
import { sleep } from "./clock.ts";
import { createConfig, toNode } from "./config.ts";
import type { ServerConfig, ServerOptions } from "./config.ts";
import { createCounters, createProtocolCounters, increment } from "./counters.ts";
import type { ServerCounters } from "./counters.ts";
import { Scope, ScopeGroup } from "./deadline.ts";
import { Dialer } from "./dialer.ts";
import { Disconnect, DisconnectReason } from "./disconnect.ts";
import { DialError, disconnectReasonFor, TimeoutError } from "./errors.ts";
import type { DisconnectedError } from "./errors.ts";
import { Emitter } from "./emitter.ts";
import { encodeOurHello, establish, EstablishError, refuse } from "./establish.ts";
import type { EstablishContext } from "./establish.ts";
import type { ServerEvents } from "./events.ts";
import { Greetings } from "./greetings.ts";
import { createInfo } from "./info.ts";
import type { ServerInfo } from "./info.ts";
import { silentLogger } from "./logger.ts";
import { Maintainer } from "./maintain.ts";
import type { Maintained } from "./maintain.ts";
import { inboundEnode, LivePeer } from "./peer.ts";
import type { LivePeerEvents } from "./peer.ts";
import { PeerSet } from "./peer-set.ts";
import { PendingHandshakes } from "./pending.ts";
import type { Peer } from "./protocol.ts";
import { discard } from "./stream.ts";
import type { ByteStream, Listener, StreamAddress } from "./stream.ts";
import { TaskSet } from "./tasks.ts";
import { ConnectionThrottle } from "./throttle.ts";

/** A `maintain`ed session that lasted this long starts the waits between attempts anew. */
const LASTING_SESSION_MS = 60_000;

/** What exists only while the server runs. */
interface Running {
  readonly controller: AbortController;
  readonly scopes: ScopeGroup;
  readonly dialer: Dialer;
  readonly candidates: CandidateLoop;
  readonly throttle: ConnectionThrottle;
  readonly pending: PendingHandshakes;
  listener: Listener | undefined;
}

/**
 * A node: listens, dials, and keeps the peers that its protocols talk to.
 *
 * Made of a validated, frozen configuration; may be started again after it has stopped.
 *
 * @example
 * await using server = new Server({ key, clientId: "demo/1.0", listen: ":30303", protocols });
 * await server.start();
 */
export class Server implements AsyncDisposable {
  readonly config: ServerConfig;
  /** 64 bytes: the public key. */
  readonly id: Uint8Array;
  /** What happened so far, over all starts. */
  readonly counters: ServerCounters = createCounters();
  readonly #emitter: Emitter<ServerEvents>;
  readonly #peers: PeerSet;
  /** Handshakes, and connections that end: a stop waits for them. */
  readonly #tasks = new TaskSet();
  readonly #greetings: Greetings;
  readonly #maintained = new Map<string, Maintainer>();
  readonly #trusted: ReadonlySet<string>;
  readonly #context: EstablishContext;
  /** One object for all peers: an idle peer should cost little. */
  readonly #peerEvents: LivePeerEvents;
  #running: Running | undefined;
  #stopping: Promise<void> | undefined;

  /** @throws TypeError, RangeError naming the option, what was expected and what came */
  constructor(options: ServerOptions) {
    this.config = createConfig(options);
    const { config } = this;
    this.id = nodeIdOf(config.key);
    this.#greetings = new Greetings(this.id);
    this.#trusted = new Set(config.trusted.map(({ id }) => toHex(id)));
    this.#emitter = new Emitter((error) =>
      config.logger.error("an event listener threw", { error }),
    );
    this.#peers = new PeerSet({
      nodeId: this.id,
      maxPeers: config.maxPeers,
      maxInbound: config.maxInbound,
      simultaneousMs: config.limits.handshakeTimeoutMs,
      clock: config.clock,
    });
    this.#context = {
      secretKey: config.key,
      nodeId: this.id,
      protocols: config.protocols,
      hasFlowControl: config.flowControl,
      hello: encodeOurHello(config, this.id),
      upgrade: config.session,
      clock: config.clock,
      limits: config.limits,
    };
    this.#peerEvents = this.#createPeerEvents();
    for (const { name, version } of config.protocols) {
      this.counters.protocols[`${name}/${version}`] = createProtocolCounters();
    }
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** The live peers. */
  get peers(): readonly Peer[] {
    return this.#peers.list();
  }

  /** Where it listens; undefined while it does not. */
  get address(): StreamAddress | undefined {
    return this.#running?.listener?.address;
  }

  /** How others dial it; with port 0 while it does not listen. */
  get enode(): string {
    const { host, port } = this.address ?? { host: "127.0.0.1", port: 0 };
    const shown = host === "::" || host === "0.0.0.0" ? "127.0.0.1" : host;
    return formatEnode({ id: this.id, host: shown, tcpPort: port, udpPort: port });
  }

  /** The peer with this id, if it is connected. */
  peer(id: Uint8Array): Peer | undefined {
    return this.#peers.get(id);
  }

  /** Adds a listener for an event; the returned function removes it. */
  on<Name extends keyof ServerEvents>(
    name: Name,
    listener: (event: ServerEvents[Name]) => void,
  ): () => void {
    return this.#emitter.on(name, listener);
  }

  /**
   * Listens, if configured to, and starts dialing what is to be kept up.
   *
   * @throws the transport's error when the address cannot be listened on; TypeError when running
   */
  async start(): Promise<void> {
    if (this.#running !== undefined) throw new TypeError("the server is running already");
    const running = this.#createRunning();
    // At once, so that a second start finds it and a stop that comes now ends it.
    this.#running = running;
    try {
      await this.#stopping;
      const listening = this.#listen(running);
      this.#tasks.add(listening);
      await listening;
    } catch (error) {
      // Dials may have begun meanwhile, and led to peers.
      if (this.#running === running) await this.stop();
      throw error;
    }
    if (running.controller.signal.aborted) return;
    for (const maintainer of this.#maintained.values()) maintainer.start();
    running.candidates.run().catch((error: unknown) => {
      this.config.logger.error("the candidate loop ended", { error });
    });
  }

  /**
   * Says goodbye to every peer (0x08) and stops; always ends within the grace and drain times, even
   * beside a `run` that ignores its signal. Calling it again is harmless.
   */
  stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return this.#stopping ?? Promise.resolve();
    this.#running = undefined;
    for (const maintainer of this.#maintained.values()) maintainer.stop();
    const stopping = Promise.all([this.#stopping, this.#stop(running)])
      .then(() => undefined)
      .finally(() => {
        if (this.#stopping === stopping) this.#stopping = undefined;
      });
    this.#stopping = stopping;
    return stopping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * Connects to a node and resolves with the peer once its protocols run; with the existing one if
   * it is connected already.
   *
   * @throws {@link DialError} saying how far it got, why it ended and on which side;
   *   `EnodeError` for a URL or parts that name no node, TypeError for what is neither
   */
  async dial(node: string | Enode | Enr, options: { signal?: AbortSignal } = {}): Promise<Peer> {
    return this.#dialer().dial(toNode(node), options.signal);
  }

  /**
   * Keeps a connection to a node up, redialing with growing, jittered waits, until it or the server is
   * stopped. Asked for again meanwhile, it is the same one.
   *
   * @throws {@link DialError} for a record without an address, `EnodeError` for a URL or parts that name
   *   no node, TypeError for what is neither
   */
  maintain(node: string | Enode | Enr): Maintained {
    const target = toNode(node);
    const { clock, limits, random } = this.config;
    const key = toHex(target.id);
    const existing = this.#maintained.get(key);
    if (existing !== undefined) return existing;
    const maintainer = new Maintainer({
      node: target,
      dial: (wanted, signal) => this.#dialer().dial(wanted, signal),
      clock,
      backoff: new Backoff({ minMs: limits.redialMinMs, maxMs: limits.redialMaxMs, random }),
      lastingMs: LASTING_SESSION_MS,
      onStop: () => this.#maintained.delete(key),
    });
    this.#maintained.set(key, maintainer);
    if (this.#running !== undefined) maintainer.start();
    return maintainer;
  }

  /** Readable facts about the node and its peers, as `admin_nodeInfo` and `admin_peers` show them. */
  info(): ServerInfo {
    return createInfo(this, this.#peers.list());
  }

  #dialer(): Dialer {
    if (this.#running === undefined) {
      throw new DialError(
        "the server is not running: call start() first",
        "dial",
        DisconnectReason.clientQuitting,
        "local",
      );
    }
    return this.#running.dialer;
  }

  #createRunning(): Running {
    const { config } = this;
    const controller = new AbortController();
    const { signal } = controller;
    const scopes = new ScopeGroup();
    const dialer = new Dialer({
      config,
      counters: this.counters,
      nodeId: this.id,
      signal,
      scopes,
      tasks: this.#tasks,
      peerOf: (id) => this.#peers.get(id),
      inboundDecided: (id) => this.#greetings.decided(id),
      peerAdded: (id, until) => this.#peers.added(id, until),
      admit: (stream, node, until) => this.#admit(stream, until, { node }),
      dialed: (node, error) => this.#emitter.emit("dial", { node, error }),
    });
    const peers = this.#peers;
    return {
      controller,
      scopes,
      dialer,
      candidates: new CandidateLoop({ config, nodeId: this.id, dialer, peers, signal }),
      throttle: new ConnectionThrottle({
        clock: config.clock,
        windowMs: config.limits.inboundThrottleMs,
      }),
      pending: new PendingHandshakes(config.limits.maxPendingHandshakes),
      listener: undefined,
    };
  }

  async #listen(running: Running): Promise<void> {
    const { listen, transport } = this.config;
    if (listen === undefined || running.controller.signal.aborted) return;
    const listener = await transport.listen(listen, (stream) => {
      this.#tasks.add(this.#accept(running, stream));
    });
    if (running.controller.signal.aborted) {
      await listener.close();
      return;
    }
    running.listener = listener;
    this.#emitter.emit("listening", { address: running.listener.address, enode: this.enode });
  }

  async #stop(running: Running): Promise<void> {
    const reason = new Disconnect(DisconnectReason.clientQuitting, "the server stops");
    running.controller.abort(reason);
    running.scopes.abort(reason);
    for (const peer of this.#peers.list()) void peer.disconnect(DisconnectReason.clientQuitting);
    const { clock, limits, logger } = this.config;
    const closed = new AbortController();
    const closing = Promise.all([running.listener?.close(), this.#tasks.settled()]);
    // Everything of ours has ended by then; a transport of somebody else's may never close.
    const graceMs = limits.graceMs + 2 * limits.drainTimeoutMs;
    const late = sleep(clock, graceMs, closed.signal).then(
      () => logger.error("stopped without waiting any longer for what the transport opened"),
      () => undefined,
    );
    await Promise.race([closing.finally(() => closed.abort()), late]);
  }

  /** Serves one accepted stream; whatever goes wrong ends that stream only. */
  async #accept(running: Running, stream: ByteStream): Promise<void> {
    if (this.#isRefused(running, stream)) {
      this.counters.serves.refused += 1;
      await discard(stream);
      return;
    }
    const { clock, limits } = this.config;
    using scope = new Scope(clock, running.scopes);
    scope.limit(
      limits.handshakeTimeoutMs,
      () => new TimeoutError("handshake", limits.handshakeTimeoutMs),
    );
    const leave = running.pending.enter(stream.remoteAddress?.host, scope);
    try {
      await this.#greetings.serve({
        dialDecided: (id) => running.dialer.decided(id),
        admit: (identified) => this.#admit(stream, scope.signal, { identified }),
      });
      this.counters.serves.succeeded += 1;
    } catch (error) {
      const phase = error instanceof EstablishError ? error.phase : "handshake";
      increment(this.counters.serves.failed, phase);
      this.config.logger.debug("an inbound connection failed", { error });
    } finally {
      leave();
    }
  }

  /** What needs no byte of the stranger's to be decided. */
  #isRefused(running: Running, stream: ByteStream): boolean {
    const host = stream.remoteAddress?.host;
    if (running.controller.signal.aborted) return true;
    if (host === undefined) return false;
    if (this.config.allow !== undefined && !this.config.allow.contains(host)) return true;
    return !isLoopback(host) && !running.throttle.admit(host);
  }

  /** Makes a peer of a stream, dialed when `node` is given. */
  async #admit(
    stream: ByteStream,
    signal: AbortSignal,
    { node, identified }: { node?: Enode; identified?: (id: Uint8Array) => Promise<void> },
  ): Promise<LivePeer> {
    const inbound = node === undefined;
    const address = stream.remoteAddress;
    const leaving = (closed: Promise<void>): void => this.#tasks.add(closed);
    try {
      const established = await establish(stream, this.#context, {
        ...(node === undefined ? {} : { remoteId: node.id }),
        ...(identified === undefined ? {} : { identified }),
        signal,
        leaving,
        admit: (id) => this.#refusal(id, inbound),
        onPhase: (phase) => this.#emitter.emit("handshake", { address, inbound, phase }),
      });
      // Others may have been added, or the server stopped, since its Hello was accepted.
      const refusal = signal.aborted
        ? disconnectReasonFor(signal.reason)
        : this.#refusal(established.connection.session.remoteId, inbound);
      if (refusal !== undefined) throw refuse(established, refusal, { leaving });
      return this.#addPeer(established, node);
    } catch (error) {
      if (error instanceof EstablishError) {
        const { phase, reason, side } = error;
        this.#emitter.emit("handshake", {
          address,
          inbound,
          phase,
          failed: { reason, side, error },
        });
      }
      throw error;
    }
  }

  #refusal(id: Uint8Array, inbound: boolean): number | undefined {
    return this.#peers.refusal(id, { inbound, trusted: this.#isTrusted(id) });
  }

  #isTrusted(id: Uint8Array): boolean {
    return this.#trusted.size > 0 && this.#trusted.has(toHex(id));
  }

  /** The one place where a peer comes to be; nothing here waits, so that no other decision comes between. */
  #addPeer(established: Awaited<ReturnType<typeof establish>>, node: Enode | undefined): LivePeer {
    const { connection, hello, shared } = established;
    const { remoteId, stream } = connection.session;
    const { clock, limits, logger } = this.config;
    const peer = new LivePeer({
      connection,
      hello,
      shared,
      inbound: node === undefined,
      trusted: this.#isTrusted(remoteId),
      enode: () =>
        node === undefined ? inboundEnode(remoteId, stream.remoteAddress) : formatEnode(node),
      clock,
      limits,
      counters: this.counters.protocols,
      events: this.#peerEvents,
    });
    const replaced = this.#peers.add(peer);
    void replaced?.disconnect(DisconnectReason.alreadyConnected);
    this.#emitter.emit("peer:add", {
      peer,
      protocols: peer.channels.map(
        ({ capability: { name, version, offset, length }, isRunnable }) => {
          return { name, version, offset, length, isRunning: isRunnable };
        },
      ),
    });
    if (logger !== silentLogger) logger.info("peer added", { peer: peer.enode });
    peer.start();
    return peer;
  }

  #createPeerEvents(): LivePeerEvents {
    const { logger } = this.config;
    return {
      ended: (peer, error) => this.#dropPeer(peer, error),
      failed: (peer, protocol, error) => {
        logger.warn(`${protocol} failed`, { peer: peer.enode, error });
        this.#emitter.emit("protocol:error", { peer, protocol, error });
      },
      detached: (peer, protocol) => {
        logger.error(`${protocol} ignored its signal and was detached`, { peer: peer.enode });
        increment(this.counters.detached, protocol);
        this.#emitter.emit("protocol:detached", { peer, protocol });
      },
      message: (peer, direction, channel, code, size) => {
        if (!this.#emitter.has("message")) return;
        const description = channel.describe(code);
        const protocol = channel.label;
        this.#emitter.emit("message", { peer, direction, protocol, code, description, size });
      },
    };
  }

  #dropPeer(peer: LivePeer, error: DisconnectedError): void {
    const { logger } = this.config;
    this.#peers.delete(peer);
    increment(this.counters.disconnects[error.by], error.reason);
    this.#tasks.add(peer.closed());
    // A silent logger is not worth writing a URL for.
    if (logger !== silentLogger) logger.info("peer dropped", { peer: peer.enode, error });
    this.#emitter.emit("peer:drop", { peer, error });
    this.#running?.candidates.wake();
  }
}

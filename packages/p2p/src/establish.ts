import { bytesEqual } from "@heddle/identity";

import { compareCapabilities, matchCapabilities } from "./capability.ts";
import type { Capability, SharedCapability } from "./capability.ts";
import type { Clock } from "./clock.ts";
import type { ServerConfig } from "./config.ts";
import { Connection } from "./connection.ts";
import type { ConnectionLimits } from "./connection.ts";
import {
  decodeDisconnect,
  describeReason,
  Disconnect,
  DisconnectReason,
  encodeDisconnect,
} from "./disconnect.ts";
import { DisconnectedError, disconnectReasonFor, RemoteProtocolError } from "./errors.ts";
import type { Phase, Side } from "./errors.ts";
import { FLOW_CAPABILITY } from "./flow.ts";
import { BaseMessage, decodeHello, encodeHello, PROTOCOL_VERSION } from "./hello.ts";
import type { Hello } from "./hello.ts";
import type { Protocol } from "./protocol.ts";
import type { Session, SessionUpgrade, WireMessage } from "./session.ts";
import { discard } from "./stream.ts";
import type { ByteStream } from "./stream.ts";

/** Why a connection never became a peer. */
export class EstablishError extends Error {
  override readonly name: string = "EstablishError";
  readonly code: string = "ERR_P2P_ESTABLISH";
  readonly phase: Phase;
  readonly reason: number;
  readonly side: Side;

  constructor(message: string, at: { phase: Phase; reason: number; side: Side; cause?: unknown }) {
    super(message, "cause" in at ? { cause: at.cause } : undefined);
    this.phase = at.phase;
    this.reason = at.reason;
    this.side = at.side;
  }
}

/** What every connection of a server is established with. */
export interface EstablishContext {
  readonly secretKey: Uint8Array;
  readonly nodeId: Uint8Array;
  readonly protocols: readonly Protocol[];
  readonly hasFlowControl: boolean;
  /** Ours, as {@link encodeOurHello} makes it. */
  readonly hello: Uint8Array;
  readonly upgrade: SessionUpgrade;
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
}

/** One stream on its way to becoming a peer. */
export interface EstablishOptions {
  /** Whom we dialed; absent on an accepted stream. */
  readonly remoteId?: Uint8Array;
  /** The one deadline for all of it, or the server's end. */
  readonly signal: AbortSignal;
  /** Called when the identity is proven: our Hello waits for it. */
  readonly identified?: (remoteId: Uint8Array) => Promise<void>;
  /** Why this node may not become a peer, if so: asked before our Hello, and again after theirs. */
  readonly admit: (remoteId: Uint8Array) => number | undefined;
  readonly onPhase?: (phase: Phase) => void;
  /** Given the end of a stream that becomes no peer; told before the error is. */
  readonly leaving?: (closed: Promise<void>) => void;
}

/** A stream that may become a peer: identity proven, Hellos exchanged, protocols matched. */
export interface Established {
  readonly connection: Connection;
  readonly hello: Hello;
  readonly shared: readonly SharedCapability<Protocol>[];
}

/** Encodes the Hello that a server sends on every connection. */
export function encodeOurHello(
  config: Pick<ServerConfig, "clientId" | "protocols" | "flowControl">,
  nodeId: Uint8Array,
): Uint8Array {
  const capabilities: Capability[] = [...config.protocols];
  if (config.flowControl && capabilities.length > 0) capabilities.push(FLOW_CAPABILITY);
  return encodeHello({
    protocolVersion: PROTOCOL_VERSION,
    clientId: config.clientId,
    capabilities: capabilities.toSorted(compareCapabilities),
    listenPort: 0,
    nodeId,
  });
}

/**
 * Brings a stream from its first byte to the end of the Hello exchange, or ends it saying why.
 *
 * @throws {@link EstablishError}; the stream is closed or closing by then
 */
export async function establish(
  stream: ByteStream,
  context: EstablishContext,
  options: EstablishOptions,
): Promise<Established> {
  options.onPhase?.("handshake");
  const session = await upgrade(stream, context, options);
  options.onPhase?.("hello");
  const exchange = new HelloExchange(session, context, options);
  return exchange.run();
}

/** Ends a connection that is established and yet cannot become a peer; returns why. */
export function refuse(
  { connection }: Established,
  reason: number,
  { leaving }: Pick<EstablishOptions, "leaving">,
): EstablishError {
  connection.end({ msgId: BaseMessage.disconnect, payload: encodeDisconnect(reason) });
  leaving?.(connection.closed());
  return new EstablishError(describeReason(reason), { phase: "hello", reason, side: "local" });
}

async function upgrade(
  stream: ByteStream,
  { upgrade: upgradeStream, secretKey, nodeId }: EstablishContext,
  { remoteId, signal, leaving }: EstablishOptions,
): Promise<Session> {
  try {
    const session = await upgradeStream(stream, {
      secretKey,
      nodeId,
      signal,
      ...(remoteId === undefined ? {} : { remoteId }),
    });
    return session;
  } catch (error) {
    const closed = discard(stream);
    leaving?.(closed);
    throw establishError("handshake", error, signal);
  }
}

/** The Hello exchange on a fresh session: ours goes out at once, theirs must come first. */
class HelloExchange {
  readonly #session: Session;
  readonly #context: EstablishContext;
  readonly #options: EstablishOptions;
  readonly #connection: Connection;
  readonly #done: Promise<Established>;
  #resolve: (established: Established) => void = () => undefined;
  #reject: (error: EstablishError) => void = () => undefined;
  #isSettled = false;

  constructor(session: Session, context: EstablishContext, options: EstablishOptions) {
    this.#session = session;
    this.#context = context;
    this.#options = options;
    this.#done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#connection = new Connection(session, {
      clock: context.clock,
      limits: context.limits,
      events: {
        message: (message) => this.#onMessage(message),
        failed: (error) => this.#fail(error),
      },
    });
  }

  async run(): Promise<Established> {
    const { signal, admit, identified } = this.#options;
    const onAbort = (): void => this.#fail(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    try {
      // Whatever ends the connection meanwhile ends the wait.
      await Promise.race([identified?.(this.#session.remoteId), this.#done]);
      const refusal = admit(this.#session.remoteId);
      if (refusal === undefined) {
        this.#connection.sendBase(BaseMessage.hello, this.#context.hello);
        // Ours must leave uncompressed: theirs, which turns compression on, may be here already.
        this.#connection.flush();
        this.#connection.resume();
      } else {
        this.#fail(new Disconnect(refusal));
      }
      return await this.#done;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #onMessage({ msgId, payload }: WireMessage): void {
    if (msgId === BaseMessage.disconnect) {
      const reason = decodeDisconnect(payload);
      this.#settle(
        new EstablishError(new DisconnectedError(reason, "remote", "hello").message, {
          phase: "hello",
          reason,
          side: "remote",
        }),
        () => this.#connection.end(),
      );
      return;
    }
    if (msgId !== BaseMessage.hello) {
      throw new RemoteProtocolError(
        "ERR_P2P_EXPECTED_HELLO",
        `the first message must be Hello (0x00), got 0x${msgId.toString(16)}`,
      );
    }
    this.#onHello(decodeHello(payload));
  }

  #onHello(hello: Hello): void {
    const { remoteId, codec } = this.#session;
    // Both sides have a Hello now: a refusal, too, must be compressed to be understood.
    codec.helloAccepted(hello.protocolVersion);
    if (!bytesEqual(hello.nodeId, remoteId)) {
      throw new RemoteProtocolError(
        "ERR_P2P_IDENTITY_MISMATCH",
        "hello: node id differs from the one proven in the handshake",
        { reason: DisconnectReason.unexpectedIdentity },
      );
    }
    const shared = this.#match(hello);
    const refusal = this.#options.admit(remoteId);
    if (refusal !== undefined) throw new Disconnect(refusal);
    // Until the peer is started nothing may be delivered; what is buffered stays in the codec.
    this.#connection.hold();
    this.#isSettled = true;
    this.#resolve({ connection: this.#connection, hello, shared });
  }

  #match(hello: Hello): readonly SharedCapability<Protocol>[] {
    const { protocols, hasFlowControl } = this.#context;
    if (protocols.length === 0) return [];
    const local = hasFlowControl ? [...protocols, FLOW_PROTOCOL] : protocols;
    const shared = matchCapabilities(local, hello.capabilities);
    if (shared.some(({ protocol }) => protocol !== FLOW_PROTOCOL)) return shared;
    const ours = protocols.map(({ name, version }) => `${name}/${version}`).join(", ");
    throw new Disconnect(
      DisconnectReason.uselessPeer,
      `no shared capability: the peer speaks none of ${ours}`,
    );
  }

  #fail(error: unknown): void {
    const failure = establishError("hello", error, this.#options.signal);
    this.#settle(failure, () => {
      if (failure.side === "remote") this.#connection.destroy();
      else {
        this.#connection.end({
          msgId: BaseMessage.disconnect,
          payload: encodeDisconnect(failure.reason),
        });
      }
    });
  }

  #settle(error: EstablishError, close: () => void): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    close();
    this.#options.leaving?.(this.#connection.closed());
    this.#reject(error);
  }
}

/** Stands in for `flow/1` in matching; the mux handles its messages itself. */
const FLOW_PROTOCOL: Protocol = {
  ...FLOW_CAPABILITY,
  run: () => Promise.resolve(),
};

function establishError(phase: Phase, error: unknown, signal: AbortSignal): EstablishError {
  if (error instanceof EstablishError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const known = disconnectReasonFor(error);
  // Everything that is nobody's breach of the protocol is the stream's end, which the peer caused.
  const isLost = known === DisconnectReason.subprotocolError && error !== signal.reason;
  return new EstablishError(message, {
    phase,
    reason: isLost ? DisconnectReason.networkError : known,
    side: isLost ? "remote" : "local",
    cause: error,
  });
}

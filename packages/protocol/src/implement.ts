import type { Enode, Enr } from "@heddle/identity";
import type { MessageReadWriter, Peer, Protocol, ProtocolHandle } from "@heddle/p2p";

import { TypedConnection } from "./connection.ts";
import type {
  Context,
  ContextOf,
  ContextWith,
  HandshakeOf,
  NotifyNames,
  PayloadOf,
  ReplyOf,
  RequestNames,
} from "./context.ts";
import type { AnyDefinition } from "./definition.ts";
import { withDefinition } from "./definition-of.ts";
import { isEnd } from "./errors.ts";
import { shakeHands } from "./handshake.ts";
import type { AnyHandshake } from "./handshake.ts";
import { checkArguments } from "./implement-arguments.ts";
import { createPlan } from "./plan.ts";
import type { AnyHandler, Plan } from "./plan.ts";
import type { AnyContext } from "./runtime-context.ts";

const DEFAULT_MAX_PENDING = 1_024;

/** What is known of a connection before the handshake is over. */
export type HandshakeContext<D extends AnyDefinition, S> = D extends AnyDefinition
  ? Pick<Context<D, S>, "name" | "version" | "peer" | "signal" | "state">
  : never;

/** The first step on a connection: what we send, and what we think of what they sent. */
export interface Handshake<D extends AnyDefinition, S> {
  /** Ours; written before theirs is read. */
  local(context: HandshakeContext<D, S>): HandshakeOf<D> | Promise<HandshakeOf<D>>;
  /** Refuses theirs by throwing, best a `Disconnect`; later messages wait for it. */
  verify?(remote: HandshakeOf<D>, context: HandshakeContext<D, S>): void | Promise<void>;
  /** How long theirs may take, in milliseconds; 5,000 by default. */
  readonly timeoutMs?: number;
}

/** A handler for each request, and for those notifications that are of interest: others are ignored, and counted. */
export type Handlers<D extends AnyDefinition, S> = {
  readonly [K in RequestNames<D>]: (
    context: ContextWith<D, K, S>,
    value: PayloadOf<D, K>,
  ) => ReplyOf<D, K> | Promise<ReplyOf<D, K>>;
} & {
  /** What it returns is not looked at; a promise is waited for. */
  readonly [K in NotifyNames<D>]?: (
    context: ContextWith<D, K, S>,
    value: PayloadOf<D, K>,
  ) => unknown;
};

/** What an implementation may have, whatever its messages. */
export interface ImplementationOptions<D extends AnyDefinition, S> {
  /** Makes what the handlers of one connection share. */
  readonly state?: (peer: Peer) => S;
  /**
   * Speaks with one peer, once its handshake is verified. Returning ends the connection as done; without
   * it the connection lives until it is closed.
   */
  run?(context: ContextOf<D, S>): Promise<void>;
  /**
   * How many handlers may run at once for one peer; 1 by default. Notifications are handled one after
   * another in any case, and hold back what comes after them.
   */
  readonly concurrency?: number;
  /** Most requests of ours that may wait for a reply on one connection; 1,024 by default. */
  readonly maxPending?: number;
  /** Protocols that must be shared on the same connection; without them this one does not run. */
  readonly requires?: readonly ProtocolHandle[];
  /** Nodes worth dialing; one iterable is drawn from while the server runs. */
  dialCandidates?(signal: AbortSignal): AsyncIterable<Enode | Enr>;
  /** What `server.info()` shows of this protocol. */
  nodeInfo?(): unknown;
  /** What `peer.info()` shows of this protocol, once its handshake is verified. */
  peerInfo?(context: ContextOf<D, S>): unknown;
}

/** The behaviour of one or several versions of a protocol. */
export type Implementation<D extends AnyDefinition, S> = ImplementationOptions<D, S> &
  ([RequestNames<D>] extends [never]
    ? { readonly on?: Handlers<D, S> }
    : { readonly on: Handlers<D, S> }) &
  (Extract<D["handshake"], string> extends never
    ? { readonly handshake?: undefined }
    : { readonly handshake: Handshake<D, S> });

/**
 * Turns definitions and their behaviour into protocols for a `Server`: one for each version.
 *
 * On a connection, the highest version that both sides have runs: handshake, then `run` and the
 * handlers side by side until one of them throws, `run` returns, or the connection ends.
 *
 * @throws TypeError, RangeError for what is no array of definitions, definitions of different names, a
 * version given twice, a request without a handler, a handler without a message, a handshake that is
 * missing or left over
 */
export function implement<const Defs extends readonly AnyDefinition[], S = undefined>(
  definitions: Defs,
  implementation: Implementation<Defs[number], S>,
): Protocol[] {
  const behaviour = implementation as unknown as Behaviour;
  checkArguments(definitions, behaviour);
  return definitions.map((definition) =>
    compile(createPlan(definition, behaviour.on ?? {}), behaviour),
  );
}

/** {@link Implementation} as the runtime sees it. */
interface Behaviour extends Omit<
  ImplementationOptions<AnyDefinition, unknown>,
  "run" | "peerInfo"
> {
  readonly on?: Readonly<Record<string, AnyHandler | undefined>>;
  readonly handshake?: AnyHandshake;
  run?(context: unknown): Promise<void>;
  peerInfo?(context: unknown): unknown;
}

function compile(plan: Plan, behaviour: Behaviour): Protocol {
  const { name, version, length } = plan.definition;
  const contexts = new WeakMap<Peer, AnyContext>();
  const protocol: Protocol = {
    name,
    version,
    length,
    messageNames: plan.messageNames,
    requires: behaviour.requires ?? [],
    run: (peer, rw) =>
      runConnection(plan, behaviour, peer, rw, (context) => contexts.set(peer, context)),
  };
  if ("dialCandidates" in behaviour) {
    protocol.dialCandidates = (signal) => behaviour.dialCandidates?.(signal) ?? nothing();
  }
  if ("nodeInfo" in behaviour) protocol.nodeInfo = () => behaviour.nodeInfo?.();
  if ("peerInfo" in behaviour) {
    protocol.peerInfo = (peer) => {
      const context = contexts.get(peer);
      return context === undefined ? undefined : behaviour.peerInfo?.(context);
    };
  }
  return withDefinition(protocol, plan.definition);
}

async function* nothing(): AsyncGenerator<never> {}

async function runConnection(
  plan: Plan,
  behaviour: Behaviour,
  peer: Peer,
  rw: MessageReadWriter,
  opened: (context: AnyContext) => void,
): Promise<void> {
  const state = behaviour.state?.(peer);
  const remote = await shakeHands(plan, behaviour.handshake, peer, rw, state);
  const { concurrency = 1, maxPending = DEFAULT_MAX_PENDING } = behaviour;
  const connection = new TypedConnection(plan, peer, rw, {
    concurrency,
    maxPending,
    state,
    remote,
  });
  opened(connection.context);
  rw.provide(connection.context);
  try {
    const reading = connection.read();
    const running = behaviour.run?.(connection.context) ?? reading;
    // That the connection has ended is no reason to leave a `run` behind: the peer waits for it.
    const closed = reading.then(() => running);
    await Promise.race([connection.failed, running, closed]);
  } catch (error) {
    if (isEnd(error, peer.signal)) throw peer.signal.reason;
    throw error;
  } finally {
    connection.stop();
  }
}

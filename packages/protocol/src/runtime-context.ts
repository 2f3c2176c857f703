import type { MessageReadWriter, Peer } from "@heddle/p2p";

import type { CallOptions } from "./context.ts";
import type { NotifyKind, Plan, RequestKind } from "./plan.ts";
import type { Requests } from "./requests.ts";
import { errorWithin } from "./schema/errors.ts";
import { sendPayload } from "./send.ts";
import { NotifyCounters, RequestCounters } from "./stats.ts";

/** What the runtime gives to handlers; typed for authors as `Context`. */
export interface AnyContext {
  readonly name: string;
  readonly version: number;
  readonly peer: Peer;
  readonly signal: AbortSignal;
  readonly state: unknown;
  readonly remote: unknown;
  readonly call: Readonly<Record<string, (value: unknown, options?: CallOptions) => unknown>>;
  readonly send: Readonly<Record<string, (value: unknown) => Promise<void>>>;
  readonly stats: {
    readonly requests: Readonly<Record<string, RequestCounters>>;
    readonly notifies: Readonly<Record<string, NotifyCounters>>;
  };
}

/** What a context is made of. */
export interface ContextParts {
  readonly plan: Plan;
  readonly peer: Peer;
  readonly rw: MessageReadWriter;
  readonly requests: Requests;
  readonly counters: ConnectionCounters;
  readonly state: unknown;
  readonly remote: unknown;
}

const ignore = (): void => undefined;

/** Makes the object that handlers, `run` and companions get. */
export function createContext(parts: ContextParts): AnyContext {
  const { plan, peer, requests, counters, state, remote } = parts;
  const { name, version } = plan.definition;
  const call: Record<string, AnyContext["call"][string]> = {};
  const send: Record<string, AnyContext["send"][string]> = {};
  for (const kind of plan.requests) {
    call[kind.name] = (value, options) => requests.call(kind, value, options);
  }
  for (const kind of plan.notifies) send[kind.name] = (value) => sendNotify(parts, kind, value);
  return Object.freeze({
    name,
    version,
    peer,
    signal: peer.signal,
    state,
    remote,
    call: Object.freeze(call),
    send: Object.freeze(send),
    stats: counters.byName(),
  });
}

/** The counters of one connection, by message. */
export class ConnectionCounters {
  readonly #requests: ReadonlyMap<RequestKind, RequestCounters>;
  readonly #notifies: ReadonlyMap<NotifyKind, NotifyCounters>;

  constructor({ requests, notifies }: Plan) {
    this.#requests = new Map(requests.map((kind) => [kind, new RequestCounters()]));
    this.#notifies = new Map(notifies.map((kind) => [kind, new NotifyCounters()]));
  }

  ofRequest(kind: RequestKind): RequestCounters {
    return this.#requests.get(kind) as RequestCounters;
  }

  ofNotify(kind: NotifyKind): NotifyCounters {
    return this.#notifies.get(kind) as NotifyCounters;
  }

  /** The same counters as authors see them. */
  byName(): AnyContext["stats"] {
    return Object.freeze({
      requests: nameAll(this.#requests),
      notifies: nameAll(this.#notifies),
    });
  }
}

function sendNotify(
  { rw, counters }: ContextParts,
  kind: NotifyKind,
  value: unknown,
): Promise<void> {
  let payload: Uint8Array;
  try {
    payload = kind.schema.encode(value);
  } catch (error) {
    throw errorWithin(error, kind.name);
  }
  const sent = sendPayload(rw, kind.code, payload);
  const count = (): void => void (counters.ofNotify(kind).sent += 1);
  // A send that nobody awaits must not bring the process down when the connection ends.
  sent.then(count, ignore);
  return sent;
}

function nameAll<C>(counters: ReadonlyMap<{ readonly name: string }, C>): Record<string, C> {
  return Object.freeze(
    Object.fromEntries([...counters].map(([kind, counter]) => [kind.name, counter])),
  );
}

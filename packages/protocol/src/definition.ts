import type { ProtocolHandle } from "@heddle/p2p";

import type { Context, ContextOf } from "./context.ts";
import { replyName } from "./messages.ts";
import type { Messages, NotifyMessage, RequestMessage } from "./messages.ts";
import { isRecord, unexpected } from "./schema/argument.ts";

const MAX_VERSION = 255;
const MAX_CODE = 2 ** 31 - 1;

/** What every protocol definition has, whatever its messages. */
export interface AnyDefinition {
  readonly name: string;
  readonly version: number;
  /** How many message codes it uses; both ends must agree on it. */
  readonly length: number;
  readonly messages: Messages;
  /** The message that both sides send first. */
  readonly handshake: string | undefined;
  /** Whether requests carry ids unless they say otherwise. */
  readonly ids: boolean;
}

/** One version of a protocol; also the handle by which companions reach its context. */
export interface ProtocolDefinition<
  Name extends string,
  Version extends number,
  M extends Messages,
  H extends string | undefined,
> extends AnyDefinition {
  readonly name: Name;
  readonly version: Version;
  readonly messages: M;
  readonly handshake: H;
  /** Never present at run time: it only binds the type. */
  readonly contextType?: Context<ProtocolDefinition<Name, Version, M, H>>;
}

/** The names of a message table's notifications. */
export type NotifyNamesOf<M extends Messages> = {
  [K in keyof M]: M[K] extends NotifyMessage<infer _> ? K : never;
}[keyof M] &
  string;

/** Flattens an intersection, so that editors show the members. */
type Flat<T> = { readonly [K in keyof T]: T[K] };

/** The messages of an extended protocol. */
export type Extended<
  Base extends Messages,
  Added extends Messages | undefined,
  Overridden extends Messages | undefined,
  Removed extends string,
> = Flat<
  Omit<Base, Removed | (Overridden extends Messages ? keyof Overridden : never)> &
    (Overridden extends Messages ? Overridden : unknown) &
    (Added extends Messages ? Added : unknown)
>;

/**
 * Defines one version of a protocol: its message codes stand here because they are the protocol.
 *
 * @param definition.handshake - the notification that both sides send first
 * @param definition.length - how many codes it uses, where that is more than its messages take
 * @param definition.ids - false leaves the request id out of every request that does not say otherwise
 * @throws TypeError, RangeError for messages that are missing or none, duplicate codes, a code that is not below `length`, a name that is
 * empty or not printable ASCII, a version outside 1 to 255, a handshake that is no notification
 * @see devp2p rlpx.md §"Capability Messaging"
 */
export function defineProtocol<
  const Name extends string,
  const Version extends number,
  const M extends Messages,
  const H extends NotifyNamesOf<M> | undefined = undefined,
>(definition: {
  readonly name: Name;
  readonly version: Version;
  readonly messages: M;
  readonly handshake?: H;
  readonly length?: number;
  readonly ids?: boolean;
}): ProtocolDefinition<Name, Version, M, H> {
  return createDefinition(definition) as ProtocolDefinition<Name, Version, M, H>;
}

/**
 * Defines another version of a protocol by what is different.
 *
 * @param changes.messages - messages the base does not have
 * @param changes.override - messages that take the place of the base's of the same name
 * @param changes.remove - names of the base's messages that are gone; their codes are free
 * @throws TypeError, RangeError as {@link defineProtocol}; TypeError for a message that is added though
 * the base has it, or overridden or removed though it has not
 */
export function extendProtocol<
  const Name extends string,
  const Base extends Messages,
  const BaseH extends string | undefined,
  const Version extends number,
  const Added extends Messages | undefined = undefined,
  const Overridden extends Messages | undefined = undefined,
  const Removed extends keyof Base & string = never,
>(
  base: ProtocolDefinition<Name, number, Base, BaseH>,
  changes: {
    readonly version: Version;
    readonly messages?: Added;
    readonly override?: Overridden;
    readonly remove?: readonly Removed[];
    readonly length?: number;
    readonly ids?: boolean;
  },
): ProtocolDefinition<Name, Version, Extended<Base, Added, Overridden, Removed>, BaseH> {
  if (!isDefinition(base)) throw unexpected("extendProtocol", "a definition", base);
  if (!isRecord(changes)) throw unexpected("extendProtocol", "an object of changes", changes);
  const label = `${base.name}/${changes.version}`;
  const table = new Map<string, Messages[string]>(Object.entries(base.messages));
  for (const name of changes.remove ?? []) {
    if (!table.delete(name)) throw new TypeError(`${label}: ${name} is not there to be removed`);
  }
  for (const [name, message] of Object.entries<Messages[string]>(changes.override ?? {})) {
    if (!table.has(name)) throw new TypeError(`${label}: ${name} is not there to be overridden`);
    table.set(name, message);
  }
  for (const [name, message] of Object.entries<Messages[string]>(changes.messages ?? {})) {
    if (table.has(name)) {
      throw new TypeError(`${label}: ${name} is there already; say override to replace it`);
    }
    table.set(name, message);
  }
  const defined = createDefinition({
    name: base.name,
    version: changes.version,
    messages: Object.fromEntries(table),
    handshake: base.handshake,
    length: changes.length,
    ids: changes.ids ?? base.ids,
  });
  return defined as unknown as ProtocolDefinition<
    Name,
    Version,
    Extended<Base, Added, Overridden, Removed>,
    BaseH
  >;
}

/**
 * Names a protocol in whichever of the given versions is negotiated: for `peer.protocol` and `requires`,
 * where a definition alone stands for its own version only.
 *
 * @throws TypeError for definitions of different names
 */
export function anyVersion<const D extends readonly [AnyDefinition, ...AnyDefinition[]]>(
  ...definitions: D
): ProtocolHandle<ContextOf<D[number], unknown>> {
  const [{ name }] = definitions;
  for (const definition of definitions) {
    if (definition.name !== name) {
      throw new TypeError(`${name} and ${definition.name} are different protocols`);
    }
  }
  return Object.freeze({ name });
}

/** Whether it is what {@link defineProtocol} makes. */
export function isDefinition(value: unknown): value is AnyDefinition {
  return isRecord(value) && typeof value["name"] === "string" && isRecord(value["messages"]);
}

/** Whether a request carries an id. */
export function hasIds(
  definition: AnyDefinition,
  message: RequestMessage<unknown, unknown>,
): boolean {
  return message.ids ?? definition.ids;
}

function createDefinition(definition: {
  readonly name: string;
  readonly version: number;
  readonly messages: Messages;
  readonly handshake?: string | undefined;
  readonly length?: number | undefined;
  readonly ids?: boolean | undefined;
}): AnyDefinition {
  if (!isRecord(definition)) throw unexpected("defineProtocol", "an object", definition);
  const { name, version, messages, handshake, ids = true } = definition;
  checkCapability(name, version);
  const label = `${name}/${version}`;
  const needed = checkMessages(label, messages);
  const length = definition.length ?? needed;
  if (!Number.isInteger(length) || length < needed || length > MAX_CODE + 1) {
    throw new RangeError(`${label}: its codes need a length of ${needed}, got ${length}`);
  }
  checkHandshake(label, messages, handshake);
  const table = Object.freeze({ ...messages });
  return Object.freeze({ name, version, length, messages: table, handshake, ids });
}

function checkCapability(name: string, version: number): void {
  if (typeof name !== "string" || !/^[\x21-\x7e]+$/.test(name)) {
    throw new TypeError(
      `a protocol's name must be printable ASCII and not empty, got ${JSON.stringify(name)}`,
    );
  }
  if (!Number.isInteger(version) || version < 1 || version > MAX_VERSION) {
    throw new RangeError(`${name}: the version must be 1 to ${MAX_VERSION}, got ${version}`);
  }
}

/** Returns how many codes the messages need. */
function checkMessages(label: string, messages: Messages): number {
  const expected = "notify(…) or request(…)";
  if (!isRecord(messages)) {
    throw unexpected(`${label}: messages`, `an object of ${expected}`, messages);
  }
  const owners = new Map<number, string>();
  for (const [name, message] of Object.entries(messages)) {
    if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name)) {
      throw new TypeError(`${label}: a message cannot be named ${JSON.stringify(name)}`);
    }
    if (message?.kind !== "notify" && message?.kind !== "request") {
      throw unexpected(`${label}: ${name}`, expected, message);
    }
    claimCode(label, owners, message.code, name);
    if (message.kind === "request") claimCode(label, owners, message.replyCode, replyName(name));
  }
  return Math.max(-1, ...owners.keys()) + 1;
}

function claimCode(label: string, owners: Map<number, string>, code: number, name: string): void {
  if (!Number.isInteger(code) || code < 0 || code > MAX_CODE) {
    throw new RangeError(`${label}: ${name} has code ${code}, which is no integer >= 0`);
  }
  const owner = owners.get(code);
  if (owner !== undefined) {
    throw new TypeError(`${label}: ${owner} and ${name} have the same code ${code}`);
  }
  owners.set(code, name);
}

function checkHandshake(label: string, messages: Messages, handshake: string | undefined): void {
  if (handshake !== undefined && messages[handshake]?.kind !== "notify") {
    throw new TypeError(`${label}: the handshake ${handshake} is no notification of it`);
  }
}

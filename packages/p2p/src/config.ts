import { Enr, formatEnode, isSecretKey, parseEnode } from "@heddle/identity";
import type { Enode } from "@heddle/identity";

import { validateProtocols } from "./capability.ts";
import { CidrList } from "./cidr.ts";
import { systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { DisconnectReason } from "./disconnect.ts";
import { DialError } from "./errors.ts";
import { FLOW_CAPABILITY } from "./flow.ts";
import { encodeHello, MAX_HELLO_SIZE, PROTOCOL_VERSION } from "./hello.ts";
import { guardLogger, LOG_LEVELS, silentLogger } from "./logger.ts";
import type { Logger } from "./logger.ts";
import { boolean, callable, integer, listOf, show, withMethods } from "./option.ts";
import { createLimits } from "./limits.ts";
import type { ServerLimits } from "./limits.ts";
import type { Protocol } from "./protocol.ts";
import { rlpxUpgrade } from "./rlpx-session.ts";
import type { SessionUpgrade } from "./session.ts";
import type { StreamAddress, Transport } from "./stream.ts";
import { tcpTransport } from "./tcp.ts";

/** How a server is made. Only `key` and `clientId` have no default. */
export interface ServerOptions {
  /** The node's secret key, 32 bytes; see `generateSecretKey` and `@heddle/identity/key-file`. */
  readonly key: Uint8Array;
  /** What we call ourselves, e.g. `demo/1.0`. */
  readonly clientId: string;
  readonly protocols?: readonly Protocol[];
  /** `":30303"`, `"127.0.0.1:0"`, `"[::1]:0"`, or false (the default) not to listen. */
  readonly listen?: string | false;
  /** Peers at once, inbound and dialed; 50 by default. */
  readonly maxPeers?: number;
  /** One in how many peers may be dialed; 3 by default, so that two in three may be inbound. */
  readonly dialRatio?: number;
  /** Nodes that `maxPeers` and the inbound share do not hold back. */
  readonly trusted?: readonly (string | Enode)[];
  /** Address ranges in CIDR notation; with any given, no other address is dialed or accepted. */
  readonly allow?: readonly string[];
  /** Nodes worth dialing, as long as there is room for dialed peers. */
  readonly candidates?: readonly AsyncIterable<Enode | Enr>[];
  readonly transport?: Transport;
  readonly session?: SessionUpgrade;
  /** Offers `flow/1`, per-protocol flow control between two Heddle nodes; true by default. */
  readonly flowControl?: boolean;
  readonly limits?: Partial<ServerLimits>;
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** Uniform in [0, 1); for jitter. */
  readonly random?: () => number;
}

/** A validated, frozen {@link ServerOptions} with every default filled in. */
export interface ServerConfig {
  readonly key: Uint8Array;
  readonly clientId: string;
  readonly protocols: readonly Protocol[];
  readonly listen: StreamAddress | undefined;
  readonly maxPeers: number;
  readonly maxDialed: number;
  readonly maxInbound: number;
  readonly trusted: readonly Enode[];
  readonly allow: CidrList | undefined;
  readonly candidates: readonly AsyncIterable<Enode | Enr>[];
  readonly transport: Transport;
  readonly session: SessionUpgrade;
  readonly flowControl: boolean;
  readonly limits: ServerLimits;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Typed by its keys, so that none is forgotten. */
const OPTIONS: Readonly<Record<keyof ServerOptions, true>> = {
  key: true,
  clientId: true,
  protocols: true,
  listen: true,
  maxPeers: true,
  dialRatio: true,
  trusted: true,
  allow: true,
  candidates: true,
  transport: true,
  session: true,
  flowControl: true,
  limits: true,
  logger: true,
  clock: true,
  random: true,
};

const MAX_CLIENT_ID_BYTES = 512;
const MAX_PEERS = 1_000_000;
const CLOCK_METHODS = ["now", "wallNow", "setTimeout", "clearTimeout"] as const;

/**
 * Checks options and fills in defaults.
 *
 * @throws TypeError, RangeError naming the option, what was expected and what came
 */
export function createConfig(options: ServerOptions): ServerConfig {
  checkNames(options);
  const { key, clientId } = options;
  const logger = withMethods("logger", options.logger ?? silentLogger, LOG_LEVELS);
  checkKey(key);
  checkClientId(clientId);
  const protocols = listOf("protocols", options.protocols, toProtocol);
  checkProtocols(protocols, logger);
  checkHello(clientId, protocols);
  return Object.freeze({
    key: Uint8Array.from(key),
    clientId,
    protocols,
    listen: parseListen(options.listen ?? false),
    ...createCaps(options),
    trusted: listOf("trusted", options.trusted, toTrusted),
    allow: options.allow === undefined ? undefined : toCidrList(options.allow),
    candidates: listOf("candidates", options.candidates, toSource),
    transport: withMethods("transport", options.transport ?? tcpTransport, ["listen", "dial"]),
    session: callable("session", options.session ?? rlpxUpgrade),
    flowControl: boolean("flowControl", options.flowControl ?? true),
    limits: createLimits(options.limits ?? {}),
    logger: guardLogger(logger),
    clock: withMethods("clock", options.clock ?? systemClock, CLOCK_METHODS),
    random: callable("random", options.random ?? Math.random),
  });
}

/**
 * A node to dial, given as an enode URL, its parts or a record.
 *
 * @throws {@link DialError} for a record without an address, `EnodeError` for a URL or parts that name no node,
 *   TypeError for what is neither
 */
export function toNode(node: string | Enode | Enr): Enode {
  if (!(node instanceof Enr)) return toEnode(node);
  const target = node.toEnode();
  if (target !== undefined) return target;
  throw new DialError(
    "the node record names no address to dial",
    "dial",
    DisconnectReason.requested,
    "local",
  );
}

/** Whether given as a URL or as its parts, read as a URL: what is wrong with it is found the same way. */
function toEnode(node: string | Enode): Enode {
  if (typeof node === "string") return parseEnode(node);
  const isNode = typeof node === "object" && node?.id instanceof Uint8Array;
  if (!isNode || typeof node.host !== "string") {
    throw new TypeError(`expected an enode URL or its parts, got ${show(node)}`);
  }
  return parseEnode(formatEnode(node));
}

/**
 * Reads a listen address: `":30303"` (every interface), `"127.0.0.1:0"` (any free port),
 * `"[::1]:30303"`.
 */
export function parseListen(listen: string | false): StreamAddress | undefined {
  if (listen === false) return undefined;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(listen);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new TypeError(
      `listen: expected "HOST:PORT", ":PORT" or false with a port from 0 to 65535, got ${show(listen)}`,
    );
  }
  const host = match[1] ?? match[2];
  return { host: host === undefined || host === "" ? "::" : host, port };
}

type Caps = Pick<ServerConfig, "maxPeers" | "maxDialed" | "maxInbound">;

function createCaps(options: ServerOptions): Caps {
  const maxPeers = integer("maxPeers", options.maxPeers ?? 50, 0, MAX_PEERS);
  const dialRatio = integer("dialRatio", options.dialRatio ?? 3, 1, MAX_PEERS);
  const maxDialed = maxPeers === 0 ? 0 : Math.max(1, Math.floor(maxPeers / dialRatio));
  return { maxPeers, maxDialed, maxInbound: dialRatio === 1 ? maxPeers : maxPeers - maxDialed };
}

function toTrusted(node: string | Enode, name: string): Enode {
  return named(name, () => toEnode(node));
}

function toProtocol(protocol: Protocol, name: string): Protocol {
  return withMethods(name, protocol, ["run"]);
}

function toCidrList(ranges: readonly string[]): CidrList {
  listOf("allow", ranges, (range, name) => named(name, () => CidrList.parse([range])));
  return CidrList.parse(ranges);
}

function toSource<T>(source: AsyncIterable<T>, name: string): AsyncIterable<T> {
  if (typeof source?.[Symbol.asyncIterator] === "function") return source;
  throw new TypeError(`${name}: expected an async iterable of nodes, got ${show(source)}`);
}

/** Names the option in what its reader has to say about the value. */
function named<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new TypeError(`${name}: ${message}`, { cause: error });
  }
}

/** A misspelt option would be one that is silently not set. */
function checkNames(options: unknown): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`options: expected an object, got ${show(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(OPTIONS, name)) continue;
    throw new TypeError(`${name}: no such option; there are ${Object.keys(OPTIONS).join(", ")}`);
  }
}

function checkKey(key: unknown): void {
  if (!(key instanceof Uint8Array) || !isSecretKey(key)) {
    // What it is, never what it says: it may be the right key in the wrong form.
    const got = key instanceof Uint8Array ? show(key) : typeof key;
    throw new TypeError(`key: expected a secp256k1 secret key of 32 bytes, got ${got}`);
  }
}

function checkClientId(clientId: unknown): void {
  if (typeof clientId !== "string" || clientId === "") {
    throw new TypeError(`clientId: expected a non-empty string, got ${show(clientId)}`);
  }
  const { length } = new TextEncoder().encode(clientId);
  if (length > MAX_CLIENT_ID_BYTES) {
    throw new RangeError(`clientId: expected at most ${MAX_CLIENT_ID_BYTES} bytes, got ${length}`);
  }
}

function checkProtocols(protocols: readonly Protocol[], logger: Logger): void {
  for (const warning of validateProtocols(protocols)) logger.warn(warning);
  for (const protocol of protocols) {
    if (protocol.name === FLOW_CAPABILITY.name) {
      throw new TypeError(
        `protocols: the name "${FLOW_CAPABILITY.name}" is taken by Heddle itself`,
      );
    }
    checkRequires(protocol, protocols, []);
  }
}

/** What every peer must be sent has to fit what every peer accepts. */
function checkHello(clientId: string, protocols: readonly Protocol[]): void {
  const { length } = encodeHello({
    protocolVersion: PROTOCOL_VERSION,
    clientId,
    capabilities: [...protocols, FLOW_CAPABILITY],
    listenPort: 0,
    nodeId: new Uint8Array(64),
  });
  if (length <= MAX_HELLO_SIZE) return;
  throw new RangeError(
    `protocols: with clientId they make a Hello of ${length} bytes, other nodes accept ${MAX_HELLO_SIZE}`,
  );
}

function checkRequires(
  protocol: Protocol,
  all: readonly Protocol[],
  path: readonly string[],
): void {
  const label = `${protocol.name}/${protocol.version}`;
  if (path.includes(label)) {
    throw new TypeError(
      `protocols: requires goes round in a circle: ${[...path, label].join(" -> ")}`,
    );
  }
  for (const { name, version } of protocol.requires ?? []) {
    const companions = all.filter(
      (other) => other.name === name && (version === undefined || other.version === version),
    );
    if (companions.length === 0) {
      const wanted = version === undefined ? name : `${name}/${version}`;
      throw new TypeError(`protocols: ${label} requires ${wanted}, which is not registered`);
    }
    for (const companion of companions) checkRequires(companion, all, [...path, label]);
  }
}

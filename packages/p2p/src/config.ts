import { isSecretKey, parseEnode } from "@heddle/identity";
import type { Enode, Enr } from "@heddle/identity";

import { validateProtocols } from "./capability.ts";
import { CidrList } from "./cidr.ts";
import { systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { FLOW_CAPABILITY } from "./flow.ts";
import { encodeHello, MAX_HELLO_SIZE, PROTOCOL_VERSION } from "./hello.ts";
import { silentLogger } from "./logger.ts";
import type { Logger } from "./logger.ts";
import type { PeerLimits } from "./peer.ts";
import type { Protocol } from "./protocol.ts";
import { rlpxUpgrade } from "./rlpx-session.ts";
import type { SessionUpgrade } from "./session.ts";
import type { StreamAddress, Transport } from "./stream.ts";
import { tcpTransport } from "./tcp.ts";

/** Bounds of a server; times in milliseconds, sizes in bytes. Every one has a default. */
export interface ServerLimits extends PeerLimits {
  /** From the first byte to the end of the Hello exchange. */
  readonly handshakeTimeoutMs: number;
  /** Until the transport is connected. */
  readonly dialTimeoutMs: number;
  /** Inbound connections whose handshake is not done; the oldest gives way to a new one. */
  readonly maxPendingHandshakes: number;
  /** Dials under way at once that nobody asked for by name. */
  readonly maxPendingDials: number;
  readonly writeTimeoutMs: number;
  /** One inbound connection per address (IPv6: per /64) in this time; loopback is exempt. */
  readonly inboundThrottleMs: number;
  /** A candidate is not dialed again before this has passed. */
  readonly dialHistoryMs: number;
  /** The first and the longest wait of `maintain` between two attempts. */
  readonly redialMinMs: number;
  readonly redialMaxMs: number;
}

/** Default bounds; go-ethereum's where it has one. */
export const DEFAULT_LIMITS: ServerLimits = {
  handshakeTimeoutMs: 5_000,
  dialTimeoutMs: 15_000,
  maxPendingHandshakes: 50,
  maxPendingDials: 50,
  writeTimeoutMs: 20_000,
  drainTimeoutMs: 2_000,
  graceMs: 5_000,
  pingIntervalMs: 15_000,
  idleTimeoutMs: 30_000,
  stallTimeoutMs: 30_000,
  inboundThrottleMs: 30_000,
  dialHistoryMs: 35_000,
  redialMinMs: 1_000,
  redialMaxMs: 300_000,
  inboxMessages: 16_384,
  inboxBytes: 4 * 1024 * 1024,
  connectionBytes: 8 * 1024 * 1024,
  highWaterMark: 256 * 1024,
  maxQueued: 32 * 1024 * 1024,
};

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

const MAX_CLIENT_ID_BYTES = 512;
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_PEERS = 1_000_000;

/**
 * Checks options and fills in defaults.
 *
 * @throws TypeError, RangeError naming the option, what was expected and what came
 */
export function createConfig(options: ServerOptions): ServerConfig {
  const protocols = Object.freeze([...(options.protocols ?? [])]);
  const logger = options.logger ?? silentLogger;
  checkKey(options.key);
  checkClientId(options.clientId);
  checkProtocols(protocols, logger);
  checkHello(options.clientId, protocols);
  const maxPeers = integer("maxPeers", options.maxPeers ?? 50, 0, MAX_PEERS);
  const dialRatio = integer("dialRatio", options.dialRatio ?? 3, 1, MAX_PEERS);
  const maxDialed = maxPeers === 0 ? 0 : Math.max(1, Math.floor(maxPeers / dialRatio));
  return Object.freeze({
    key: Uint8Array.from(options.key),
    clientId: options.clientId,
    protocols,
    listen: parseListen(options.listen ?? false),
    maxPeers,
    maxDialed,
    maxInbound: dialRatio === 1 ? maxPeers : maxPeers - maxDialed,
    trusted: Object.freeze((options.trusted ?? []).map(toEnode)),
    allow: options.allow === undefined ? undefined : CidrList.parse(options.allow),
    candidates: Object.freeze([...(options.candidates ?? [])]),
    transport: options.transport ?? tcpTransport,
    session: options.session ?? rlpxUpgrade,
    flowControl: options.flowControl ?? true,
    limits: createLimits(options.limits ?? {}),
    logger,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  });
}

/** A node given as an enode URL or as its parts. */
export function toEnode(node: string | Enode): Enode {
  return typeof node === "string" ? parseEnode(node) : node;
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
      `listen: expected "HOST:PORT", ":PORT" or false with a port from 0 to 65535, got ${JSON.stringify(listen)}`,
    );
  }
  const host = match[1] ?? match[2];
  return { host: host === undefined || host === "" ? "::" : host, port };
}

function checkKey(key: unknown): void {
  if (!(key instanceof Uint8Array) || !isSecretKey(key)) {
    const got = key instanceof Uint8Array ? `${key.length} bytes` : typeof key;
    throw new TypeError(`key: expected a secp256k1 secret key of 32 bytes, got ${got}`);
  }
}

function checkClientId(clientId: unknown): void {
  if (typeof clientId !== "string" || clientId === "") {
    throw new TypeError(`clientId: expected a non-empty string, got ${JSON.stringify(clientId)}`);
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
    if (typeof protocol.run !== "function") {
      throw new TypeError(`protocols: ${protocol.name}/${protocol.version} has no run function`);
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

function createLimits(given: Partial<ServerLimits>): ServerLimits {
  const limits: ServerLimits = { ...DEFAULT_LIMITS };
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) {
      throw new TypeError(
        `limits.${name}: no such limit; there are ${Object.keys(DEFAULT_LIMITS).join(", ")}`,
      );
    }
    if (value === undefined) continue;
    const most = name.endsWith("Ms") ? MAX_TIMER_MS : Number.MAX_SAFE_INTEGER;
    Object.assign(limits, { [name]: integer(`limits.${name}`, value, 1, most) });
  }
  if (limits.redialMinMs > limits.redialMaxMs) {
    throw new RangeError(
      `limits.redialMinMs: expected at most redialMaxMs (${limits.redialMaxMs}), got ${limits.redialMinMs}`,
    );
  }
  return Object.freeze(limits);
}

function integer(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(
      `${name}: expected an integer from ${least} to ${most}, got ${String(value)}`,
    );
  }
  return value;
}

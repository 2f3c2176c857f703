import { randomBytes } from "node:crypto";

import { isSecretKey, parseEnode } from "@heddle/identity";
import type { Enode, RlpInput } from "@heddle/identity";
import { silentLogger, systemClock } from "@heddle/p2p";
import type { Clock, Logger } from "@heddle/p2p";

import { parseHost } from "./address.ts";
import { createLimits } from "./limits.ts";
import type { PexLimits } from "./limits.ts";
import type { ConfiguredAddress } from "./listen-address.ts";
import { MAX_NETWORK_BYTES } from "./messages.ts";
import { CAPABILITY_PAIR } from "./own-record.ts";
import type { PexStore } from "./store.ts";
import { RecordCache } from "./verified-record.ts";

/** How a peer exchange is made. Only `key` has no default. */
export interface PexOptions {
  /** The node's secret key, 32 bytes: the one its server has. */
  readonly key: Uint8Array;
  /** Nodes of another network are dropped when they introduce themselves; `"heddle"` by default. */
  readonly network?: string;
  /** Keeps the address book; closed by `close()`. Without one the book is in memory alone. */
  readonly store?: PexStore;
  /** Nodes to join through while nobody else is known; ourselves among them is no fault. */
  readonly bootstrap?: readonly (string | Enode)[];
  /** How many dialed peers are kept connected; 8 by default. */
  readonly targetPeers?: number;
  /** Where others reach us, if it is not where the server listens: behind a NAT, for example. */
  readonly address?: ConfiguredAddress;
  /** Further pairs of our own record. */
  readonly pairs?: Readonly<Record<string, RlpInput>>;
  readonly clock?: Clock;
  /** Uniform in [0, 1), unforeseeable: it decides whom we dial. Secure random numbers by default. */
  readonly random?: () => number;
  readonly logger?: Logger;
  readonly limits?: Partial<PexLimits>;
  /** Verified records; simulations share one among all their nodes. */
  readonly cache?: RecordCache;
}

/** A validated {@link PexOptions} with every default filled in. */
export interface PexConfig {
  readonly key: Uint8Array;
  readonly network: string;
  readonly store: PexStore | undefined;
  readonly bootstrap: readonly Enode[];
  readonly targetPeers: number;
  readonly address: ConfiguredAddress | undefined;
  readonly pairs: Readonly<Record<string, RlpInput>>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly limits: PexLimits;
  readonly cache: RecordCache;
}

const DEFAULT_NETWORK = "heddle";
const DEFAULT_TARGET_PEERS = 8;
const MAX_TARGET_PEERS = 1_000;

/**
 * Checks options and fills in defaults.
 *
 * @throws TypeError, RangeError naming the option, what was expected and what came; `EnodeError` for a
 *   bootstrap URL that is none
 */
export function createConfig(options: PexOptions): PexConfig {
  if (!isSecretKey(options.key)) {
    throw new TypeError("key: expected a secp256k1 secret key of 32 bytes");
  }
  const { targetPeers = DEFAULT_TARGET_PEERS, network = DEFAULT_NETWORK } = options;
  if (!Number.isInteger(targetPeers) || targetPeers < 0 || targetPeers > MAX_TARGET_PEERS) {
    throw new RangeError(
      `targetPeers: expected an integer from 0 to ${MAX_TARGET_PEERS}, got ${targetPeers}`,
    );
  }
  checkNetwork(network);
  checkAddress(options.address);
  if (options.pairs !== undefined && Object.hasOwn(options.pairs, CAPABILITY_PAIR)) {
    throw new RangeError(`pairs: "${CAPABILITY_PAIR}" is filled in from the server's protocols`);
  }
  return Object.freeze({
    key: Uint8Array.from(options.key),
    network,
    store: options.store,
    bootstrap: Object.freeze((options.bootstrap ?? []).map(toEnode)),
    targetPeers,
    address: options.address,
    pairs: { ...options.pairs },
    clock: options.clock ?? systemClock,
    random: options.random ?? secureRandom,
    logger: options.logger ?? silentLogger,
    limits: createLimits(options.limits ?? {}),
    cache: options.cache ?? new RecordCache(),
  });
}

function toEnode(node: string | Enode): Enode {
  const target = typeof node === "string" ? parseEnode(node) : node;
  if (target.tcpPort === 0) throw new RangeError("bootstrap: a node without a TCP port");
  return target;
}

function checkNetwork(network: string): void {
  const { length } = new TextEncoder().encode(network);
  if (length <= MAX_NETWORK_BYTES) return;
  throw new RangeError(`network: expected at most ${MAX_NETWORK_BYTES} bytes, got ${length}`);
}

function checkAddress(address: ConfiguredAddress | undefined): void {
  if (address === undefined) return;
  const { host, port = 1 } = address;
  if (parseHost(host) === undefined) {
    throw new TypeError(`address.host: expected an IP address, got ${JSON.stringify(host)}`);
  }
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError(`address.port: expected an integer from 1 to 65535, got ${port}`);
  }
}

/** 32 bits are enough to choose among thousands. */
function secureRandom(): number {
  return randomBytes(4).readUInt32BE(0) / 2 ** 32;
}

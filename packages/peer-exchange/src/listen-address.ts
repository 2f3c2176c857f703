import type { Peer, StreamAddress } from "@heddle/p2p";

import { formatHost, isUnspecified, parseHost, scopeOf } from "./address.ts";
import type { Scope } from "./address.ts";
import type { NodeAddress } from "./own-record.ts";
import { AddressVotes } from "./votes.ts";

/** Where we are reached, as far as the configuration says. */
export interface ConfiguredAddress {
  /** IPv4 or IPv6, without brackets. */
  readonly host: string;
  /** The port that is listened on, if not given. */
  readonly port?: number;
}

/** How far an address is seen; where several are known, the widest is told. */
const WIDTH: Readonly<Record<Scope, number>> = { special: 0, loopback: 1, lan: 2, public: 3 };

/**
 * Finds out where others reach us: what is configured, else what is listened on, else, where that is
 * every interface, what enough peers see or else what our own ends of connections say.
 */
export class ListenAddress {
  readonly #configured: ConfiguredAddress | undefined;
  readonly #votes: AddressVotes;
  #listening: StreamAddress | undefined;
  #interface: string | undefined;

  constructor(configured: ConfiguredAddress | undefined, confirmations: number) {
    this.#configured = configured;
    this.#votes = new AddressVotes(confirmations);
  }

  /** Undefined while there is no such address. */
  get current(): NodeAddress | undefined {
    const port = this.#configured?.port ?? this.#listening?.port;
    const host = this.#configured?.host ?? this.#listeningHost();
    return host === undefined || port === undefined || port === 0 ? undefined : { host, port };
  }

  /** Notes what the server listens on; undefined when it does not. */
  listens(address: StreamAddress | undefined): void {
    this.#listening = address;
  }

  /** Notes where a peer sees us, which counts only for peers of our choice, and our end's address. */
  met(peer: Peer, key: string, seen: Uint8Array): void {
    const host = peer.remoteAddress?.host;
    if (!peer.inbound && host !== undefined) this.#votes.add(key, host, seen);
    const own = hostOf(peer.info().network.localAddress);
    if (own !== undefined && width(own) > width(this.#interface)) this.#interface = own;
  }

  #listeningHost(): string | undefined {
    if (this.#listening === undefined) return undefined;
    const { host } = this.#listening;
    if (!isUnspecified(host)) return normalize(host);
    const voted = this.#votes.winner;
    return width(voted) >= width(this.#interface) ? voted : this.#interface;
  }
}

function width(host: string | undefined): number {
  return host === undefined ? 0 : WIDTH[scopeOf(host)];
}

/** The host of `host:port` or `[host]:port`. */
function hostOf(address: string): string | undefined {
  const host = address.slice(0, Math.max(0, address.lastIndexOf(":")));
  return normalize(host.startsWith("[") ? host.slice(1, -1) : host);
}

function normalize(host: string): string | undefined {
  const bytes = parseHost(host);
  return bytes === undefined ? undefined : formatHost(bytes);
}

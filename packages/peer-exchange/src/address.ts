import { formatIp, parseIp4, parseIp6 } from "@heddle/identity";
import { isLan, isLoopback, isSpecial } from "@heddle/p2p";

/** Why an address is not taken from, or told to, a node at another address. */
export type RelayRefusal = "special" | "loopback" | "lan";

/**
 * Reads an IP address as bytes of the caller's own: 4, or 16 for IPv6.
 *
 * An IPv4 address mapped into IPv6 comes back as its 4 bytes, and a zone is left out: neither changes
 * which host is meant.
 *
 * @returns undefined for what is no IP address, a host name among it
 */
export function parseHost(host: string): Uint8Array | undefined {
  const zone = host.indexOf("%");
  const bytes = parseIp4(host) ?? parseIp6(zone === -1 ? host : host.slice(0, zone));
  return bytes !== undefined && isMapped(bytes) ? bytes.slice(12) : bytes;
}

/** Writes what {@link parseHost} reads; undefined for bytes that are no address. */
export function formatHost(bytes: Uint8Array): string | undefined {
  if (bytes.length !== 4 && bytes.length !== 16) return undefined;
  return formatIp(isMapped(bytes) ? bytes.subarray(12) : bytes);
}

/**
 * The subnet that an address counts with: a /24, or a /64 of IPv6, which is what one subscriber holds
 * (RFC 6177). What is no IP address stands for itself.
 */
export function subnetOf(host: string): string {
  const bytes = parseHost(host);
  if (bytes === undefined) return host;
  const [kept, bits] = bytes.length === 4 ? [3, 24] : [8, 64];
  return `${formatIp(bytes.fill(0, kept))}/${bits}`;
}

/** From where an address can be reached; `"special"` ones, set aside by a standard, from nowhere. */
export type Scope = "public" | "lan" | "loopback" | "special";

/** Tells the scope of an address; what is no IP address counts as special. */
export function scopeOf(host: string): Scope {
  if (parseHost(host) === undefined || isSpecial(host)) return "special";
  if (isLoopback(host)) return "loopback";
  return isLan(host) ? "lan" : "public";
}

/** Whether limits by subnet mean nothing: this machine, and private networks. */
export function isLocal(scope: Scope): boolean {
  return scope === "loopback" || scope === "lan";
}

/** Whether an address is the one that stands for every interface. */
export function isUnspecified(host: string): boolean {
  return parseHost(host)?.every((byte) => byte === 0) ?? false;
}

/**
 * Why a node in one scope may not tell of an address in another: nobody outside a network can know what
 * is inside, and pointing others at their own machines is an attack.
 *
 * Reserved addresses never pass, loopback passes only from loopback, a private address only from a
 * private or loopback one.
 *
 * @returns undefined when it may
 * @see go-ethereum p2p/netutil, CheckRelayAddr: the same three rules in the same order
 */
export function relayRefusal(teller: Scope, told: Scope): RelayRefusal | undefined {
  if (told === "special") return "special";
  if (told === "loopback") return teller === "loopback" ? undefined : "loopback";
  if (told === "lan") return isLocal(teller) ? undefined : "lan";
  return undefined;
}

/** RFC 4291 §2.5.5.2. */
function isMapped(bytes: Uint8Array): boolean {
  if (bytes.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff) return false;
  return bytes.subarray(0, 10).every((byte) => byte === 0);
}

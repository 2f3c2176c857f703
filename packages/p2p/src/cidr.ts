import { formatIp, parseIp4, parseIp6 } from "@heddle/identity";

interface Range {
  /** 4 or 16 bytes; those behind `bits` do not count. */
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/**
 * Address ranges in CIDR notation.
 *
 * An IPv4 address mapped into IPv6 (`::ffff:10.0.0.1`) counts as that IPv4 address, in ranges too: a
 * socket that listens on both families shows IPv4 callers in this form.
 */
export class CidrList {
  readonly #ranges: readonly Range[];

  private constructor(ranges: readonly Range[]) {
    this.#ranges = ranges;
  }

  /**
   * Reads ranges such as `10.0.0.0/8`, `2001:db8::/32`, or single addresses.
   *
   * Strict, because a misread allow-list lets strangers in: four decimal parts without leading zeros,
   * no zones. Bits behind the prefix are ignored, so `10.1.2.3/8` is `10.0.0.0/8`.
   *
   * @throws TypeError naming the entry that is none
   * @see RFC 4632 §3.1, RFC 4291 §2.3
   */
  static parse(entries: readonly string[]): CidrList {
    return new CidrList(entries.map(parseRange));
  }

  /** Whether an IP address is in one of the ranges; what is no IP address is in none. */
  contains(address: string): boolean {
    const bytes = parseAddress(address);
    return bytes !== undefined && this.#ranges.some((range) => isIn(bytes, range));
  }
}

const LOOPBACK = CidrList.parse([
  "127.0.0.0/8", // RFC 1122 §3.2.1.3
  "::1", // RFC 4291 §2.5.3
]);

const LAN = CidrList.parse([
  "10.0.0.0/8", // private, RFC 1918
  "172.16.0.0/12", // private, RFC 1918
  "192.168.0.0/16", // private, RFC 1918
  "169.254.0.0/16", // link-local, RFC 3927
  "100.64.0.0/10", // shared behind a carrier's NAT, RFC 6598
  "fc00::/7", // unique local, RFC 4193
  "fe80::/10", // link-local, RFC 4291 §2.5.6
]);

const SPECIAL = CidrList.parse([
  "0.0.0.0/8", // this network, RFC 791 §3.2
  "192.0.0.0/24", // IETF protocol assignments, RFC 6890 §2.1
  "192.0.2.0/24", // documentation, RFC 5737
  "192.31.196.0/24", // AS112, RFC 7535
  "192.52.193.0/24", // multicast tunnelling, RFC 7450
  "192.88.99.0/24", // 6to4 relays, RFC 7526
  "192.175.48.0/24", // AS112, RFC 7534
  "198.18.0.0/15", // benchmarks, RFC 2544
  "198.51.100.0/24", // documentation, RFC 5737
  "203.0.113.0/24", // documentation, RFC 5737
  "224.0.0.0/4", // multicast, RFC 5771
  "240.0.0.0/4", // reserved and broadcast, RFC 1112 §4, RFC 919
  "::", // unspecified, RFC 4291 §2.5.2
  "100::/64", // discard, RFC 6666
  "2001::/23", // IETF protocol assignments, Teredo among them, RFC 2928, RFC 4380
  "2001:db8::/32", // documentation, RFC 3849
  "2002::/16", // 6to4, RFC 3056
  "3fff::/20", // documentation, RFC 9637
  "ff00::/8", // multicast, RFC 4291 §2.7
]);

/** Whether the address is this very machine's. */
export function isLoopback(address: string): boolean {
  return LOOPBACK.contains(address);
}

/** Whether the address is only reachable from networks near by: private, link-local or behind a carrier's NAT. */
export function isLan(address: string): boolean {
  return LAN.contains(address);
}

/** Whether the address is set aside by a standard, so that no node can be reached there. */
export function isSpecial(address: string): boolean {
  return SPECIAL.contains(address);
}

/**
 * What counts as one source of connections: an IPv4 address, or the /64 of an IPv6 address, which is
 * what one subscriber holds (RFC 6177). What is no IP address stands for itself.
 */
export function addressKey(address: string): string {
  const bytes = parseAddress(address);
  if (bytes === undefined) return address;
  if (bytes.length === 4) return formatIp(bytes);
  return `${formatIp(bytes.fill(0, 8))}/64`;
}

/** 4 or 16 bytes. A zone (`fe80::1%eth0`) says which interface a socket came in by: no part of the address. */
function parseAddress(address: string): Uint8Array | undefined {
  const zone = address.indexOf("%");
  const bytes = parseIp4(address) ?? parseIp6(zone === -1 ? address : address.slice(0, zone));
  return bytes !== undefined && isMapped(bytes) ? bytes.subarray(12) : bytes;
}

/** RFC 4291 §2.5.5.2. */
function isMapped(bytes: Uint8Array): boolean {
  return (
    bytes.length === 16 &&
    bytes[10] === 0xff &&
    bytes[11] === 0xff &&
    bytes.subarray(0, 10).every((byte) => byte === 0)
  );
}

function parseRange(entry: string): Range {
  const match = /^([0-9a-f.:]+)(?:\/(0|[1-9][0-9]{0,2}))?$/i.exec(entry);
  const text = match?.[1] ?? "";
  const bytes = parseIp4(text) ?? parseIp6(text);
  const most = (bytes?.length ?? 0) * 8;
  const bits = match?.[2] === undefined ? most : Number(match[2]);
  if (bytes === undefined || bits > most) {
    throw new TypeError(
      `expected an address range such as "10.0.0.0/8" or "2001:db8::/32", got ${JSON.stringify(entry)}`,
    );
  }
  // A shorter prefix covers more than mapped addresses: it stays a range of IPv6.
  if (isMapped(bytes) && bits >= 96) return { bytes: bytes.subarray(12), bits: bits - 96 };
  return { bytes, bits };
}

function isIn(address: Uint8Array, { bytes, bits }: Range): boolean {
  if (address.length !== bytes.length) return false;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i += 1) if (address[i] !== bytes[i]) return false;
  const rest = bits & 7;
  return rest === 0 || ((address[whole] ?? 0) ^ (bytes[whole] ?? 0)) >> (8 - rest) === 0;
}

import ipaddr from "ipaddr.js";

type Range = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/** Address ranges in CIDR notation. */
export class CidrList {
  readonly #ranges: readonly Range[];

  private constructor(ranges: readonly Range[]) {
    this.#ranges = ranges;
  }

  /**
   * Reads ranges such as `10.0.0.0/8`, `2001:db8::/32`, or single addresses.
   *
   * @throws TypeError naming the entry that is none
   */
  static parse(entries: readonly string[]): CidrList {
    return new CidrList(entries.map(parseRange));
  }

  /** Whether an IP address is in one of the ranges; what is no IP address is in none. */
  contains(address: string): boolean {
    const parsed = parseAddress(address);
    if (parsed === undefined) return false;
    return this.#ranges.some(
      ([range, bits]) => range.kind() === parsed.kind() && parsed.match(range, bits),
    );
  }
}

/** Whether the address is this very machine's (127.0.0.0/8, ::1). */
export function isLoopback(address: string): boolean {
  return parseAddress(address)?.range() === "loopback";
}

/** What counts as one source of connections: an IPv4 address, or the /64 of an IPv6 address. */
export function addressKey(address: string): string {
  const parsed = parseAddress(address);
  if (parsed instanceof ipaddr.IPv6) {
    return `${parsed.parts
      .slice(0, 4)
      .map((part) => part.toString(16))
      .join(":")}::/64`;
  }
  return parsed?.toString() ?? address;
}

/** An IPv4 address mapped into IPv6 (`::ffff:1.2.3.4`) is that IPv4 address. */
function parseAddress(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const [withoutZone = ""] = address.split("%");
  if (!ipaddr.isValid(withoutZone)) return undefined;
  return ipaddr.process(withoutZone);
}

function parseRange(entry: string): Range {
  if (ipaddr.isValidCIDR(entry)) return ipaddr.parseCIDR(entry);
  const single = parseAddress(entry);
  if (single === undefined) {
    throw new TypeError(
      `expected an address range such as "10.0.0.0/8" or "2001:db8::/32", got ${JSON.stringify(entry)}`,
    );
  }
  return [single, single.kind() === "ipv4" ? 32 : 128];
}

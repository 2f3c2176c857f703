const IP4_BYTE = /^(?:0|[1-9][0-9]{0,2})$/;
const IP6_GROUP = /^[0-9a-f]{1,4}$/i;

/**
 * Reads an IPv4 address in dotted decimal.
 *
 * @returns 4 bytes, or `undefined` for anything else, leading zeros (octal to some) included
 */
export function parseIp4(text: string): Uint8Array | undefined {
  const parts = text.split(".", 5);
  if (parts.length !== 4 || !parts.every((part) => IP4_BYTE.test(part) && Number(part) <= 255)) {
    return undefined;
  }
  return Uint8Array.from(parts, Number);
}

/**
 * Reads an IPv6 address, without brackets or zone.
 *
 * @returns 16 bytes, or `undefined` for anything else
 * @see RFC 4291 §2.2
 */
export function parseIp6(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined;
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = readGroups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? readGroups(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const zeros = 16 - head.length - tail.length;
  // "::" stands for at least one group of zeros.
  if (halves.length === 2 ? zeros < 2 : zeros !== 0) return undefined;
  return Uint8Array.from([...head, ...Array.from({ length: zeros }, () => 0), ...tail]);
}

/**
 * Writes 4 or 16 bytes as an IP address, in its one canonical form.
 *
 * @throws RangeError for any other number of bytes
 * @see RFC 5952 §4, §5
 */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) {
    throw new RangeError(`an IP address is 4 or 16 bytes, got ${bytes.length}`);
  }
  // An IPv4-mapped address shows the IPv4 address in it.
  if (bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255) {
    return `::ffff:${bytes.subarray(12).join(".")}`;
  }
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  const { start, length } = longestZeros(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

/** Reads groups between colons into bytes; the last may be an IPv4 address if `mayEndInIp4`. */
function readGroups(text: string, mayEndInIp4: boolean): number[] | undefined {
  if (text === "") return [];
  const groups = text.split(":");
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (IP6_GROUP.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const ip4 = mayEndInIp4 && index === groups.length - 1 ? parseIp4(group) : undefined;
    if (ip4 === undefined) return undefined;
    bytes.push(...ip4);
  }
  return bytes.length <= 16 ? bytes : undefined;
}

/** Finds the first of the longest runs of zero groups. */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  for (const [index, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: index - length + 1, length };
  }
  return best;
}

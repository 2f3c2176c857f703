/** What a node says it speaks: `name/version`. */
export interface Capability {
  readonly name: string;
  readonly version: number;
}

/** What matching needs to know of a registered protocol. */
export interface ProtocolShape extends Capability {
  /** How many message codes it uses. */
  readonly length: number;
}

/** A capability both sides have, and the message ids it got on this connection. */
export interface SharedCapability<P extends ProtocolShape = ProtocolShape> extends ProtocolShape {
  /** Its message ids run from here to offset+length-1. */
  readonly offset: number;
  readonly protocol: P;
}

/** Subprotocol message ids start here; those below belong to the base protocol. */
export const FIRST_OFFSET = 0x10;

/** The specification's bound for names, in characters (devp2p rlpx.md §"Capability Messaging"). */
const MAX_SPEC_NAME = 8;

/** Interop: reth, Besu and Tuweni demultiplex on one byte, of which base messages take 16 values. */
const MAX_ONE_BYTE_LENGTHS = 0x70;

const MAX_VERSION = 255;
const MAX_LENGTH = 2 ** 31;

/** `name/version`. */
export function formatCapability({ name, version }: Capability): string {
  return `${name}/${version}`;
}

/** Orders by name, byte by byte and never by locale, then by version. */
export function compareCapabilities(a: Capability, b: Capability): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.version - b.version;
}

/**
 * Checks the protocols of a server at definition time.
 *
 * @returns warnings about what works here but not with every implementation
 * @throws TypeError, RangeError naming the protocol, what was expected and what came
 */
export function validateProtocols(protocols: readonly ProtocolShape[]): string[] {
  const warnings: string[] = [];
  const seen = new Set<string>();
  const longest = new Map<string, number>();
  for (const protocol of protocols) {
    checkShape(protocol);
    const { name, length } = protocol;
    const label = formatCapability(protocol);
    if (seen.has(label)) throw new TypeError(`protocols: ${label} is registered twice`);
    seen.add(label);
    longest.set(name, Math.max(longest.get(name) ?? 0, length));
    if (name.length > MAX_SPEC_NAME) {
      warnings.push(
        `protocols: the name of ${label} has ${name.length} characters, the specification allows ${MAX_SPEC_NAME}`,
      );
    }
  }
  const sum = [...longest.values()].reduce((total, length) => total + length, 0);
  if (sum > MAX_ONE_BYTE_LENGTHS) {
    warnings.push(
      `protocols: together they use ${sum} message codes; above ${MAX_ONE_BYTE_LENGTHS} some implementations confuse them`,
    );
  }
  return warnings;
}

/**
 * Finds what both sides speak: for each name the highest version both have, message ids dealt out from
 * 0x10 in the byte order of names.
 *
 * @param remote - as the other side's Hello has them, in any order, duplicates harmless
 * @see devp2p rlpx.md §"Message ID-based Multiplexing"
 */
export function matchCapabilities<P extends ProtocolShape>(
  local: readonly P[],
  remote: readonly Capability[],
): SharedCapability<P>[] {
  const offered = new Set(remote.map(formatCapability));
  const best = new Map<string, P>();
  for (const protocol of local) {
    if (!offered.has(formatCapability(protocol))) continue;
    const other = best.get(protocol.name);
    if (other === undefined || other.version < protocol.version) best.set(protocol.name, protocol);
  }
  let offset = FIRST_OFFSET;
  return [...best.values()].sort(compareCapabilities).map((protocol) => {
    const { name, version, length } = protocol;
    const shared = { name, version, length, offset, protocol };
    offset += length;
    return shared;
  });
}

function checkShape({ name, version, length }: ProtocolShape): void {
  if (typeof name !== "string" || !/^[\x21-\x7e]+$/.test(name)) {
    throw new TypeError(
      `protocols: a name must be printable ASCII without spaces and not empty, got ${JSON.stringify(name)}`,
    );
  }
  if (!Number.isInteger(version) || version < 1 || version > MAX_VERSION) {
    throw new RangeError(
      `protocols: the version of ${name} must be an integer from 1 to ${MAX_VERSION}, got ${version}`,
    );
  }
  if (!Number.isInteger(length) || length < 0 || length > MAX_LENGTH) {
    throw new RangeError(
      `protocols: the length of ${name}/${version} must be an integer from 0 to ${MAX_LENGTH}, got ${length}`,
    );
  }
}

import { Enr, EnrError, parseIp4 } from "@heddle/identity";
import type { EnrContent, RlpInput } from "@heddle/identity";
import type { Capability, Clock } from "@heddle/p2p";

/** Where a node is reached. */
export interface NodeAddress {
  /** IPv4 or IPv6, without brackets. */
  readonly host: string;
  /** TCP port, 1 to 65,535. */
  readonly port: number;
}

/** What the record of a node is made of. */
export interface OwnRecordOptions {
  /** 32 bytes; not copied. */
  readonly key: Uint8Array;
  readonly clock: Clock;
  /** Further pairs of the record. */
  readonly pairs: Readonly<Record<string, RlpInput>>;
}

/** The pair that names what a node speaks: a list of `[name, version]`. */
export const CAPABILITY_PAIR = "cap";

/** A node's own signed record; made anew, with a higher number, whenever what it says changes. */
export class OwnRecord {
  readonly #options: OwnRecordOptions;
  #address: NodeAddress | undefined;
  #capabilities: readonly Capability[] = [];
  #floor = 0n;
  #record: Enr | undefined;

  constructor(options: OwnRecordOptions) {
    this.#options = options;
  }

  /** Where the record says that we listen. */
  get address(): NodeAddress | undefined {
    return this.#address;
  }

  /** The record as it is now. */
  get current(): Enr {
    this.#record ??= this.#create();
    return this.#record;
  }

  /** Says where we listen from now on; returns whether that is news. */
  setAddress(address: NodeAddress | undefined): boolean {
    const { host, port } = this.#address ?? {};
    if (host === address?.host && port === address?.port) return false;
    this.#address = address;
    this.#record = undefined;
    return true;
  }

  /** Says what we speak; those that do not fit into a record's 300 bytes are left out. */
  setCapabilities(capabilities: readonly Capability[]): void {
    this.#capabilities = capabilities;
    this.#record = undefined;
  }

  /** Continues after a number that was used before. */
  continueFrom(seq: bigint): void {
    if (seq <= this.#floor) return;
    this.#floor = seq;
    if (this.#record !== undefined && this.#record.seq <= seq) this.#record = undefined;
  }

  /** The same record with a higher number: a sign of life. */
  renew(): Enr {
    this.#record = undefined;
    return this.current;
  }

  #create(): Enr {
    // Time as the number, so that it rises over restarts without anything being stored.
    const time = BigInt(Math.floor(this.#options.clock.wallNow()));
    const seq = time > this.#floor ? time : this.#floor + 1n;
    this.#floor = seq;
    for (let kept = this.#capabilities.length; ; kept -= 1) {
      try {
        return Enr.create(this.#options.key, this.#content(seq, kept));
      } catch (error) {
        if (kept === 0 || !(error instanceof EnrError)) throw error;
      }
    }
  }

  #content(seq: bigint, kept: number): EnrContent {
    const capabilities = this.#capabilities.slice(0, kept);
    const pairs: Record<string, RlpInput> = { ...this.#options.pairs };
    if (capabilities.length > 0) {
      pairs[CAPABILITY_PAIR] = capabilities.map(({ name, version }) => [name, version]);
    }
    if (this.#address === undefined) return { seq, pairs };
    const { host, port } = this.#address;
    const place = parseIp4(host) === undefined ? { ip6: host } : { ip: host };
    return { seq, pairs, ...place, tcp: port };
  }
}

/**
 * Whether a record names a capability.
 *
 * @param wanted - `name`, or `name/version`
 */
export function hasCapability(record: Enr, wanted: string): boolean {
  const pair = record.get(CAPABILITY_PAIR);
  if (pair === undefined || pair instanceof Uint8Array) return false;
  return pair.some((capability) => {
    if (capability instanceof Uint8Array) return false;
    const [name, version] = capability;
    if (!(name instanceof Uint8Array) || !(version instanceof Uint8Array)) return false;
    const text = new TextDecoder().decode(name);
    const number = version.length === 0 ? 0 : version.length === 1 ? version[0] : undefined;
    return text === wanted || `${text}/${number}` === wanted;
  });
}

import { Enr, toHex } from "@heddle/identity";

import { scopeOf, subnetOf } from "./address.ts";
import type { Scope } from "./address.ts";

/** Where a record says that its node is reached. */
export interface RecordAddress {
  /** IPv4 or IPv6, without brackets. */
  readonly host: string;
  /** 1 to 65,535. */
  readonly port: number;
  readonly subnet: string;
  readonly scope: Scope;
}

/** A node record whose signature is good, and what it says, worked out once. */
export interface VerifiedRecord {
  readonly record: Enr;
  /** The node id in hexadecimal. */
  readonly key: string;
  /** Undefined for a record without an IP address or TCP port. */
  readonly address: RecordAddress | undefined;
}

/**
 * Decodes a record and checks its signature.
 *
 * @throws `EnrError` for what is no record, or not signed by the key it names
 */
export function verifyRecord(bytes: Uint8Array): VerifiedRecord {
  return describeRecord(Enr.decode(bytes));
}

/** Works out what a record says. */
export function describeRecord(record: Enr): VerifiedRecord {
  const key = toHex(record.id);
  const node = record.toEnode();
  if (node === undefined || node.tcpPort === 0) return { record, key, address: undefined };
  const { host, tcpPort: port } = node;
  return { record, key, address: { host, port, subnet: subnetOf(host), scope: scopeOf(host) } };
}

/**
 * Remembers the records that were verified last, by all their bytes: what comes again, as most of what
 * is announced does, costs no signature check.
 *
 * One cache may serve many nodes in one process, as a simulation has them.
 */
export class RecordCache {
  readonly #size: number;
  readonly #records = new Map<string, VerifiedRecord>();

  /** @param size - records; the one that was verified longest ago goes first */
  constructor(size = 4_096) {
    if (!Number.isInteger(size) || size < 1) {
      throw new RangeError(`size: expected an integer >= 1, got ${size}`);
    }
    this.#size = size;
  }

  /** The record, if these very bytes were verified before. */
  get(bytes: Uint8Array): VerifiedRecord | undefined {
    return this.#records.get(keyOf(bytes));
  }

  /**
   * The record, verified now unless it was before.
   *
   * @throws `EnrError` as {@link verifyRecord} does
   */
  verify(bytes: Uint8Array): VerifiedRecord {
    const key = keyOf(bytes);
    const known = this.#records.get(key);
    if (known !== undefined) return known;
    const verified = verifyRecord(bytes);
    this.#records.set(key, verified);
    if (this.#records.size > this.#size) {
      const [oldest] = this.#records.keys();
      if (oldest !== undefined) this.#records.delete(oldest);
    }
    return verified;
  }
}

/** One character for each byte. */
function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

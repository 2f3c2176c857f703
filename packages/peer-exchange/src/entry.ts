import { decodeBigint, decodeRlp, decodeUint, encodeRlp } from "@heddle/identity";
import type { Enr } from "@heddle/identity";

import { isLocal } from "./address.ts";
import type { Scope } from "./address.ts";
import { verifyRecord } from "./verified-record.ts";
import type { VerifiedRecord } from "./verified-record.ts";

/** Where an entry stands: nobody has connected to it yet, or a dial of ours has reached it. */
export type Table = "new" | "tried";

/** What the address book knows about one node; times in Unix milliseconds, 0 for never. */
export interface KnownNode {
  readonly record: Enr;
  /** The subnet of the node that told of it first. */
  readonly source: string;
  readonly table: Table;
  /** When it was last connected, or told of with a newer record. */
  readonly lastHeard: number;
  readonly lastSuccess: number;
  readonly lastFailure: number;
  /** Dials in all. */
  readonly attempts: number;
  /** Dials that failed since the last success. */
  readonly failures: number;
}

/** An entry as the book holds it. */
export interface Entry extends KnownNode {
  record: Enr;
  source: string;
  table: Table;
  lastHeard: number;
  lastSuccess: number;
  lastFailure: number;
  attempts: number;
  failures: number;
  /** The node id in hexadecimal. */
  readonly key: string;
  host: string;
  subnet: string;
  scope: Scope;
  /** On this machine or a private network: limits by subnet do not apply. */
  isLocal: boolean;
  bucket: number;
}

/** Failures in a row after which an address that never worked is given up, and one that did. */
const MAX_FAILURES_NEW = 3;
const MAX_FAILURES_TRIED = 8;

/**
 * Makes an entry for a record that names an address; undefined for one that cannot be dialed.
 *
 * @param source - the subnet of the node that told of it
 * @param now - Unix milliseconds
 */
export function createEntry(
  { record, key, address }: VerifiedRecord,
  source: string,
  now: number,
): Entry | undefined {
  if (address === undefined) return undefined;
  const { host, subnet, scope } = address;
  return {
    record,
    key,
    host,
    subnet,
    scope,
    isLocal: isLocal(scope),
    source,
    table: "new",
    bucket: 0,
    lastHeard: now,
    lastSuccess: 0,
    lastFailure: 0,
    attempts: 0,
    failures: 0,
  };
}

/** Whether nothing more is to be expected of an address. */
export function isDead(entry: KnownNode): boolean {
  const most = entry.lastSuccess === 0 ? MAX_FAILURES_NEW : MAX_FAILURES_TRIED;
  return entry.failures >= most;
}

/** Copies what is known of a node, so that the copy stays as it is. */
export function snapshot(entry: Entry): KnownNode {
  const { record, source, table, lastHeard, lastSuccess, lastFailure, attempts, failures } = entry;
  return { record, source, table, lastHeard, lastSuccess, lastFailure, attempts, failures };
}

/** Writes an entry as the store keeps it: RLP, and the record signed as it came. */
export function encodeEntry(entry: Entry): Uint8Array {
  return encodeRlp([
    entry.record.encode(),
    entry.source,
    entry.table === "tried",
    Math.round(entry.lastHeard),
    Math.round(entry.lastSuccess),
    Math.round(entry.lastFailure),
    entry.attempts,
    entry.failures,
  ]);
}

/**
 * Reads what {@link encodeEntry} wrote.
 *
 * @throws `RlpError`, `EnrError`, RangeError for what is no entry: the store was damaged
 */
export function decodeEntry(bytes: Uint8Array): Entry {
  const parts = decodeRlp(bytes, { maxDepth: 2, maxItems: 16 });
  if (parts instanceof Uint8Array) throw new RangeError("a stored entry is a list");
  const [record, source, isTried, ...numbers] = parts;
  if (!(record instanceof Uint8Array) || !(source instanceof Uint8Array) || numbers.length < 5) {
    throw new RangeError("a stored entry has eight parts");
  }
  const entry = createEntry(verifyRecord(record), new TextDecoder().decode(source), 0);
  if (entry === undefined) throw new RangeError("a stored record names no address");
  entry.table = decodeBigint(isTried ?? [], "tried") === 1n ? "tried" : "new";
  const values = numbers.map((value, at) => decodeUint(value, `part ${at + 3}`));
  const [lastHeard = 0, lastSuccess = 0, lastFailure = 0, attempts = 0, failures = 0] = values;
  return Object.assign(entry, { lastHeard, lastSuccess, lastFailure, attempts, failures });
}

import { decode } from "rlp";
import { encodeWith } from "./rlp-writer.ts";
import type { RlpWriter } from "./rlp-writer.ts";

/** What RLP decodes to: a byte string, or a list of values. */
export type RlpValue = Uint8Array | readonly RlpValue[];

/** What {@link encodeRlp} takes: RLP itself, and the scalars that have one obvious encoding. */
export type RlpInput = Uint8Array | string | number | bigint | boolean | readonly RlpInput[];

/** Bounds on input that is decoded. */
export interface RlpLimits {
  /** Most lists inside one another; a bare byte string has depth 0, `[]` depth 1. */
  readonly maxDepth?: number;
  /** Most items in all, each list counting as one and each of its members too. */
  readonly maxItems?: number;
}

/** Most lists inside one another that are decoded or encoded by default. */
export const RLP_MAX_DEPTH = 32;

/**
 * Most items that are decoded by default.
 *
 * A decoded item keeps about 220 bytes however short it is: 100,000 are 22 MB and 50 ms, measured on a small
 * server, from an input of 100 kB. A protocol that needs more asks for it where it decodes.
 */
export const RLP_MAX_ITEMS = 100_000;

/**
 * Encodes a value as RLP into bytes of its own.
 *
 * Strings are always UTF-8 text, never hexadecimal; integers are minimal big-endian; `true` is 1 and `false` 0.
 *
 * @throws TypeError for anything that is not an {@link RlpInput}
 * @throws RangeError for a number that is not a safe integer >= 0, a bigint < 0, or lists nested deeper than 32
 * @see Ethereum Yellow Paper, appendix B
 */
export function encodeRlp(value: RlpInput): Uint8Array {
  return encodeWith((writer) => write(writer, value, 0));
}

/**
 * Decodes one RLP item that spans the whole input, after {@link checkRlp} has bounded it.
 *
 * @param bytes - read once; the result holds copies, so the caller may reuse it
 * @throws {@link RlpError} as {@link checkRlp} does
 */
export function decodeRlp(bytes: Uint8Array, limits: RlpLimits = {}): RlpValue {
  checkRlp(bytes, limits);
  // A Buffer would come back as Buffers that share its memory: `slice` is a view there and a copy here.
  return decode(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
}

/**
 * Checks that the input is exactly one canonical RLP item within bounds, without decoding it.
 *
 * Takes time linear in the input and constant memory but for one number per open list.
 *
 * @throws {@link RlpError} `ERR_RLP_TRUNCATED`, `ERR_RLP_TRAILING`, `ERR_RLP_OVERRUN`, `ERR_RLP_NOT_CANONICAL`,
 * `ERR_RLP_TOO_DEEP`, `ERR_RLP_TOO_MANY_ITEMS`
 * @see Ethereum Yellow Paper, appendix B
 */
export function checkRlp(bytes: Uint8Array, limits: RlpLimits = {}): void {
  const { maxDepth = RLP_MAX_DEPTH, maxItems = RLP_MAX_ITEMS } = limits;
  const outerEnds: number[] = [];
  let end = bytes.length;
  let at = 0;
  let items = 0;
  do {
    const header = readHeader(bytes, at);
    if (header.end > end) throw overrun(header.end, end, outerEnds.length);
    if (++items > maxItems) throw tooManyItems(maxItems);
    at = header.end;
    if (header.isList) {
      if (outerEnds.length >= maxDepth) throw tooDeep(maxDepth);
      outerEnds.push(end);
      end = header.end;
      at = header.start;
    }
    // The outermost entry is the input itself, which is no list: what follows its one item is left over.
    while (at === end && outerEnds.length > 0) end = outerEnds.pop() ?? 0;
  } while (outerEnds.length > 0);
  if (at !== bytes.length) throw trailing(bytes.length - at);
}

/**
 * Tells how many bytes the first item of the input takes, header included.
 *
 * Looks at the header only: the item's content is not checked, nor that any follows. Packets that end in
 * padding are cut to this length before they are decoded.
 *
 * @throws {@link RlpError} `ERR_RLP_TRUNCATED` when the item is longer than the input, `ERR_RLP_NOT_CANONICAL`
 */
export function rlpItemLength(bytes: Uint8Array): number {
  const { end } = readHeader(bytes, 0);
  if (end > bytes.length) throw truncated(end, bytes.length);
  return end;
}

/**
 * Reads a decoded byte string as an unsigned integer that a `number` holds exactly.
 *
 * @param name - what the value is, for the message
 * @throws {@link RlpError} `ERR_RLP_BAD_UINT` for a list, a leading zero byte, or a value over 2^53 - 1
 */
export function decodeUint(value: RlpValue, name: string): number {
  const bytes = uintBytes(value, name);
  let number = 0;
  // 2^53 - 1 takes 7 bytes, and 7 bytes of ones are still an integer a double orders correctly against it.
  for (const byte of bytes.subarray(0, 8)) number = number * 256 + byte;
  if (bytes.length > 7 || !Number.isSafeInteger(number)) {
    throw new RlpError("ERR_RLP_BAD_UINT", `${name} is over 2^53 - 1 (${bytes.length} bytes)`);
  }
  return number;
}

/**
 * Reads a decoded byte string as an unsigned integer of any size.
 *
 * @param name - what the value is, for the message
 * @throws {@link RlpError} `ERR_RLP_BAD_UINT` for a list or a leading zero byte
 */
export function decodeBigint(value: RlpValue, name: string): bigint {
  let hex = "0x0";
  for (const byte of uintBytes(value, name)) hex += byte.toString(16).padStart(2, "0");
  return BigInt(hex);
}

function write(writer: RlpWriter, value: RlpInput, depth: number): void {
  if (Array.isArray(value)) writeList(writer, value, depth);
  else if (value instanceof Uint8Array) writer.bytes(value);
  else if (typeof value === "string") writer.text(value);
  else if (typeof value === "boolean") writer.uint(value ? 1 : 0);
  else if (typeof value === "bigint") {
    if (value < 0n) throw new RangeError("a negative bigint has no RLP encoding");
    writer.bigint(value);
  } else if (typeof value === "number") {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`${value} is not an integer from 0 to 2^53 - 1`);
    }
    writer.uint(value);
  } else throw new TypeError(`${value === null ? "null" : typeof value} has no RLP encoding`);
}

function writeList(writer: RlpWriter, members: readonly RlpInput[], depth: number): void {
  // Also what stops an array that contains itself.
  if (depth >= RLP_MAX_DEPTH) throw new RangeError(`lists are nested deeper than ${RLP_MAX_DEPTH}`);
  const { size } = writer;
  for (let i = members.length - 1; i >= 0; i--) write(writer, members[i] as RlpInput, depth + 1);
  writer.list(size);
}

function uintBytes(value: RlpValue, name: string): Uint8Array {
  if (!(value instanceof Uint8Array)) {
    throw new RlpError("ERR_RLP_BAD_UINT", `${name} is a list, expected an integer`);
  }
  if (value[0] === 0) {
    throw new RlpError("ERR_RLP_BAD_UINT", `${name} has a leading zero byte`);
  }
  return value;
}

interface Header {
  readonly isList: boolean;
  /** Where the content starts. */
  readonly start: number;
  /** Where the content ends, which may lie beyond the input. */
  readonly end: number;
}

/** Reads the header at `at`, refusing every encoding but the shortest. */
function readHeader(bytes: Uint8Array, at: number): Header {
  const first = bytes[at];
  if (first === undefined) throw truncated(at + 1, bytes.length);
  if (first < 0x80) return { isList: false, start: at, end: at + 1 };
  const isList = first >= 0xc0;
  const short = first - (isList ? 0xc0 : 0x80);
  if (short > 55) return readLongHeader(bytes, at, short - 55, isList);
  if (!isList && short === 1 && (bytes[at + 1] ?? 0x80) < 0x80) {
    throw notCanonical(at, "a byte below 0x80 must stand for itself");
  }
  return { isList, start: at + 1, end: at + 1 + short };
}

function readLongHeader(
  bytes: Uint8Array,
  at: number,
  lengthSize: number,
  isList: boolean,
): Header {
  const start = at + 1 + lengthSize;
  if (start > bytes.length) throw truncated(start, bytes.length);
  if (bytes[at + 1] === 0) throw notCanonical(at, "a length has no leading zero byte");
  let length = 0;
  // Up to 2^64: beyond 2^53 the sum rounds, but no input is that long and the comparison stays right.
  for (let i = at + 1; i < start; i++) length = length * 256 + (bytes[i] ?? 0);
  if (length <= 55) throw notCanonical(at, `length ${length} needs no length bytes`);
  return { isList, start, end: start + length };
}

function overrun(itemEnd: number, end: number, depth: number): RlpError {
  if (depth === 0) return truncated(itemEnd, end);
  return new RlpError("ERR_RLP_OVERRUN", `an item ends at byte ${itemEnd}, its list at ${end}`);
}

function truncated(needed: number, length: number): RlpError {
  return new RlpError("ERR_RLP_TRUNCATED", `rlp needs ${needed} bytes, got ${length}`);
}

function trailing(count: number): RlpError {
  return new RlpError("ERR_RLP_TRAILING", `${count} bytes after the rlp item`);
}

function notCanonical(at: number, rule: string): RlpError {
  return new RlpError("ERR_RLP_NOT_CANONICAL", `rlp at byte ${at} is not canonical: ${rule}`);
}

function tooDeep(maxDepth: number): RlpError {
  return new RlpError("ERR_RLP_TOO_DEEP", `rlp lists are nested deeper than ${maxDepth}`);
}

function tooManyItems(maxItems: number): RlpError {
  return new RlpError("ERR_RLP_TOO_MANY_ITEMS", `rlp has more than ${maxItems} items`);
}

/** Why RLP was refused. */
export type RlpErrorCode =
  | "ERR_RLP_TRUNCATED"
  | "ERR_RLP_TRAILING"
  | "ERR_RLP_OVERRUN"
  | "ERR_RLP_NOT_CANONICAL"
  | "ERR_RLP_TOO_DEEP"
  | "ERR_RLP_TOO_MANY_ITEMS"
  | "ERR_RLP_BAD_UINT";

/**
 * RLP that is malformed, not canonical, or beyond the bounds it is read with.
 *
 * `code` is an {@link RlpErrorCode}, or one of a subclass that reads RLP more closely.
 */
export class RlpError extends Error {
  override readonly name: string = "RlpError";
  readonly code: string;

  constructor(code: RlpErrorCode | (string & {}), message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

import { RemoteProtocolError } from "./errors.ts";

/**
 * Reads how many bytes a Snappy block says it decompresses to.
 *
 * @returns the declared length, at most 2^32-1; nothing proves it before the block is decompressed
 * @throws {@link RemoteProtocolError} `ERR_RLPX_BAD_SNAPPY` when the block is empty or its length is cut
 * off or too large
 * @see Snappy format_description.txt §1
 */
export function uncompressedLength(bytes: Uint8Array): number {
  return readPreamble(bytes).length;
}

/**
 * Decompresses a Snappy block.
 *
 * @param maxLength - most bytes to accept; a larger declared length is refused before memory is taken
 * @returns the plain bytes, owned by the caller
 * @throws {@link RemoteProtocolError} `ERR_RLPX_MESSAGE_SIZE` above `maxLength`, `ERR_RLPX_BAD_SNAPPY` for
 * anything that is not one whole, valid block
 * @see Snappy format_description.txt
 */
export function decompress(bytes: Uint8Array, maxLength: number): Uint8Array {
  const { length, start } = readPreamble(bytes);
  if (length > maxLength) {
    throw new RemoteProtocolError(
      "ERR_RLPX_MESSAGE_SIZE",
      `decompressed size ${length} exceeds ${maxLength}`,
    );
  }
  // The densest element turns 3 bytes into 64. A length that no such stream can reach is a lie, and
  // believing it would let a message of seven bytes take megabytes.
  if (length > ((bytes.length - start) * 64) / 3) {
    throw badSnappy(`${bytes.length} bytes cannot hold ${length}`);
  }
  const out = new Uint8Array(length);
  const end = bytes.length;
  let src = start;
  let dst = 0;
  while (src < end) {
    const tag = bytes[src] ?? 0;
    const kind = tag & 3;
    if (kind === 0) {
      const extra = tag < 60 << 2 ? 0 : (tag >>> 2) - 59;
      const from = src + 1 + extra;
      if (from > end) throw badSnappy("literal is cut off");
      const size = extra === 0 ? (tag >>> 2) + 1 : readUint(bytes, src + 1, extra) + 1;
      src = from + size;
      if (src > end) throw badSnappy("literal is cut off");
      if (size > length - dst) throw badSnappy(`literal overruns the declared ${length} bytes`);
      dst = copyLiteral(bytes, from, out, dst, size);
      continue;
    }
    const width = kind === 3 ? 4 : kind;
    if (src + width >= end) throw badSnappy("copy is cut off");
    const low = readUint(bytes, src + 1, width);
    const offset = kind === 1 ? ((tag >>> 5) << 8) | low : low;
    const size = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
    if (offset === 0 || offset > dst) throw badSnappy(`offset ${offset} at ${dst}`);
    if (size > length - dst) throw badSnappy(`copy overruns the declared ${length} bytes`);
    dst = copyBack(out, dst, offset, size);
    src += 1 + width;
  }
  if (dst !== length) throw badSnappy(`${dst} bytes where ${length} were declared`);
  return out;
}

/**
 * Compresses to a Snappy block.
 *
 * Short input, where the search costs more than it saves, is stored as it is, which is legal Snappy.
 *
 * @param bytes - at most 2^32-1 bytes
 * @returns the block, owned by the caller; at most `bytes.length + bytes.length / 64 + 16` long
 * @see Snappy format_description.txt
 */
export function compress(bytes: Uint8Array): Uint8Array {
  return compressBriefly(bytes).slice();
}

/**
 * Compresses as {@link compress} does, into memory that the next call may overwrite: taking fresh memory
 * costs more than compressing a short message.
 */
export function compressBriefly(bytes: Uint8Array): Uint8Array {
  const out = scratchFor(bytes.length);
  let dst = writePreamble(out, bytes.length);
  for (let start = 0; start < bytes.length; start += BLOCK_SIZE) {
    const end = Math.min(start + BLOCK_SIZE, bytes.length);
    dst =
      end - start < MIN_SEARCH_SIZE
        ? writeLiteral(bytes, start, end, out, dst)
        : compressBlock(bytes, start, end, out, dst);
  }
  return out.subarray(0, dst);
}

/** Stores as it is, in literals of one block each, in memory as brief as that of {@link compressBriefly}. */
export function storeBriefly(bytes: Uint8Array): Uint8Array {
  const out = scratchFor(bytes.length);
  let dst = writePreamble(out, bytes.length);
  for (let start = 0; start < bytes.length; start += BLOCK_SIZE) {
    dst = writeLiteral(bytes, start, Math.min(start + BLOCK_SIZE, bytes.length), out, dst);
  }
  return out.subarray(0, dst);
}

/** Matches are sought inside blocks of this size, so that offsets and table entries fit 16 bits. */
const BLOCK_SIZE = 64 * 1024;

/** Below this many bytes a block is stored: measured, the search only pays above it. */
export const MIN_SEARCH_SIZE = 256;

/** Reads of 4 bytes start at most here before the end of a block. */
const MARGIN = 15;

const MAX_TABLE_BITS = 14;
const table = new Uint16Array(1 << MAX_TABLE_BITS);

let scratch = new Uint8Array(maxCompressedSize(BLOCK_SIZE));

/** Grows to what a few large messages need; larger ones still get memory of their own. */
const MAX_SCRATCH_BYTES = maxCompressedSize(2 * 1024 * 1024);

function scratchFor(length: number): Uint8Array {
  const size = maxCompressedSize(length);
  if (size <= scratch.length) return scratch;
  const grown = new Uint8Array(size);
  if (size <= MAX_SCRATCH_BYTES) scratch = grown;
  return grown;
}

/**
 * A copy never costs more than it replaces; but after a run of over 60 literals, whose tag takes 2 or 3
 * bytes, a match of 4 costs up to 1 byte in 65. The 16 hold the preamble and the last run's tag.
 */
function maxCompressedSize(length: number): number {
  return length + (length >>> 6) + 16;
}

function readPreamble(bytes: Uint8Array): { length: number; start: number } {
  let length = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[i];
    if (byte === undefined) throw badSnappy("length is cut off");
    // Multiplied, not shifted: the fifth byte reaches past the 32 bits that shifts work on.
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) {
      if (length > 0xffffffff) break;
      return { length, start: i + 1 };
    }
  }
  throw badSnappy("length exceeds 32 bits");
}

/** Little-endian, 1 to 4 bytes, unsigned. */
function readUint(bytes: Uint8Array, at: number, width: number): number {
  let value = bytes[at] ?? 0;
  for (let i = 1; i < width; i++) value |= (bytes[at + i] ?? 0) << (8 * i);
  return value >>> 0;
}

/** Returns the end of what it wrote, as {@link copyBack} does. */
function copyLiteral(
  from: Uint8Array,
  src: number,
  to: Uint8Array,
  dst: number,
  size: number,
): number {
  // A view costs more than moving a few dozen bytes one by one.
  if (size > 64) to.set(from.subarray(src, src + size), dst);
  else for (let i = 0; i < size; i++) to[dst + i] = from[src + i] ?? 0;
  return dst + size;
}

/** Front to back, byte by byte: where the ranges overlap, bytes just written are read again. */
function copyBack(out: Uint8Array, dst: number, offset: number, size: number): number {
  const end = dst + size;
  for (let i = dst; i < end; i++) out[i] = out[i - offset] ?? 0;
  return end;
}

function writePreamble(out: Uint8Array, length: number): number {
  let dst = 0;
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) out[dst++] = (rest & 0x7f) | 0x80;
  out[dst++] = rest;
  return dst;
}

/** One block: copies where 4 bytes or more were seen before in it, literals between them. */
function compressBlock(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  dst: number,
): number {
  const shift = clearTable(end - start);
  const limit = end - MARGIN;
  let literalStart = start;
  let at = start + 1;
  let misses = 32;
  while (at < limit) {
    const word = load32(bytes, at);
    const slot = Math.imul(word, 0x9e3779b1) >>> shift;
    const candidate = start + (table[slot] ?? 0);
    table[slot] = at - start;
    if (load32(bytes, candidate) !== word) {
      // Every 32 misses the stride grows by one, so data without repeats is skimmed, not searched.
      at += misses++ >>> 5;
      continue;
    }
    if (literalStart < at) dst = writeLiteral(bytes, literalStart, at, out, dst);
    const size = matchSize(bytes, candidate, at, end);
    dst = writeCopy(out, dst, at - candidate, size);
    at += size;
    literalStart = at;
    misses = 32;
    // The tail of a match is the likeliest start of the next one.
    if (at < limit) table[Math.imul(load32(bytes, at - 1), 0x9e3779b1) >>> shift] = at - 1 - start;
  }
  return literalStart < end ? writeLiteral(bytes, literalStart, end, out, dst) : dst;
}

/** Empties as much of the table as a block of `size` bytes deserves; returns the shift that hashes into it. */
function clearTable(size: number): number {
  const bits = Math.min(MAX_TABLE_BITS, 32 - Math.clz32(size - 1));
  table.fill(0, 0, 1 << bits);
  return 32 - bits;
}

function load32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] ?? 0) |
    ((bytes[at + 1] ?? 0) << 8) |
    ((bytes[at + 2] ?? 0) << 16) |
    ((bytes[at + 3] ?? 0) << 24)
  );
}

/** How far the bytes at two places agree; at least 4, which the caller has compared. */
function matchSize(bytes: Uint8Array, candidate: number, at: number, end: number): number {
  const distance = at - candidate;
  let i = at + 4;
  while (i < end && bytes[i] === bytes[i - distance]) i++;
  return i - at;
}

function writeLiteral(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  dst: number,
): number {
  const size = end - start;
  const n = size - 1;
  if (n < 60) {
    out[dst++] = n << 2;
  } else if (n < 256) {
    out[dst++] = 60 << 2;
    out[dst++] = n;
  } else {
    out[dst++] = 61 << 2;
    out[dst++] = n & 0xff;
    out[dst++] = n >>> 8;
  }
  return copyLiteral(bytes, start, out, dst, size);
}

function writeCopy(out: Uint8Array, dst: number, offset: number, size: number): number {
  let rest = size;
  while (rest > 0) {
    // A copy holds 64 bytes; 60 are taken where 64 would leave a rest under 4, too short for the
    // 2-byte form.
    const part = rest <= 64 ? rest : rest < 68 ? 60 : 64;
    if (part >= 4 && part <= 11 && offset < 2048) {
      out[dst++] = ((offset >>> 8) << 5) | ((part - 4) << 2) | 1;
      out[dst++] = offset & 0xff;
    } else {
      out[dst++] = ((part - 1) << 2) | 2;
      out[dst++] = offset & 0xff;
      out[dst++] = offset >>> 8;
    }
    rest -= part;
  }
  return dst;
}

function badSnappy(detail: string): RemoteProtocolError {
  return new RemoteProtocolError("ERR_RLPX_BAD_SNAPPY", `bad snappy block: ${detail}`);
}

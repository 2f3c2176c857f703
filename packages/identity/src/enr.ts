import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesEqual } from "./bytes.ts";
import { curve, CurveError } from "./curve.ts";
import type { Enode } from "./enode.ts";
import { formatIp, parseIp4, parseIp6 } from "./ip.ts";
import type { NodeId } from "./keys.ts";
import { decodeBigint, decodeRlp, decodeUint, encodeRlp, RlpError } from "./rlp.ts";
import type { RlpInput, RlpValue } from "./rlp.ts";

/** Most bytes of an encoded record, EIP-778 §"RLP Encoding". */
export const ENR_MAX_SIZE = 300;

const TEXT_PREFIX = "enr:";
// Base64 turns 3 bytes into 4 characters.
const TEXT_MAX_LENGTH = TEXT_PREFIX.length + (ENR_MAX_SIZE / 3) * 4;
const TEXT_BODY = /^[A-Za-z0-9_-]*$/;
const SEQ_MAX = 0xffff_ffff_ffff_ffffn;
const PORT_KEYS = ["tcp", "udp", "tcp6", "udp6"] as const;

/** What a record says; every part but the sequence number may be missing. */
export interface EnrContent {
  /** Version of the record, 0 to 2^64 - 1, to be raised whenever the content changes; 1 if not given. */
  readonly seq?: bigint | number;
  /** IPv4 address. */
  readonly ip?: string;
  /** TCP port, for both addresses unless `tcp6` is given. */
  readonly tcp?: number;
  /** UDP port, for both addresses unless `udp6` is given. */
  readonly udp?: number;
  /** IPv6 address, without brackets. */
  readonly ip6?: string;
  readonly tcp6?: number;
  readonly udp6?: number;
  /** Further pairs, under keys of printable ASCII that are none of the above, `id` or `secp256k1`. */
  readonly pairs?: Readonly<Record<string, RlpInput>>;
}

/**
 * A signed node record of the identity scheme "v4", immutable, its signature verified.
 *
 * @see EIP-778
 * @example
 * const record = Enr.create(secretKey, { ip: "192.0.2.1", tcp: 30303, udp: 30303 });
 * Enr.parse(record.toString()).toEnode();
 */
export class Enr {
  /** Version of the record: of two with the same id, the one with the higher number is newer. */
  readonly seq: bigint;
  readonly #encoded: Uint8Array;
  readonly #id: NodeId;
  /** Keys as one character per byte, values as RLP: what is handed out is decoded afresh. */
  readonly #pairs: ReadonlyMap<string, Uint8Array>;

  private constructor(
    encoded: Uint8Array,
    id: NodeId,
    seq: bigint,
    pairs: ReadonlyMap<string, Uint8Array>,
  ) {
    this.#encoded = encoded;
    this.#id = id;
    this.seq = seq;
    this.#pairs = pairs;
  }

  /**
   * Makes and signs a record for the owner of a 32-byte secret key.
   *
   * @throws {@link EnrError} `ERR_ENR_TOO_LARGE` when it takes more than 300 bytes
   * @throws {@link CurveError} `ERR_CURVE_BAD_KEY`
   * @throws TypeError, RangeError for a bad address, port, sequence number, key or value
   */
  static create(secretKey: Uint8Array, content: EnrContent = {}): Enr {
    const seq = BigInt(content.seq ?? 1n);
    if (seq < 0n || seq > SEQ_MAX) throw new RangeError(`seq ${seq} is not from 0 to 2^64 - 1`);
    const pairs = contentPairs(content);
    pairs.set("id", "v4");
    pairs.set("secp256k1", curve.compress(curve.publicKey(secretKey)));
    const sorted = [...pairs].toSorted(([a], [b]) => (a < b ? -1 : 1));
    const items: RlpInput[] = [seq, ...sorted.flat()];
    const signature = curve.sign(keccak_256(encodeRlp(items)), secretKey).subarray(0, 64);
    // Read back, so that nothing can be created that would not be accepted.
    return Enr.decode(encodeRlp([signature, ...items]));
  }

  /**
   * Reads a record from its RLP form and verifies it.
   *
   * @param bytes - copied
   * @throws {@link EnrError} `ERR_ENR_TOO_LARGE`, `ERR_ENR_BAD_RLP`, `ERR_ENR_BAD_STRUCTURE`, `ERR_ENR_BAD_KEY_ORDER`,
   * `ERR_ENR_BAD_VALUE`, `ERR_ENR_UNKNOWN_SCHEME`, `ERR_ENR_BAD_PUBLIC_KEY`, `ERR_ENR_BAD_SIGNATURE`
   */
  static decode(bytes: Uint8Array): Enr {
    if (bytes.length > ENR_MAX_SIZE) throw tooLarge(`${bytes.length} bytes`, `${ENR_MAX_SIZE}`);
    const encoded = Uint8Array.from(bytes);
    const [signature, ...items] = readItems(encoded);
    const [seqItem, ...flat] = items;
    if (seqItem === undefined || flat.length % 2 !== 0) {
      throw new EnrError(
        "ERR_ENR_BAD_STRUCTURE",
        `a record is a signature, a number and pairs, got ${items.length + 1} items`,
      );
    }
    const seq = readValue(() => decodeBigint(seqItem, "seq"));
    if (seq > SEQ_MAX) throw badValue("seq", "exceeds 2^64 - 1");
    const pairs = readPairs(flat);
    const id = readPublicKey(pairs);
    verifySignature(signature, items, id);
    checkKnownValues(pairs);
    return new Enr(encoded, id, seq, pairs);
  }

  /**
   * Reads a record from its text form, `enr:` and unpadded base64url, and verifies it.
   *
   * @throws {@link EnrError} `ERR_ENR_BAD_TEXT`, and as {@link Enr.decode} does
   */
  static parse(text: string): Enr {
    if (typeof text !== "string") throw new TypeError("a record's text must be a string");
    if (!text.startsWith(TEXT_PREFIX)) throw badText(`it does not start with ${TEXT_PREFIX}`);
    if (text.length > TEXT_MAX_LENGTH) {
      throw tooLarge(`${text.length} characters`, `${TEXT_MAX_LENGTH}`);
    }
    const body = text.slice(TEXT_PREFIX.length);
    if (!TEXT_BODY.test(body) || body.length % 4 === 1) throw badText("it is not base64url");
    const binary = atob(body.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    // The unused bits of the last character must be zero, or one record would have several texts.
    if (toBase64Url(bytes) !== body) throw badText("its last character is not canonical");
    return Enr.decode(bytes);
  }

  /** The 64-byte node id: the public key that signed the record. */
  get id(): NodeId {
    return this.#id.slice();
  }

  /** The 32-byte keccak-256 of the node id, by which node discovery measures distance. */
  get nodeHash(): Uint8Array {
    return keccak_256(this.#id);
  }

  /** IPv4 address in dotted decimal. */
  get ip(): string | undefined {
    return this.#address("ip");
  }

  /** IPv6 address in canonical form. */
  get ip6(): string | undefined {
    return this.#address("ip6");
  }

  get tcp(): number | undefined {
    return this.#port("tcp");
  }

  get udp(): number | undefined {
    return this.#port("udp");
  }

  get tcp6(): number | undefined {
    return this.#port("tcp6");
  }

  get udp6(): number | undefined {
    return this.#port("udp6");
  }

  /** The keys of all pairs in the record's order, one character per byte. */
  get keys(): string[] {
    return [...this.#pairs.keys()];
  }

  /** Returns the value of a pair, decoded into bytes of the caller's own, or `undefined` if there is none. */
  get(key: string): RlpValue | undefined {
    const encoded = this.#pairs.get(key);
    return encoded === undefined ? undefined : decodeRlp(encoded);
  }

  /** Returns the record in RLP, at most 300 bytes that belong to the caller. */
  encode(): Uint8Array {
    return this.#encoded.slice();
  }

  /** Returns the record as text: `enr:` and base64url without padding. */
  toString(): string {
    return TEXT_PREFIX + toBase64Url(this.#encoded);
  }

  /**
   * Returns where the node listens, the IPv4 address if it has both, or `undefined` if it names no address.
   *
   * A port that the record does not name is 0.
   */
  toEnode(): Enode | undefined {
    const { id, ip, ip6, tcp = 0, udp = 0 } = this;
    if (ip !== undefined) return { id, host: ip, tcpPort: tcp, udpPort: udp };
    if (ip6 === undefined) return undefined;
    return { id, host: ip6, tcpPort: this.tcp6 ?? tcp, udpPort: this.udp6 ?? udp };
  }

  #address(key: "ip" | "ip6"): string | undefined {
    const value = this.get(key);
    return value instanceof Uint8Array ? formatIp(value) : undefined;
  }

  #port(key: (typeof PORT_KEYS)[number]): number | undefined {
    const value = this.get(key);
    return value === undefined ? undefined : decodeUint(value, key);
  }
}

/** Turns a record's content into pairs, refusing what has no place in one. */
function contentPairs(content: EnrContent): Map<string, RlpInput> {
  const pairs = new Map<string, RlpInput>();
  for (const [key, value] of Object.entries(content.pairs ?? {})) {
    if (!/^[!-~]+$/.test(key)) throw new RangeError("a record's keys are of printable ASCII");
    if (isKnownKey(key)) throw new RangeError(`${key} is not one of the further pairs`);
    pairs.set(key, value);
  }
  for (const [key, parse] of [
    ["ip", parseIp4],
    ["ip6", parseIp6],
  ] as const) {
    const text = content[key];
    if (text === undefined) continue;
    const address = parse(text);
    if (address === undefined) throw new RangeError(`${key} is not an IP address of its kind`);
    pairs.set(key, address);
  }
  for (const key of PORT_KEYS) {
    const port = content[key];
    if (port === undefined) continue;
    if (!Number.isInteger(port) || port < 0 || port > 0xffff) {
      throw new RangeError(`${key} ${port} is not a port from 0 to 65535`);
    }
    pairs.set(key, port);
  }
  return pairs;
}

function isKnownKey(key: string): boolean {
  return ["id", "secp256k1", "ip", "ip6", ...PORT_KEYS].includes(key);
}

function readItems(encoded: Uint8Array): readonly RlpValue[] {
  const record = readRlp(encoded);
  if (record instanceof Uint8Array) {
    throw new EnrError("ERR_ENR_BAD_STRUCTURE", "a record is a list, got a byte string");
  }
  return record;
}

function readRlp(encoded: Uint8Array): RlpValue {
  try {
    return decodeRlp(encoded);
  } catch (cause) {
    throw new EnrError("ERR_ENR_BAD_RLP", "the record is not canonical RLP", { cause });
  }
}

/** Reads keys and values, the keys in strictly ascending byte order (EIP-778 §"Record Structure"). */
function readPairs(flat: readonly RlpValue[]): ReadonlyMap<string, Uint8Array> {
  const pairs = new Map<string, Uint8Array>();
  let previous: string | undefined;
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const [keyBytes, value] = [flat[i], flat[i + 1]];
    if (!(keyBytes instanceof Uint8Array) || value === undefined) {
      throw new EnrError("ERR_ENR_BAD_STRUCTURE", `key ${i / 2} is a list`);
    }
    // One character per byte: order and identity of keys are those of their bytes, text or not.
    const key = String.fromCharCode(...keyBytes);
    if (previous !== undefined && key <= previous) {
      throw new EnrError("ERR_ENR_BAD_KEY_ORDER", `key ${i / 2} is not above the one before it`);
    }
    previous = key;
    pairs.set(key, encodeRlp(value));
  }
  return pairs;
}

function readPublicKey(pairs: ReadonlyMap<string, Uint8Array>): NodeId {
  const scheme = pairs.get("id");
  if (scheme === undefined || !bytesEqual(scheme, encodeRlp("v4"))) {
    throw new EnrError("ERR_ENR_UNKNOWN_SCHEME", "the record's identity scheme is not v4");
  }
  const encoded = pairs.get("secp256k1");
  const key = encoded === undefined ? undefined : decodeRlp(encoded);
  if (!(key instanceof Uint8Array)) {
    throw new EnrError("ERR_ENR_BAD_PUBLIC_KEY", "the record has no secp256k1 key");
  }
  try {
    return curve.decompress(key);
  } catch (cause) {
    if (!(cause instanceof CurveError)) throw cause;
    throw new EnrError("ERR_ENR_BAD_PUBLIC_KEY", cause.message, { cause });
  }
}

function verifySignature(
  signature: RlpValue | undefined,
  items: readonly RlpValue[],
  id: NodeId,
): void {
  const isGood =
    signature instanceof Uint8Array && curve.verify(keccak_256(encodeRlp(items)), signature, id);
  if (!isGood) throw new EnrError("ERR_ENR_BAD_SIGNATURE", "the record's signature is not good");
}

/** Checks the values that have a meaning of their own, so that no getter can fail later. */
function checkKnownValues(pairs: ReadonlyMap<string, Uint8Array>): void {
  for (const [key, size] of [
    ["ip", 4],
    ["ip6", 16],
  ] as const) {
    const encoded = pairs.get(key);
    if (encoded === undefined) continue;
    const address = decodeRlp(encoded);
    if (!(address instanceof Uint8Array)) throw badValue(key, "is a list");
    if (address.length !== size)
      throw badValue(key, `is ${address.length} bytes, expected ${size}`);
  }
  for (const key of PORT_KEYS) {
    const encoded = pairs.get(key);
    if (encoded === undefined) continue;
    const port = readValue(() => decodeUint(decodeRlp(encoded), key));
    if (port > 0xffff) throw badValue(key, `${port} exceeds 65535`);
  }
}

function readValue<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof RlpError)) throw cause;
    throw new EnrError("ERR_ENR_BAD_VALUE", cause.message, { cause });
  }
}

function toBase64Url(bytes: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function badValue(key: string, fault: string): EnrError {
  return new EnrError("ERR_ENR_BAD_VALUE", `${key} ${fault}`);
}

function badText(fault: string): EnrError {
  return new EnrError("ERR_ENR_BAD_TEXT", `the text is no node record: ${fault}`);
}

function tooLarge(size: string, limit: string): EnrError {
  return new EnrError("ERR_ENR_TOO_LARGE", `a record of ${size} exceeds ${limit}`);
}

/** Why a record was refused. */
export type EnrErrorCode =
  | "ERR_ENR_TOO_LARGE"
  | "ERR_ENR_BAD_TEXT"
  | "ERR_ENR_BAD_RLP"
  | "ERR_ENR_BAD_STRUCTURE"
  | "ERR_ENR_BAD_KEY_ORDER"
  | "ERR_ENR_BAD_VALUE"
  | "ERR_ENR_UNKNOWN_SCHEME"
  | "ERR_ENR_BAD_PUBLIC_KEY"
  | "ERR_ENR_BAD_SIGNATURE";

/** A node record that is malformed, too large or not signed by the key it names. */
export class EnrError extends Error {
  override readonly name = "EnrError";
  readonly code: EnrErrorCode;

  constructor(code: EnrErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

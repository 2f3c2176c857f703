import {
  concatBytes,
  curve as fastestCurve,
  CurveError,
  decodeRlp,
  encodeRlp,
  isSecretKey,
  rlpItemLength,
  RlpError,
  type Curve,
  type RlpInput,
  type RlpValue,
} from "@heddle/identity";

import {
  badHandshake,
  ECIES_OVERHEAD,
  makeSecretKey,
  openEcies,
  sealEcies,
  type KeyPair,
  type RandomBytes,
} from "./ecies.ts";
import { LocalProtocolError, RemoteProtocolError } from "./errors.ts";
import { deriveSecrets, xor } from "./secrets.ts";
import { RlpxSession } from "./session.ts";

/** The largest handshake packet, in bytes after its 2-byte size; a larger one is refused by its size alone. */
export const MAX_HANDSHAKE_SIZE = 2048;

/** What both sides of a handshake need. */
export interface HandshakeOptions {
  /** Our static key, 32 bytes; copied. */
  readonly secretKey: Uint8Array;
  /** Its public key, 64 bytes; derived, if not given. */
  readonly publicKey?: Uint8Array;
  /** The fastest one installed, if not given. */
  readonly curve?: Curve;
  /**
   * `crypto.getRandomValues`, if not given. Asked in this order: nonce (32 bytes), ephemeral key (32), amount
   * of padding (1), padding (100 to 199), ECIES key (32), ECIES IV (16).
   */
  readonly randomBytes?: RandomBytes;
}

/**
 * The side that dialed: send {@link Initiator.auth}, then hand over what arrives until there is a session.
 *
 * @see devp2p rlpx.md §Initial Handshake; EIP-8
 */
export class Initiator {
  /** The auth packet; send it first. */
  readonly auth: Uint8Array;
  readonly #options: Completed;
  readonly #remoteId: Uint8Array;
  readonly #nonce: Uint8Array;
  readonly #ephemeralKey: KeyPair;
  readonly #reader = new PacketReader();

  /**
   * @param options - `remoteId` is the 64-byte node id of the node that was dialed; copied
   * @throws {@link LocalProtocolError} `ERR_RLPX_BAD_REMOTE_ID` when `remoteId` is no public key,
   * `ERR_RLPX_NO_ENTROPY` when `randomBytes` gives no secret key
   * @throws RangeError when `secretKey` is none
   */
  constructor(options: HandshakeOptions & { readonly remoteId: Uint8Array }) {
    this.#options = complete(options);
    const { curve, secretKey, randomBytes } = this.#options;
    if (options.remoteId.length !== 64 || !curve.isPoint(options.remoteId)) {
      throw new LocalProtocolError("ERR_RLPX_BAD_REMOTE_ID", "remoteId is not a public key");
    }
    this.#remoteId = new Uint8Array(options.remoteId);
    this.#nonce = randomBytes(32);
    this.#ephemeralKey = makeSecretKey(curve, randomBytes);
    const token = xor(curve.sharedSecret(secretKey, this.#remoteId), this.#nonce);
    const signature = curve.sign(token, this.#ephemeralKey.secretKey);
    const publicKey = options.publicKey ?? curve.publicKey(secretKey);
    const fields = [signature, publicKey, this.#nonce, HANDSHAKE_VERSION];
    this.auth = sealPacket(this.#options, this.#remoteId, fields);
  }

  /**
   * Takes bytes from the peer.
   *
   * @param chunk - any length; copied. What follows the ack packet is fed to the session.
   * @returns the session, once the whole ack has arrived
   * @throws {@link RemoteProtocolError} `ERR_RLPX_HANDSHAKE_SIZE`, `ERR_RLPX_BAD_HANDSHAKE`; the same one again
   * when called afterwards
   * @throws {@link LocalProtocolError} `ERR_RLPX_HANDSHAKE_OVER` after the session was returned
   */
  receive(chunk: Uint8Array): RlpxSession | undefined {
    return this.#reader.receive(chunk, (ack, rest) => {
      const { curve } = this.#options;
      const fields = openPacket(this.#options, ack, 2);
      const remoteEphemeralKey = readField(fields, 0, 64);
      const recipientNonce = readField(fields, 1, 32);
      const secrets = deriveSecrets("initiator", {
        ephemeralSharedSecret: curve.sharedSecret(this.#ephemeralKey.secretKey, remoteEphemeralKey),
        initiatorNonce: this.#nonce,
        recipientNonce,
        auth: this.auth,
        ack,
      });
      return startSession(new RlpxSession(this.#remoteId, secrets), rest);
    });
  }
}

/**
 * The side that was dialed: hand over what arrives until there is an ack to send, and a session.
 *
 * @see devp2p rlpx.md §Initial Handshake; EIP-8
 */
export class Recipient {
  readonly #options: Completed;
  readonly #reader = new PacketReader();

  /** @throws RangeError when `secretKey` is none */
  constructor(options: HandshakeOptions) {
    this.#options = complete(options);
  }

  /**
   * Takes bytes from the peer.
   *
   * @param chunk - any length; copied. What follows the auth packet is fed to the session.
   * @returns the ack packet to send and the session, once the whole auth has arrived
   * @throws {@link RemoteProtocolError} `ERR_RLPX_HANDSHAKE_SIZE`, `ERR_RLPX_BAD_HANDSHAKE`; the same one again
   * when called afterwards
   * @throws {@link LocalProtocolError} `ERR_RLPX_HANDSHAKE_OVER` after the session was returned,
   * `ERR_RLPX_NO_ENTROPY` when `randomBytes` gives no secret key
   */
  receive(chunk: Uint8Array): { ack: Uint8Array; session: RlpxSession } | undefined {
    return this.#reader.receive(chunk, (auth, rest) => {
      const { curve, secretKey, randomBytes } = this.#options;
      const fields = openPacket(this.#options, auth, 3);
      const signature = readField(fields, 0, 65);
      const remoteId = readField(fields, 1, 64);
      const initiatorNonce = readField(fields, 2, 32);
      const token = xor(curve.sharedSecret(secretKey, remoteId), initiatorNonce);
      const remoteEphemeralKey = curve.recover(token, signature);
      const recipientNonce = randomBytes(32);
      const ephemeralKey = makeSecretKey(curve, randomBytes);
      const ack = sealPacket(this.#options, remoteId, [
        ephemeralKey.publicKey,
        recipientNonce,
        HANDSHAKE_VERSION,
      ]);
      const secrets = deriveSecrets("recipient", {
        ephemeralSharedSecret: curve.sharedSecret(ephemeralKey.secretKey, remoteEphemeralKey),
        initiatorNonce,
        recipientNonce,
        auth,
        ack,
      });
      return { ack, session: startSession(new RlpxSession(remoteId, secrets), rest) };
    });
  }
}

/** RLPx's own version; nobody looks at it any more (EIP-8). */
const HANDSHAKE_VERSION = 4;

/** Collects the one packet that each side of the handshake waits for, and remembers how that went. */
class PacketReader {
  readonly #prefix = new Uint8Array(2);
  #packet: Uint8Array | undefined;
  #received = 0;
  #isOver = false;
  #failure: Error | undefined;

  /** Calls `open` with the packet, size prefix included, and what followed it in the last chunk. */
  receive<T>(chunk: Uint8Array, open: (packet: Uint8Array, rest: Uint8Array) => T): T | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isOver) {
      throw new LocalProtocolError(
        "ERR_RLPX_HANDSHAKE_OVER",
        "the handshake is over: feed the session",
      );
    }
    try {
      const rest = this.#collect(chunk);
      if (this.#packet === undefined || this.#received < this.#packet.length) return undefined;
      this.#isOver = true;
      return open(this.#packet, rest);
    } catch (error) {
      this.#failure = asFailure(error);
      throw this.#failure;
    }
  }

  #collect(chunk: Uint8Array): Uint8Array {
    let at = 0;
    while (this.#received < 2 && at < chunk.length) {
      this.#prefix[this.#received++] = chunk[at++] ?? 0;
    }
    if (this.#received < 2) return chunk.subarray(at);
    this.#packet ??= makePacket(this.#prefix);
    const part = chunk.subarray(at, at + this.#packet.length - this.#received);
    this.#packet.set(part, this.#received);
    this.#received += part.length;
    return chunk.subarray(at + part.length);
  }
}

function makePacket(prefix: Uint8Array): Uint8Array {
  const size = new DataView(prefix.buffer).getUint16(0);
  if (size < ECIES_OVERHEAD || size > MAX_HANDSHAKE_SIZE) {
    throw new RemoteProtocolError(
      "ERR_RLPX_HANDSHAKE_SIZE",
      `handshake packet size ${size} is outside ${ECIES_OVERHEAD} to ${MAX_HANDSHAKE_SIZE}`,
    );
  }
  const packet = new Uint8Array(2 + size);
  packet.set(prefix);
  return packet;
}

/** EIP-8: random bytes follow the list, at least 100 and a random number of them, so that no length is typical. */
function sealPacket(
  { curve, randomBytes }: Completed,
  publicKey: Uint8Array,
  fields: RlpInput[],
): Uint8Array {
  const [amount = 0] = randomBytes(1);
  const plaintext = concatBytes(encodeRlp(fields), randomBytes(100 + (amount % 100)));
  const prefix = new Uint8Array(2);
  new DataView(prefix.buffer).setUint16(0, plaintext.length + ECIES_OVERHEAD);
  const sealed = sealEcies(curve, publicKey, plaintext, { sharedInfo: prefix, randomBytes });
  return concatBytes(prefix, sealed);
}

/**
 * Opens a packet of `fieldCount` fields and a version. EIP-8: a version of any value, further elements and
 * bytes after the list are all let pass.
 */
function openPacket(
  { curve, secretKey }: Completed,
  packet: Uint8Array,
  fieldCount: number,
): readonly RlpValue[] {
  const plaintext = openEcies(curve, secretKey, packet.subarray(2), packet.subarray(0, 2));
  const list = decodeRlp(plaintext.subarray(0, rlpItemLength(plaintext)));
  if (list instanceof Uint8Array || list.length <= fieldCount) {
    throw badHandshake(new Error(`expected a list of ${fieldCount} fields and a version`));
  }
  return list;
}

function readField(list: readonly RlpValue[], index: number, length: number): Uint8Array {
  const field = list[index];
  if (field instanceof Uint8Array && field.length === length) return field;
  throw badHandshake(new Error(`field ${index} is not ${length} bytes`));
}

/**
 * Says whose fault it was: a key that is no point, a signature of nobody and a malformed list are found by
 * layers that do not know who sent them.
 */
function asFailure(error: unknown): Error {
  if (error instanceof CurveError || error instanceof RlpError) return badHandshake(error);
  return error instanceof Error ? error : new Error("handshake failed", { cause: error });
}

function startSession(session: RlpxSession, rest: Uint8Array): RlpxSession {
  session.feed(rest);
  return session;
}

type Completed = Required<Omit<HandshakeOptions, "publicKey">>;

function complete(options: HandshakeOptions): Completed {
  if (!isSecretKey(options.secretKey)) throw new RangeError("secretKey is not a secret key");
  return {
    // Not `slice`: that of a Buffer shares its memory.
    secretKey: new Uint8Array(options.secretKey),
    curve: options.curve ?? fastestCurve,
    randomBytes: options.randomBytes ?? createEntropy(),
  };
}

/** What one handshake asks for, the longest padding included; a call to the platform costs more than the bytes. */
const ENTROPY_BYTES = 32 + 32 + 1 + 199 + 32 + 16;

/** Draws the entropy of one handshake at once and deals it out; no byte twice. */
function createEntropy(): RandomBytes {
  const drawn = crypto.getRandomValues(new Uint8Array(ENTROPY_BYTES));
  let at = 0;
  return (length) => {
    if (at + length > drawn.length) return crypto.getRandomValues(new Uint8Array(length));
    const part = drawn.slice(at, at + length);
    at += length;
    return part;
  };
}

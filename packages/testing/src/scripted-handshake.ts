import {
  concatBytes,
  curve,
  decodeRlp,
  encodeRlp,
  generateSecretKey,
  nodeIdOf,
  rlpItemLength,
} from "@heddle/identity";
import type { RlpInput, RlpValue } from "@heddle/identity";
import type { Session } from "@heddle/p2p";
import { deriveSecrets, openHandshake, sealHandshake } from "@heddle/rlpx";
import type { SessionSecrets } from "@heddle/rlpx";

import { ScriptedFrames } from "./scripted-frames.ts";
import type { ScriptedWire } from "./scripted-wire.ts";

/** What may be changed about an auth or an ack. */
export interface HandshakePacketOptions {
  /** The version in it; 4 by default. */
  readonly version?: RlpInput;
  /** List elements behind the version. */
  readonly extra?: readonly RlpInput[];
  /** What stands behind the list; 100 to 199 bytes are usual, 120 zeros the default. */
  readonly padding?: Uint8Array;
  /** Changes the elements of the list, `extra` included, before they are encoded. */
  readonly fields?: (fields: RlpInput[]) => RlpInput[];
  /** Changes the plaintext, list and padding, before it is sealed. */
  readonly plaintext?: (plaintext: Uint8Array) => Uint8Array;
}

/** What a {@link ScriptedAuth} says, and in whose name. */
export interface ScriptedAuthOptions extends HandshakePacketOptions {
  /** The static key, 32 bytes; a fresh one by default. */
  readonly key?: Uint8Array;
}

/** A session on a wire that a script plays. */
export interface ScriptedSession extends Session {
  readonly wire: ScriptedWire;
  readonly codec: ScriptedFrames;
  /** Ours, 64 bytes. */
  readonly localId: Uint8Array;
}

/**
 * The dialing side's half of a handshake: an auth as the script wants it, and what reads the ack.
 *
 * @example
 * const auth = new ScriptedAuth(server.id, { version: 56 });
 * await wire.write(auth.packet);
 * const peer = scriptedPeer.over(await auth.open(wire));
 * @see devp2p rlpx.md §Initial Handshake; EIP-8
 */
export class ScriptedAuth {
  /** Our static key, 32 bytes. */
  readonly key: Uint8Array;
  /** Ours, 64 bytes. */
  readonly id: Uint8Array;
  /** Whom it is for, 64 bytes. */
  readonly remoteId: Uint8Array;
  /** The auth, its 2-byte size in front; a copy at each call, for the script to write or to damage. */
  get packet(): Uint8Array {
    return this.#packet.slice();
  }
  readonly #packet: Uint8Array;
  readonly #ephemeralKey: Uint8Array = generateSecretKey();
  readonly #nonce: Uint8Array = makeNonce();

  /** @throws CurveError when `remoteId` is no public key; RangeError when the packet is over 65,535 bytes */
  constructor(remoteId: Uint8Array, options: ScriptedAuthOptions = {}) {
    this.key = options.key ?? generateSecretKey();
    this.id = nodeIdOf(this.key);
    this.remoteId = remoteId;
    const token = tokenOf(this.key, remoteId, this.#nonce);
    const signature = curve.sign(token, this.#ephemeralKey);
    this.#packet = sealPacket(remoteId, [signature, this.id, this.#nonce], options);
  }

  /**
   * Reads the ack from a wire and begins the session; the auth is the script's to write before.
   *
   * @throws ExpectationError when no ack comes; as {@link accept} does
   */
  async open(wire: ScriptedWire): Promise<ScriptedSession> {
    const secrets = this.accept(await wire.readPacket("an ack"));
    return openSession(wire, { secrets, remoteId: this.remoteId, localId: this.id });
  }

  /**
   * Reads an ack.
   *
   * @param ack - its 2-byte size included
   * @throws RemoteProtocolError, RlpError, CurveError or Error when it is none for this auth
   */
  accept(ack: Uint8Array): SessionSecrets {
    const [remoteEphemeralKey, recipientNonce] = openPacket(this.key, ack);
    if (!(remoteEphemeralKey instanceof Uint8Array) || !(recipientNonce instanceof Uint8Array)) {
      throw new Error("the ack lacks its ephemeral key or nonce");
    }
    return deriveSecrets("initiator", {
      ephemeralSharedSecret: curve.sharedSecret(this.#ephemeralKey, remoteEphemeralKey),
      initiatorNonce: this.#nonce,
      recipientNonce,
      auth: this.#packet,
      ack,
    });
  }
}

/**
 * The dialed side's half: reads an auth, and makes an ack as the script wants it.
 *
 * @example
 * const wire = await listener.acceptWire();
 * const ack = new ScriptedAck(key, await wire.readPacket("an auth"));
 * await wire.write(ack.packet);
 * const peer = scriptedPeer.over(ack.open(wire));
 */
export class ScriptedAck {
  /** Who sent the auth, 64 bytes. */
  readonly remoteId: Uint8Array;
  /** The elements of the auth's list. */
  readonly auth: readonly RlpValue[];
  readonly secrets: SessionSecrets;
  /** The ack, its 2-byte size in front; a copy at each call, for the script to write or to damage. */
  get packet(): Uint8Array {
    return this.#packet.slice();
  }
  readonly #packet: Uint8Array;
  readonly #key: Uint8Array;

  /**
   * @param key - our static key, 32 bytes
   * @param auth - its 2-byte size included
   * @throws RemoteProtocolError, RlpError, CurveError or Error when it is no auth for `key`
   */
  constructor(key: Uint8Array, auth: Uint8Array, options: HandshakePacketOptions = {}) {
    this.#key = key;
    this.auth = openPacket(key, auth);
    const [signature, remoteId, initiatorNonce] = this.auth.slice(0, 3).map((field, index) => {
      if (field instanceof Uint8Array && field.length === AUTH_LENGTHS[index]) return field;
      throw new Error(`element ${index} of the auth is not of ${AUTH_LENGTHS[index]} bytes`);
    });
    if (signature === undefined || remoteId === undefined || initiatorNonce === undefined) {
      throw new Error("the auth lacks its signature, key or nonce");
    }
    this.remoteId = remoteId;
    const token = tokenOf(key, remoteId, initiatorNonce);
    const ephemeralKey = generateSecretKey();
    const recipientNonce = makeNonce();
    this.#packet = sealPacket(remoteId, [nodeIdOf(ephemeralKey), recipientNonce], options);
    this.secrets = deriveSecrets("recipient", {
      ephemeralSharedSecret: curve.sharedSecret(ephemeralKey, curve.recover(token, signature)),
      initiatorNonce,
      recipientNonce,
      auth,
      ack: this.#packet,
    });
  }

  /** Begins the session on a wire; the ack is the script's to write before. */
  open(wire: ScriptedWire): ScriptedSession {
    const { secrets, remoteId } = this;
    return openSession(wire, { secrets, remoteId, localId: nodeIdOf(this.#key) });
  }
}

/** Lengths of signature, public key and nonce, in bytes. */
const AUTH_LENGTHS = [65, 64, 32];

/** Shakes hands as it should be done: as the dialing side where `remoteId` is given. */
export async function shakeHands(
  wire: ScriptedWire,
  key: Uint8Array,
  { remoteId, signal }: { readonly remoteId?: Uint8Array; readonly signal: AbortSignal },
): Promise<ScriptedSession> {
  const abort = (): void => wire.close();
  signal.addEventListener("abort", abort, { once: true });
  try {
    if (remoteId !== undefined) {
      const auth = new ScriptedAuth(remoteId, { key });
      void wire.write(auth.packet);
      return await auth.open(wire);
    }
    const ack = new ScriptedAck(key, await wire.readPacket("an auth"));
    void wire.write(ack.packet);
    return ack.open(wire);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function openSession(
  wire: ScriptedWire,
  {
    secrets,
    ...ids
  }: { secrets: SessionSecrets; readonly remoteId: Uint8Array; readonly localId: Uint8Array },
): ScriptedSession {
  return { ...ids, wire, stream: wire.stream, codec: new ScriptedFrames(secrets) };
}

function makeNonce(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}

function tokenOf(key: Uint8Array, remoteId: Uint8Array, nonce: Uint8Array): Uint8Array {
  return curve.sharedSecret(key, remoteId).map((byte, i) => byte ^ (nonce[i] ?? 0));
}

function sealPacket(
  remoteId: Uint8Array,
  fields: readonly RlpInput[],
  options: HandshakePacketOptions,
): Uint8Array {
  const all = [...fields, options.version ?? 4, ...(options.extra ?? [])];
  const list = encodeRlp(options.fields?.(all) ?? all);
  const plaintext = concatBytes(list, options.padding ?? new Uint8Array(120));
  return sealHandshake(remoteId, options.plaintext?.(plaintext) ?? plaintext);
}

function openPacket(key: Uint8Array, packet: Uint8Array): readonly RlpValue[] {
  const plaintext = openHandshake(key, packet);
  const fields = decodeRlp(plaintext.subarray(0, rlpItemLength(plaintext)));
  if (fields instanceof Uint8Array) throw new Error("the handshake packet holds no list");
  return fields;
}

import {
  concatBytes,
  curve,
  decodeRlp,
  encodeRlp,
  generateSecretKey,
  nodeIdOf,
  rlpItemLength,
} from "@heddle/identity";
import type { RlpInput } from "@heddle/identity";
import { deriveSecrets, openHandshake, sealHandshake } from "@heddle/rlpx";
import type { SessionSecrets } from "@heddle/rlpx";

/** What may be changed about an auth packet. */
export interface AuthOptions {
  /** `auth-vsn`; 4 by default. */
  readonly version?: RlpInput;
  /** List elements behind the version. */
  readonly extra?: readonly RlpInput[];
  /** What stands behind the list; 100 to 199 zero bytes are usual, 120 the default. */
  readonly padding?: Uint8Array;
  /** The four fields and more, before they are encoded. */
  readonly fields?: (fields: RlpInput[]) => RlpInput[];
  /** The plaintext, list and padding, before it is sealed. */
  readonly plaintext?: (plaintext: Uint8Array) => Uint8Array;
}

/** Our half of a handshake: the auth packet, and what is needed to understand the ack. */
export class AuthMaker {
  readonly secretKey: Uint8Array;
  readonly nodeId: Uint8Array;
  readonly auth: Uint8Array;
  readonly #ephemeralKey: Uint8Array = generateSecretKey();
  readonly #nonce: Uint8Array = crypto.getRandomValues(new Uint8Array(32));

  /**
   * @param secretKey - our static key; 32 bytes
   * @param remoteId - whom the packet is for; 64 bytes
   */
  constructor(secretKey: Uint8Array, remoteId: Uint8Array, options: AuthOptions = {}) {
    this.secretKey = secretKey;
    this.nodeId = nodeIdOf(secretKey);
    const shared = curve.sharedSecret(secretKey, remoteId);
    const token = shared.map((byte, i) => byte ^ (this.#nonce[i] ?? 0));
    const signature = curve.sign(token, this.#ephemeralKey);
    const fields: RlpInput[] = [signature, this.nodeId, this.#nonce, options.version ?? 4];
    const list = encodeRlp(options.fields?.(fields) ?? [...fields, ...(options.extra ?? [])]);
    const plaintext = concatBytes(list, options.padding ?? new Uint8Array(120));
    this.auth = sealHandshake(remoteId, options.plaintext?.(plaintext) ?? plaintext);
  }

  /**
   * Reads the ack and derives the session's secrets.
   *
   * @param ack - the whole packet, its size included
   * @throws RemoteProtocolError, RlpError, CurveError or Error when it is none for our auth
   * @see devp2p rlpx.md §Initial Handshake; EIP-8
   */
  accept(ack: Uint8Array): SessionSecrets {
    const plaintext = openHandshake(this.secretKey, ack);
    const fields = decodeRlp(plaintext.subarray(0, rlpItemLength(plaintext)));
    if (fields instanceof Uint8Array) throw new Error("the ack holds no list");
    const [remoteEphemeralKey, recipientNonce] = fields;
    if (!(remoteEphemeralKey instanceof Uint8Array) || !(recipientNonce instanceof Uint8Array)) {
      throw new Error("the ack lacks its ephemeral key or nonce");
    }
    return deriveSecrets("initiator", {
      ephemeralSharedSecret: curve.sharedSecret(this.#ephemeralKey, remoteEphemeralKey),
      initiatorNonce: this.#nonce,
      recipientNonce,
      auth: this.auth,
      ack,
    });
  }
}

/**
 * What a secp256k1 implementation must offer to stand behind {@link Curve}.
 *
 * Arguments arrive with their lengths right and secret keys in range. Public keys are 65 bytes (0x04, x, y);
 * those given to `verify` and `compress` have passed `isPoint` of the same backend. Results are
 * plain `Uint8Array`s that belong to the caller. A method throws, whatever it likes, when there is no result.
 */
export interface CurveBackend {
  readonly name: string;
  /** Tells whether 65 bytes are a point: prefix 0x04, coordinates below P, on the curve. */
  isPoint(publicKey: Uint8Array): boolean;
  /** Derives the 65-byte public key. */
  publicKey(secretKey: Uint8Array): Uint8Array;
  /**
   * Multiplies the point by the secret key and returns the x coordinate, 32 bytes with leading zeros; throws when
   * what was given is no point, so that nobody has to look twice.
   */
  sharedSecret(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array;
  /** Signs with the RFC 6979 nonce and low s: r, s, recovery id; 65 bytes. */
  sign(digest: Uint8Array, secretKey: Uint8Array): Uint8Array;
  /** Recovers the 65-byte public key; throws when the signature belongs to none. */
  recover(digest: Uint8Array, signature: Uint8Array): Uint8Array;
  /** Verifies a 64-byte signature; a high s is refused. */
  verify(digest: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean;
  /** Turns 65 bytes into 33. */
  compress(publicKey: Uint8Array): Uint8Array;
  /** Turns 33 bytes into 65; throws when they are no point. */
  decompress(publicKey: Uint8Array): Uint8Array;
}

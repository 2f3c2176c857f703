import { fastBackend } from "#fast-backend";
import type { CurveBackend } from "./backend.ts";
import { portableBackend } from "./backend-portable.ts";
import { isScalar } from "./scalar.ts";

/**
 * The operations on secp256k1 that devp2p needs.
 *
 * A public key is 64 bytes, the x and y coordinates; as an argument also 65 with the SEC 1 prefix 0x04.
 * Each is checked to be a point (coordinates below P, on the curve) before it is used. Results belong to the
 * caller; arguments are only read. Arguments that are no `Uint8Array` are a TypeError.
 *
 * @see SEC 1 v2 §2.3, §3.2.2.1, §4.1; RFC 6979
 */
export interface Curve {
  /** Which implementation this is: `noble`, `node` or `native`. */
  readonly name: string;
  /**
   * Derives the 64-byte public key of a 32-byte secret key.
   * @throws {@link CurveError} `ERR_CURVE_BAD_KEY`
   */
  publicKey(secretKey: Uint8Array): Uint8Array;
  /**
   * Agrees on a secret with the owner of a public key: the x coordinate of the product, always 32 bytes.
   * @throws {@link CurveError} `ERR_CURVE_BAD_KEY`, `ERR_CURVE_BAD_POINT`
   */
  sharedSecret(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array;
  /**
   * Signs a 32-byte digest, deterministically and with low s: 65 bytes r, s, recovery id (0 to 3).
   * @throws {@link CurveError} `ERR_CURVE_BAD_KEY`
   * @throws RangeError when the digest is not 32 bytes
   */
  sign(digest: Uint8Array, secretKey: Uint8Array): Uint8Array;
  /**
   * Recovers the 64-byte public key that made a 65-byte signature; a high s is accepted.
   * @throws {@link CurveError} `ERR_CURVE_BAD_SIGNATURE`
   * @throws RangeError when the digest is not 32 bytes
   */
  recover(digest: Uint8Array, signature: Uint8Array): Uint8Array;
  /**
   * Tells whether a 64-byte signature (r, s) of a 32-byte digest is good; a high s is not, nor is any other length.
   * @throws {@link CurveError} `ERR_CURVE_BAD_POINT`
   * @throws RangeError when the digest is not 32 bytes
   */
  verify(digest: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean;
  /** Tells whether bytes are a public key. */
  isPoint(publicKey: Uint8Array): boolean;
  /**
   * Shortens a public key to 33 bytes.
   * @throws {@link CurveError} `ERR_CURVE_BAD_POINT`
   */
  compress(publicKey: Uint8Array): Uint8Array;
  /**
   * Expands a 33-byte public key to 64 bytes.
   * @throws {@link CurveError} `ERR_CURVE_BAD_POINT`
   */
  decompress(publicKey: Uint8Array): Uint8Array;
}

/** Puts the checks in front of a backend that all backends share, so that they refuse alike. */
export function makeCurve(backend: CurveBackend): Curve {
  return Object.freeze<Curve>({
    name: backend.name,
    publicKey: (secretKey) => backend.publicKey(checkSecretKey(secretKey)).slice(1),
    sharedSecret(secretKey, publicKey) {
      checkSecretKey(secretKey);
      const point = toPoint(publicKey);
      return attempt(() => backend.sharedSecret(secretKey, point), notOnCurve);
    },
    sign: (digest, secretKey) => backend.sign(checkDigest(digest), checkSecretKey(secretKey)),
    recover(digest, signature) {
      checkDigest(digest);
      checkRecoverable(signature);
      return attempt(() => backend.recover(digest, signature), badSignature).slice(1);
    },
    verify(digest, signature, publicKey) {
      checkDigest(digest);
      const point = checkPoint(backend, publicKey);
      checkBytes(signature, "signature");
      return signature.length === 64 && backend.verify(digest, signature, point);
    },
    isPoint(publicKey) {
      const point = withPrefix(publicKey);
      return point !== undefined && backend.isPoint(point);
    },
    compress: (publicKey) => backend.compress(checkPoint(backend, publicKey)),
    decompress(publicKey) {
      checkBytes(publicKey, "public key");
      if (publicKey.length !== 33) throw badPoint(`${publicKey.length} bytes, expected 33`);
      return attempt(() => backend.decompress(publicKey), notOnCurve).slice(1);
    },
  });
}

/** secp256k1 in pure JavaScript, by `@noble/secp256k1`. */
export const portableCurve: Curve = makeCurve(portableBackend);

/** The fastest secp256k1 that is installed: see the README on how to get a faster one. */
export const curve: Curve = fastBackend === undefined ? portableCurve : makeCurve(fastBackend);

function checkBytes(bytes: Uint8Array, name: string): void {
  if (!(bytes instanceof Uint8Array)) throw new TypeError(`${name} must be a Uint8Array`);
}

function checkDigest(digest: Uint8Array): Uint8Array {
  checkBytes(digest, "digest");
  if (digest.length !== 32) throw new RangeError(`digest is ${digest.length} bytes, expected 32`);
  return digest;
}

function checkSecretKey(secretKey: Uint8Array): Uint8Array {
  checkBytes(secretKey, "secret key");
  if (secretKey.length !== 32) {
    throw new CurveError(
      "ERR_CURVE_BAD_KEY",
      `secret key is ${secretKey.length} bytes, expected 32`,
    );
  }
  if (!isScalar(secretKey)) {
    throw new CurveError("ERR_CURVE_BAD_KEY", "secret key is zero or not below the curve order");
  }
  return secretKey;
}

function checkRecoverable(signature: Uint8Array): void {
  checkBytes(signature, "signature");
  if (signature.length !== 65) {
    throw new CurveError(
      "ERR_CURVE_BAD_SIGNATURE",
      `signature is ${signature.length} bytes, expected 65`,
    );
  }
  const recovery = signature[64] ?? 0;
  if (recovery > 3) {
    throw new CurveError("ERR_CURVE_BAD_SIGNATURE", `recovery id ${recovery} exceeds 3`);
  }
}

/** Returns the point as 65 bytes, or throws. */
function checkPoint(backend: CurveBackend, publicKey: Uint8Array): Uint8Array {
  const point = toPoint(publicKey);
  if (!backend.isPoint(point)) throw notOnCurve();
  return point;
}

/** Returns what may be a point as 65 bytes, or throws. */
function toPoint(publicKey: Uint8Array): Uint8Array {
  const point = withPrefix(publicKey);
  if (point === undefined) {
    throw badPoint(
      publicKey.length === 65
        ? `prefix ${publicKey[0]}, expected 4`
        : `${publicKey.length} bytes, expected 64, or 65 with the prefix 4`,
    );
  }
  return point;
}

function withPrefix(publicKey: Uint8Array): Uint8Array | undefined {
  checkBytes(publicKey, "public key");
  if (publicKey.length === 65 && publicKey[0] === 0x04) return publicKey;
  if (publicKey.length !== 64) return undefined;
  const point = new Uint8Array(65);
  point[0] = 0x04;
  point.set(publicKey, 1);
  return point;
}

/** Runs a backend's operation, turning whatever it throws into our error. */
function attempt(operation: () => Uint8Array, failure: (cause: unknown) => CurveError): Uint8Array {
  try {
    return operation();
  } catch (cause) {
    throw failure(cause);
  }
}

function notOnCurve(): CurveError {
  return badPoint("not on the curve");
}

function badPoint(fault: string): CurveError {
  return new CurveError("ERR_CURVE_BAD_POINT", `public key is no point of secp256k1: ${fault}`);
}

function badSignature(cause: unknown): CurveError {
  return new CurveError("ERR_CURVE_BAD_SIGNATURE", "signature belongs to no public key", { cause });
}

/** What was wrong with an argument to a curve operation. */
export type CurveErrorCode =
  | "ERR_CURVE_BAD_KEY"
  | "ERR_CURVE_BAD_POINT"
  | "ERR_CURVE_BAD_SIGNATURE";

/** A secret key, public key or signature that is none. */
export class CurveError extends Error {
  override readonly name = "CurveError";
  readonly code: CurveErrorCode;

  constructor(code: CurveErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

import { createECDH, getCurves, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import type { CurveBackend } from "./backend.ts";
import { portableBackend } from "./backend-portable.ts";
import { concatBytes } from "./bytes.ts";

/** What is used of the `secp256k1` addon, version 5. */
interface Addon {
  contextRandomize(seed: Uint8Array): void;
  publicKeyVerify(publicKey: Uint8Array): boolean;
  publicKeyCreate(secretKey: Uint8Array, compressed: boolean): Uint8Array;
  publicKeyConvert(publicKey: Uint8Array, compressed: boolean): Uint8Array;
  ecdh(
    publicKey: Uint8Array,
    secretKey: Uint8Array,
    options: { hashfn: (x: Uint8Array) => Uint8Array },
    output: Uint8Array,
  ): Uint8Array;
  ecdsaSign(
    digest: Uint8Array,
    secretKey: Uint8Array,
  ): { readonly signature: Uint8Array; readonly recid: number };
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean;
  ecdsaRecover(
    signature: Uint8Array,
    recovery: number,
    digest: Uint8Array,
    compressed: boolean,
  ): Uint8Array;
}

/** secp256k1 by the `secp256k1` addon (libsecp256k1 in C), or `undefined` where it is not installed. */
export const nativeBackend: CurveBackend | undefined = loadNative();

/** The portable backend with the key agreement of `node:crypto`, or `undefined` where it lacks the curve. */
export const nodeBackend: CurveBackend | undefined = loadNode();

/** The fastest backend that is installed. */
export const fastBackend: CurveBackend | undefined = nativeBackend ?? nodeBackend;

function loadNative(): CurveBackend | undefined {
  let addon: Addon;
  try {
    // The package's main entry would silently fall back to an implementation in JavaScript that is slower and
    // less careful than the portable backend; its bindings alone load or throw.
    addon = createRequire(import.meta.url)("secp256k1/bindings.js");
  } catch {
    // Not installed, or without a binary for this platform: the addon is optional.
    return undefined;
  }
  // Blinds the multiplications with the secret key against timing and power analysis.
  addon.contextRandomize(new Uint8Array(randomBytes(32)));
  return {
    name: "native",
    isPoint: (publicKey) => addon.publicKeyVerify(publicKey),
    publicKey: (secretKey) => addon.publicKeyCreate(secretKey, false),
    sharedSecret: (secretKey, publicKey) =>
      addon.ecdh(publicKey, secretKey, { hashfn: (x) => x }, new Uint8Array(32)),
    sign(digest, secretKey) {
      const { signature, recid } = addon.ecdsaSign(digest, secretKey);
      return concatBytes(signature, Uint8Array.of(recid));
    },
    recover: (digest, signature) =>
      addon.ecdsaRecover(signature.subarray(0, 64), signature[64] ?? 0, digest, false),
    verify(digest, signature, publicKey) {
      try {
        return addon.ecdsaVerify(signature, digest, publicKey);
      } catch {
        // With lengths and point checked before, only an r or s beyond the curve order is left to throw for.
        return false;
      }
    },
    compress: (publicKey) => addon.publicKeyConvert(publicKey, true),
    decompress: (publicKey) => addon.publicKeyConvert(publicKey, false),
  };
}

function loadNode(): CurveBackend | undefined {
  // Electron's crypto library, for one, is built without this curve.
  if (!getCurves().includes("secp256k1")) return undefined;
  return {
    ...portableBackend,
    name: "node",
    sharedSecret(secretKey, publicKey) {
      const ecdh = createECDH("secp256k1");
      ecdh.setPrivateKey(secretKey);
      return new Uint8Array(ecdh.computeSecret(publicKey));
    },
  };
}

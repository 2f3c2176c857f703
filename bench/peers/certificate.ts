import { generateKeyPairSync, sign } from "node:crypto";

/**
 * A fresh self-signed certificate on P-256, since a key in the source tree would be nobody's secret.
 *
 * @see RFC 5280 §4.1, RFC 5758 §3.2
 */
export function certificate(): { key: string; cert: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from("bench")))));
  const body = sequence(
    der(0x02, Buffer.of(1)),
    sequence(ECDSA_WITH_SHA256),
    name,
    sequence(utcTime("200101000000Z"), utcTime("491231235959Z")),
    name,
    publicKey.export({ type: "spki", format: "der" }),
  );
  const signature = sign("sha256", body, privateKey);
  const signed = sequence(
    body,
    sequence(ECDSA_WITH_SHA256),
    der(0x03, Buffer.concat([Buffer.of(0), signature])),
  );
  const cert = `-----BEGIN CERTIFICATE-----\n${signed.toString("base64")}\n-----END CERTIFICATE-----\n`;
  return { key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(), cert };
}

/** 1.2.840.10045.4.3.2 and 2.5.4.3. */
const ECDSA_WITH_SHA256 = Buffer.from("06082a8648ce3d040302", "hex");
const COMMON_NAME = Buffer.from("0603550403", "hex");

function utcTime(text: string): Buffer {
  return der(0x17, Buffer.from(text));
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

/** Tag, length (short, or of one or two bytes), content. */
function der(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Uint8Array.from(head), content]);
}

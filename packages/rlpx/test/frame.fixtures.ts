import type { FrameSecrets } from "../src/frame.ts";
import vectors from "./vectors/frames.json" with { type: "json" };

export { vectors };

export const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));

/** `(macSecret XOR nonce) || packet`, written out once more so that no test leans on our handshake. */
export function macSeed(macSecret: string, nonce: string, packet: string): Uint8Array {
  const mask = hex(nonce);
  return Uint8Array.of(...hex(macSecret).map((byte, i) => byte ^ mask[i]!), ...hex(packet));
}

function secrets(aesSecret: string, macSecret: string, seed: Uint8Array): FrameSecrets {
  return { aesSecret: hex(aesSecret), macSecret: hex(macSecret), macSeed: seed };
}

const { eip8, helloFrames } = vectors;

/** The two directions of EIP-8's (auth2, ack2) exchange. */
export const eip8AtoB: FrameSecrets = secrets(
  eip8.aesSecret,
  eip8.macSecret,
  macSeed(eip8.macSecret, eip8.nonceB, eip8.auth),
);
export const eip8BtoA: FrameSecrets = secrets(
  eip8.aesSecret,
  eip8.macSecret,
  macSeed(eip8.macSecret, eip8.nonceA, eip8.ack),
);

/** The two directions of the published session with one Hello frame each way. */
export const helloFromInitiator: FrameSecrets = secrets(
  helloFrames.aesSecret,
  helloFrames.macSecret,
  macSeed(helloFrames.macSecret, helloFrames.recipientNonce, helloFrames.auth),
);
export const helloFromRecipient: FrameSecrets = secrets(
  helloFrames.aesSecret,
  helloFrames.macSecret,
  macSeed(helloFrames.macSecret, helloFrames.initiatorNonce, helloFrames.ack),
);

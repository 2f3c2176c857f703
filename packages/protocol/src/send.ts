import type { MessageReadWriter, SendOptions } from "@heddle/p2p";

/** What a schema has encoded was made for one message alone. */
const ENCODED: SendOptions = { release: true };

/** Sends what a schema has encoded; whatever keeps it from leaving is a rejection, never thrown. */
export function sendPayload(
  rw: MessageReadWriter,
  code: number,
  payload: Uint8Array,
): Promise<void> {
  try {
    return rw.sendEncoded(code, payload, ENCODED);
  } catch (error) {
    return Promise.reject(error);
  }
}

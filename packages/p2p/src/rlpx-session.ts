import { Initiator, Recipient } from "@heddle/rlpx";
import type { RandomBytes, RlpxSession } from "@heddle/rlpx";

import { StreamEndedError } from "./connection.ts";
import type { Session, SessionUpgrade } from "./session.ts";
import type { ByteStream } from "./stream.ts";

/**
 * Upgrades a stream to an RLPx session: the EIP-8 handshake, as initiator when `remoteId` is given.
 *
 * Bytes that came behind the handshake are in the codec already. The stream is left paused.
 *
 * @see devp2p rlpx.md §"Initial Handshake"
 */
export const rlpxUpgrade: SessionUpgrade = createRlpxUpgrade();

/**
 * Makes an {@link rlpxUpgrade} with entropy of the caller's: what is sent is then reproducible, and no
 * secret to whoever knows the seed. For simulations.
 *
 * @param options.randomBytes - `crypto.getRandomValues` by default
 */
export function createRlpxUpgrade(
  options: { readonly randomBytes?: RandomBytes } = {},
): SessionUpgrade {
  return (stream, { secretKey, nodeId, remoteId, signal }) => {
    if (remoteId === undefined) {
      const recipient = new Recipient({ ...options, secretKey });
      return shakeHands(stream, signal, (chunk) => {
        const result = recipient.receive(chunk);
        if (result === undefined) return undefined;
        // Our Hello tends to follow at once.
        stream.cork?.();
        stream.write(result.ack);
        return result.session;
      });
    }
    const publicKey = nodeId === undefined ? {} : { publicKey: nodeId };
    const initiator = new Initiator({ ...options, ...publicKey, secretKey, remoteId });
    stream.write(initiator.auth);
    return shakeHands(stream, signal, (chunk) => initiator.receive(chunk));
  };
}

function shakeHands(
  stream: ByteStream,
  signal: AbortSignal,
  receive: (chunk: Uint8Array) => RlpxSession | undefined,
): Promise<Session> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      signal.removeEventListener("abort", onAbort);
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    const onAbort = (): void => fail(signal.reason);
    let isDone = false;
    stream.open({
      data(chunk) {
        if (isDone) return;
        try {
          const session = receive(chunk);
          if (session === undefined) return;
          isDone = true;
          stream.pause();
          signal.removeEventListener("abort", onAbort);
          resolve({ remoteId: session.remoteId, stream, codec: session });
        } catch (error) {
          isDone = true;
          fail(error);
        }
      },
      drain: () => undefined,
      end: () => fail(new StreamEndedError()),
      close: (error) => fail(new StreamEndedError(error)),
    });
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    stream.resume();
  });
}

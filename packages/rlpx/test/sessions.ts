import { curve } from "@heddle/identity";

import { Initiator, Recipient } from "../src/handshake.ts";
import type { RlpxMessage, RlpxSession } from "../src/session.ts";

export const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));

/** Gives out the parts in turn, each asked for by its length, then bytes that count up. */
export function replay(...parts: Uint8Array[]): (length: number) => Uint8Array {
  let next = 1;
  return (length) => {
    const part = parts.shift();
    if (part === undefined) return new Uint8Array(length).map(() => next++ % 251);
    if (part.length !== length) throw new RangeError(`${length} asked, ${part.length} prepared`);
    return part;
  };
}

export const initiatorKey: Uint8Array = new Uint8Array(32).fill(0x11);
export const recipientKey: Uint8Array = new Uint8Array(32).fill(0x22);

/** Two sessions that have shaken hands, the initiator's first. */
export function makeSessions(): [RlpxSession, RlpxSession] {
  const initiator = new Initiator({
    secretKey: initiatorKey,
    remoteId: curve.publicKey(recipientKey),
  });
  const answer = new Recipient({ secretKey: recipientKey }).receive(initiator.auth);
  const session = answer && initiator.receive(answer.ack);
  if (!answer || !session) throw new Error("handshake did not end");
  return [session, answer.session];
}

/** As {@link makeSessions}, with Hello accepted on both sides. */
export function makeOpenSessions(version = 5): [RlpxSession, RlpxSession] {
  const sessions = makeSessions();
  for (const session of sessions) session.helloAccepted(version);
  return sessions;
}

export function drain(session: RlpxSession): RlpxMessage[] {
  const messages: RlpxMessage[] = [];
  for (let m = session.next(); m !== undefined; m = session.next()) messages.push(m);
  return messages;
}

/** Cuts bytes into pieces of the given lengths, used over and over. */
export function* cut(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = at + (lengths[i % lengths.length] ?? 1);
    yield bytes.subarray(at, end);
    at = end;
  }
}

/** What `run` throws; fails when it returns. */
export function thrown(run: () => unknown): Error {
  try {
    run();
  } catch (error) {
    if (error instanceof Error) return error;
    throw new Error("expected it to throw an Error", { cause: error });
  }
  throw new Error("expected it to throw");
}

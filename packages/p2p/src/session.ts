import type { ByteStream } from "./stream.ts";

/** A message as it stands on the wire: `msgId` counts from 0 over all protocols. */
export interface WireMessage {
  readonly msgId: number;
  /** RLP, uncompressed; owned by the receiver. */
  readonly payload: Uint8Array;
}

/**
 * Turns messages into the bytes of one authenticated channel and back; does no IO, so that the
 * connection may batch. Dead after it has thrown out of `next`.
 */
export interface MessageCodec {
  /** Seals one message into the pending batch; returns the bytes it adds. Throws before any change. */
  push(msgId: number, payload: Uint8Array): number;
  readonly pendingBytes: number;
  /** Everything pending, as one buffer that the caller owns. */
  take(): Uint8Array;
  /** Takes back what {@link take} returned and nobody looks at any more, so that the next batch can use it. */
  giveBack?(bytes: Uint8Array): void;
  /** Bytes from the stream, any length; copied. */
  feed(chunk: Uint8Array): void;
  /** The next whole message, if all of it has arrived. */
  next(): WireMessage | undefined;
  /** The other side's Hello is accepted: lifts the size limit for strangers, agrees on compression. */
  helloAccepted(remoteVersion: number): void;
}

/** What an upgrade yields: whom we speak with, and how. */
export interface Session {
  /** 64 bytes, proven by the handshake. */
  readonly remoteId: Uint8Array;
  /** The stream to go on with, paused; the one given, or one around it. */
  readonly stream: ByteStream;
  readonly codec: MessageCodec;
}

/** What an upgrade needs to know. */
export interface UpgradeOptions {
  readonly secretKey: Uint8Array;
  /** Ours, 64 bytes: the public key that belongs to `secretKey`. Derived from it where absent. */
  readonly nodeId?: Uint8Array;
  /** Whom we dialed: makes us the initiator. Absent on an accepted stream. */
  readonly remoteId?: Uint8Array;
  /** Aborts on the handshake deadline or when the server stops. */
  readonly signal: AbortSignal;
}

/**
 * The session seam: makes an authenticated channel of a byte stream.
 *
 * Rejects with the peer's fault (`RemoteProtocolError`), the signal's reason, or the stream's end; the
 * caller destroys the stream then.
 */
export type SessionUpgrade = (stream: ByteStream, options: UpgradeOptions) => Promise<Session>;

/** What a peer can do wrong on this layer, one code each; the README tells what leads to them. */
export type RemoteErrorCode =
  | "ERR_RLPX_BAD_FRAME_MAC"
  | "ERR_RLPX_BAD_HANDSHAKE"
  | "ERR_RLPX_BAD_HEADER_MAC"
  | "ERR_RLPX_BAD_MSG_ID"
  | "ERR_RLPX_BAD_SNAPPY"
  | "ERR_RLPX_FRAME_SIZE"
  | "ERR_RLPX_HANDSHAKE_SIZE"
  | "ERR_RLPX_MESSAGE_SIZE";

/** What our own side can ask for that the protocol forbids, one code each. */
export type LocalErrorCode =
  | "ERR_RLPX_BAD_REMOTE_ID"
  | "ERR_RLPX_HANDSHAKE_OVER"
  | "ERR_RLPX_HELLO_REPEATED"
  | "ERR_RLPX_MESSAGE_SIZE"
  | "ERR_RLPX_NO_ENTROPY";

/**
 * The peer broke the protocol; nothing it sends afterwards can be trusted.
 *
 * The message names sizes and codes only, never key material, plaintext or text of the peer. `cause`
 * is for local eyes: the peer must not be able to tell one failed handshake from another.
 */
export class RemoteProtocolError extends Error {
  override readonly name: string = "RemoteProtocolError";
  readonly code: RemoteErrorCode;

  constructor(code: RemoteErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Our own side asked for an illegal move; that call had no effect. */
export class LocalProtocolError extends Error {
  override readonly name: string = "LocalProtocolError";
  readonly code: LocalErrorCode;

  constructor(code: LocalErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

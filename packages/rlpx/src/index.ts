export type { RandomBytes } from "./ecies.ts";
export {
  LocalProtocolError,
  RemoteProtocolError,
  type LocalErrorCode,
  type RemoteErrorCode,
} from "./errors.ts";
export { freeBuffer, freeWholeBuffer } from "./free-buffer.ts";
export { FrameReader, type FrameSecrets } from "./frame.ts";
export { Initiator, MAX_HANDSHAKE_SIZE, Recipient, type HandshakeOptions } from "./handshake.ts";
export {
  openHandshake,
  RawFrameWriter,
  sealHandshake,
  type RawFrameOptions,
  type RawHandshakeOptions,
} from "./raw.ts";
export { deriveSecrets, type HandshakeResult, type Role, type SessionSecrets } from "./secrets.ts";
export {
  MAX_HELLO_SIZE,
  MAX_MESSAGE_SIZE,
  MAX_MSG_ID,
  RlpxSession,
  SNAPPY_VERSION,
  type RlpxMessage,
} from "./session.ts";
export { compress, decompress, uncompressedLength } from "./snappy.ts";

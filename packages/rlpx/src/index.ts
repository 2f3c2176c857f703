export {
  LocalProtocolError,
  RemoteProtocolError,
  type LocalErrorCode,
  type RemoteErrorCode,
} from "./errors.ts";

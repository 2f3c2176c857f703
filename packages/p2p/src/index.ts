export {
  compareCapabilities,
  formatCapability,
  matchCapabilities,
  validateProtocols,
} from "./capability.ts";
export { addressKey, CidrList, isLan, isLoopback, isSpecial } from "./cidr.ts";
export type { Capability, ProtocolShape, SharedCapability } from "./capability.ts";
export { MAX_MESSAGE_SIZE } from "./channel.ts";
export { sleep, systemClock } from "./clock.ts";
export type { Clock } from "./clock.ts";
export type { ServerConfig, ServerOptions } from "./config.ts";
export { StreamEndedError } from "./connection.ts";
export type { Count, ProtocolCounters, ServerCounters } from "./counters.ts";
export {
  decodeDisconnect,
  describeReason,
  Disconnect,
  DisconnectReason,
  encodeDisconnect,
  UNREADABLE_REASON,
  UselessPeer,
} from "./disconnect.ts";
export {
  DialError,
  DisconnectedError,
  disconnectReasonFor,
  LocalProtocolError,
  RemoteProtocolError,
  TimeoutError,
} from "./errors.ts";
export type { Phase, Side } from "./errors.ts";
export type { NegotiatedProtocol, ServerEvents } from "./events.ts";
export { FLOW_CAPABILITY } from "./flow.ts";
export {
  BaseMessage,
  decodeHello,
  encodeHello,
  MAX_HELLO_SIZE,
  PROTOCOL_VERSION,
} from "./hello.ts";
export type { Hello } from "./hello.ts";
export { collectMetrics } from "./info.ts";
export type { ServerInfo } from "./info.ts";
export { MESSAGE_OVERHEAD } from "./inbox.ts";
export { DEFAULT_LIMITS } from "./limits.ts";
export type { ServerLimits } from "./limits.ts";
export { consoleLogger, pinoLogger, silentLogger } from "./logger.ts";
export type { LogFields, Logger, LogLevel } from "./logger.ts";
export type { Maintained, MaintainStatus } from "./maintain.ts";
export { MemoryNetwork, memoryStreamPair } from "./memory.ts";
export type { MemoryLink } from "./memory.ts";
export { Message, releaseMessage } from "./message.ts";
export type { Decoder } from "./message.ts";
export { OPENMETRICS_CONTENT_TYPE, renderOpenMetrics } from "./openmetrics.ts";
export type { MetricFamily, MetricSample } from "./openmetrics.ts";
export type {
  MessageReadWriter,
  Peer,
  PeerInfo,
  Protocol,
  ProtocolHandle,
  ReadOptions,
  SendOptions,
} from "./protocol.ts";
export { createRlpxUpgrade, rlpxUpgrade } from "./rlpx-session.ts";
export { Server } from "./server.ts";
export type {
  MessageCodec,
  Session,
  SessionUpgrade,
  UpgradeOptions,
  WireMessage,
} from "./session.ts";
export type { ByteStream, Listener, StreamAddress, StreamHandlers, Transport } from "./stream.ts";
export { tcpTransport } from "./tcp.ts";

export { RlpWriter } from "@heddle/identity";
export { Disconnect, DisconnectReason, releaseMessage, UselessPeer } from "@heddle/p2p";
export { codeTable } from "./code-table.ts";
export type { CodeRow } from "./code-table.ts";
export type {
  CallOptions,
  Calls,
  Context,
  ContextOf,
  ContextWith,
  HandshakeOf,
  NotifyNames,
  PayloadOf,
  ReplyOf,
  RequestNames,
  Sends,
  Stats,
} from "./context.ts";
export { anyVersion, defineProtocol, extendProtocol } from "./definition.ts";
export type { AnyDefinition, Extended, NotifyNamesOf, ProtocolDefinition } from "./definition.ts";
export { definitionOf } from "./definition-of.ts";
export { BadReply, HandlerError, PeerGone, RequestError, RequestTimeout } from "./errors.ts";
export { implement } from "./implement.ts";
export type {
  Handlers,
  Handshake,
  HandshakeContext,
  Implementation,
  ImplementationOptions,
} from "./implement.ts";
export { DEFAULT_TIMEOUT_MS, notify, request } from "./messages.ts";
export type { Messages, NotifyMessage, RequestMessage, RequestOptions } from "./messages.ts";
export { SchemaError, SchemaValueError } from "./schema/errors.ts";
export type { SchemaErrorCode } from "./schema/errors.ts";
export { list, optional, struct, tuple } from "./schema/lists.ts";
export type { Element, Optional, StructOf, TupleOf } from "./schema/lists.ts";
export { bigint, bool, uint } from "./schema/numbers.ts";
export type { BigintSchema, UintSchema } from "./schema/numbers.ts";
export { MAX_ITEMS, RlpReader } from "./schema/reader.ts";
export { createSchema, describeShape } from "./schema/schema.ts";
export type { ElementShape, Infer, Schema, Shape } from "./schema/schema.ts";
export { bytes, bytes32, fixedBytes, item, text } from "./schema/strings.ts";
export type { BytesOptions, BytesSchema, SizeBounds, TextSchema } from "./schema/strings.ts";
export { mapped, union } from "./schema/union.ts";
export type { Mapping, UnionOf, Variants } from "./schema/union.ts";
export type { NotifyStats, RequestStats, RoundTrips } from "./stats.ts";

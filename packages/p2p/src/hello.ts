import { decodeRlp, encodeRlp, RlpError } from "@heddle/identity";
import type { RlpValue } from "@heddle/identity";

import type { Capability } from "./capability.ts";
import { DisconnectReason } from "./disconnect.ts";
import { RemoteProtocolError } from "./errors.ts";

/** The base protocol version spoken here: 5, Snappy after Hello. */
export const PROTOCOL_VERSION = 5;

/** Message ids 0x00 to 0x0f belong to the base protocol; subprotocols start at 0x10. */
export const BASE_LENGTH = 0x10;

/** Base protocol message ids (devp2p rlpx.md §"p2p" Capability). */
export const BaseMessage = { hello: 0x00, disconnect: 0x01, ping: 0x02, pong: 0x03 } as const;

/** The largest Hello payload accepted, in bytes; go-ethereum's limit too. */
export const MAX_HELLO_SIZE = 2048;

const NODE_ID_LENGTH = 64;
const HELLO_FIELDS = 5;

/** The first message both sides send. */
export interface Hello {
  readonly protocolVersion: number;
  readonly clientId: string;
  readonly capabilities: readonly Capability[];
  /** Legacy, ignored; 0. */
  readonly listenPort: number;
  /** 64 bytes. */
  readonly nodeId: Uint8Array;
}

/** Encodes a Hello payload; capabilities go out in the order given, which must be sorted. */
export function encodeHello(hello: Hello): Uint8Array {
  return encodeRlp([
    hello.protocolVersion,
    hello.clientId,
    hello.capabilities.map(({ name, version }) => [name, version]),
    hello.listenPort,
    hello.nodeId,
  ]);
}

/**
 * Decodes a Hello payload; elements after the fifth are ignored (EIP-8), and so are elements after
 * the second of a capability.
 *
 * Interop: go-ethereum accepts any capability name and version; those we could not have registered
 * (unprintable name, version over 2^53) are dropped here, because they cannot be shared.
 *
 * @throws {@link RemoteProtocolError} `ERR_P2P_BAD_HELLO` (0x02), or `ERR_P2P_NULL_IDENTITY` (0x07)
 *   for an id that is not 64 bytes or all zero
 */
export function decodeHello(payload: Uint8Array): Hello {
  if (payload.length > MAX_HELLO_SIZE) {
    throw badHello(`${payload.length} bytes exceed ${MAX_HELLO_SIZE}`);
  }
  const fields = decodeFields(payload);
  const [version, clientId, capabilities, listenPort, nodeId] = fields;
  if (!(nodeId instanceof Uint8Array)) throw badHello("node id is a list");
  if (nodeId.length !== NODE_ID_LENGTH || nodeId.every((byte) => byte === 0)) {
    throw new RemoteProtocolError(
      "ERR_P2P_NULL_IDENTITY",
      `hello: node id must be ${NODE_ID_LENGTH} bytes and not zero, got ${nodeId.length} bytes`,
      { reason: DisconnectReason.nullNodeIdentity },
    );
  }
  return {
    protocolVersion: readUint(version, "version"),
    clientId: readText(clientId, "client id"),
    capabilities: readCapabilities(capabilities),
    listenPort: readUint(listenPort, "listen port"),
    nodeId: nodeId.slice(),
  };
}

function decodeFields(payload: Uint8Array): readonly RlpValue[] {
  let value: RlpValue;
  try {
    value = decodeRlp(payload, { maxItems: MAX_HELLO_SIZE });
  } catch (error) {
    if (!(error instanceof RlpError)) throw error;
    throw badHello(error.message, error);
  }
  if (value instanceof Uint8Array) throw badHello("expected a list, got a byte string");
  if (value.length < HELLO_FIELDS) {
    throw badHello(`expected at least ${HELLO_FIELDS} elements, got ${value.length}`);
  }
  return value;
}

function readCapabilities(value: RlpValue | undefined): Capability[] {
  if (value === undefined || value instanceof Uint8Array) {
    throw badHello("capabilities must be a list");
  }
  const capabilities: Capability[] = [];
  for (const entry of value) {
    if (entry instanceof Uint8Array || entry.length < 2) {
      throw badHello("a capability must be a list of name and version");
    }
    const name = readText(entry[0], "capability name");
    const version = readUint(entry[1], "capability version");
    if (/^[\x21-\x7e]+$/.test(name) && Number.isSafeInteger(version)) {
      capabilities.push({ name, version });
    }
  }
  return capabilities;
}

function readText(value: RlpValue | undefined, field: string): string {
  if (!(value instanceof Uint8Array)) throw badHello(`${field} must be a byte string`);
  return new TextDecoder().decode(value);
}

/** Big-endian without leading zeros; above 2^53 it loses precision, which only matters to a liar. */
function readUint(value: RlpValue | undefined, field: string): number {
  if (!(value instanceof Uint8Array)) throw badHello(`${field} must be a byte string`);
  if (value.length > 8) throw badHello(`${field} must fit in 8 bytes, got ${value.length}`);
  if (value[0] === 0) throw badHello(`${field} has a leading zero`);
  return value.reduce((sum, byte) => sum * 256 + byte, 0);
}

function badHello(message: string, cause?: unknown): RemoteProtocolError {
  return new RemoteProtocolError("ERR_P2P_BAD_HELLO", `hello: ${message}`, { cause });
}

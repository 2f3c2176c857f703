import { decodeBigint, decodeRlp, encodeRlp } from "@heddle/identity";
import type { RlpInput } from "@heddle/identity";
import { decodeDisconnect } from "@heddle/p2p";
import type { Capability } from "@heddle/p2p";
import { decompress, RemoteProtocolError } from "@heddle/rlpx";

/** Message ids of the base protocol; devp2p rlpx.md §"p2p" Capability. */
export const Base = { hello: 0x00, disconnect: 0x01, ping: 0x02, pong: 0x03 } as const;

/** The fields of a Hello as a case wants them, valid or not. */
export interface HelloFields {
  readonly version?: RlpInput;
  readonly clientId?: RlpInput;
  readonly capabilities?: RlpInput;
  readonly listenPort?: RlpInput;
  readonly nodeId?: RlpInput;
  /** Elements behind the fifth. */
  readonly extra?: readonly RlpInput[];
}

/** What the node says of itself in its Hello. */
export interface RemoteHello {
  readonly version: number;
  readonly clientId: string;
  readonly capabilities: readonly Capability[];
  readonly nodeId: Uint8Array;
}

/** Encodes a Hello, with whatever the fields are. */
export function encodeHello(
  nodeId: Uint8Array,
  capabilities: readonly Capability[],
  fields: HelloFields = {},
): Uint8Array {
  return encodeRlp([
    fields.version ?? 5,
    fields.clientId ?? "conformance/1",
    fields.capabilities ?? capabilities.map(({ name, version }) => [name, version]),
    fields.listenPort ?? 0,
    fields.nodeId ?? nodeId,
    ...(fields.extra ?? []),
  ]);
}

/**
 * Reads the node's Hello, strictly: the node under test has no excuse.
 *
 * @throws Error, RlpError when it is malformed
 */
export function readHello(payload: Uint8Array): RemoteHello {
  const value = decodeRlp(payload);
  if (value instanceof Uint8Array || value.length < 5) throw new Error("its Hello has no 5 fields");
  const [version = NONE, clientId, capabilities, , nodeId] = value;
  const isWhole = clientId instanceof Uint8Array && nodeId instanceof Uint8Array;
  if (!isWhole || capabilities === undefined || capabilities instanceof Uint8Array) {
    throw new Error("a field of its Hello has the wrong kind");
  }
  return {
    version: Number(decodeBigint(version, "version")),
    clientId: new TextDecoder().decode(clientId),
    capabilities: capabilities.map((entry) => {
      const [name, number] = entry;
      if (!(name instanceof Uint8Array) || !(number instanceof Uint8Array)) {
        throw new Error("a capability in its Hello is no pair");
      }
      const version = Number(decodeBigint(number, "capability version"));
      return { name: new TextDecoder().decode(name), version };
    }),
    nodeId,
  };
}

/** The reason in a Disconnect, compressed or not: no form of one is the Snappy block of another. */
export function readReason(raw: Uint8Array): number {
  const reason = decodeDisconnect(raw);
  if (reason !== UNREADABLE) return reason;
  try {
    return decodeDisconnect(decompress(raw, 0xffffff));
  } catch (error) {
    if (error instanceof RemoteProtocolError) return UNREADABLE;
    throw error;
  }
}

/** What a Disconnect that cannot be read counts as. */
const UNREADABLE = 0xff;

const NONE = new Uint8Array(0);

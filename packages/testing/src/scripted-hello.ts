import { encodeRlp } from "@heddle/identity";
import type { RlpInput } from "@heddle/identity";
import type { Capability } from "@heddle/p2p";

/** The elements of a Hello as a script wants them, of any kind and true or not. */
export interface ScriptedHello {
  readonly protocolVersion?: RlpInput;
  readonly clientId?: RlpInput;
  /** Names and versions, in this order; or whatever shall stand in their place. */
  readonly capabilities?: readonly Capability[] | RlpInput;
  readonly listenPort?: RlpInput;
  readonly nodeId?: RlpInput;
  /** Elements behind the fifth. */
  readonly extra?: readonly RlpInput[];
}

/** A Hello that lacks none of its five elements. */
export type WholeHello = Required<Omit<ScriptedHello, "extra">> & Pick<ScriptedHello, "extra">;

/** Encodes a Hello, with whatever its elements are. */
export function encodeScriptedHello(said: WholeHello): Uint8Array {
  return encodeRlp([
    said.protocolVersion,
    said.clientId,
    encodableCapabilities(said.capabilities),
    said.listenPort,
    said.nodeId,
    ...(said.extra ?? []),
  ]);
}

function encodableCapabilities(said: readonly Capability[] | RlpInput): RlpInput {
  if (!Array.isArray(said)) return said as RlpInput;
  return said.map((entry: Capability | RlpInput) =>
    isCapability(entry) ? [entry.name, entry.version] : entry,
  );
}

function isCapability(entry: Capability | RlpInput): entry is Capability {
  return typeof entry === "object" && "name" in entry && "version" in entry;
}

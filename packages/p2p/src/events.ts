import type { Enode } from "@heddle/identity";

import type { DialError, DisconnectedError, Phase, Side } from "./errors.ts";
import type { Peer } from "./protocol.ts";
import type { StreamAddress } from "./stream.ts";

/** What a server tells its listeners; see {@link Server.on}. */
export interface ServerEvents {
  listening: { readonly address: StreamAddress; readonly enode: string };
  /** A dial came to its end. */
  dial: { readonly node: Enode; readonly error: DialError | undefined };
  /** A connection reached the next phase of its handshake, or failed in it. */
  handshake: {
    readonly address: StreamAddress | undefined;
    readonly inbound: boolean;
    readonly phase: Phase;
    readonly failed?: { readonly reason: number; readonly side: Side; readonly error: Error };
  };
  "peer:add": { readonly peer: Peer; readonly protocols: readonly NegotiatedProtocol[] };
  "peer:drop": { readonly peer: Peer; readonly error: DisconnectedError };
  /** A subprotocol message went by; costs nothing while nobody listens. */
  message: {
    readonly peer: Peer;
    readonly direction: "in" | "out";
    /** `name/version`. */
    readonly protocol: string;
    readonly code: number;
    /** The code as people read it: `foo/2 blob(0x04)`. */
    readonly description: string;
    /** Payload bytes, uncompressed. */
    readonly size: number;
  };
  /**
   * A `run` threw something other than a `Disconnect`: the connection ends, the server goes on. Or a send was
   * refused, for the first time of its kind on this connection: the message is dropped, the connection goes on.
   */
  "protocol:error": { readonly peer: Peer; readonly protocol: string; readonly error: unknown };
  /** A `run` ignored its signal and was left behind. */
  "protocol:detached": { readonly peer: Peer; readonly protocol: string };
}

/** A shared protocol and where its messages stand on the wire. */
export interface NegotiatedProtocol {
  readonly name: string;
  readonly version: number;
  /** The first message id. */
  readonly offset: number;
  /** How many message ids. */
  readonly length: number;
  /** False when a protocol it requires is not shared. */
  readonly isRunning: boolean;
}

import type { FuzzTarget } from "../target.ts";
import { disconnectTarget, helloTarget } from "./base.ts";
import { frameData, frameHeader, frameWire, snappy } from "./frames.ts";
import { handshakeAck, handshakeAuth, handshakePacket } from "./handshake.ts";
import { enode, enr, enrText } from "./names.ts";
import { rlp, schema } from "./rlp.ts";

/** Everything that is fuzzed, from the bottom of the house up. */
export const TARGETS: readonly FuzzTarget[] = [
  rlp,
  enode,
  enr,
  enrText,
  handshakePacket,
  handshakeAuth,
  handshakeAck,
  frameWire,
  frameHeader,
  frameData,
  snappy,
  helloTarget,
  disconnectTarget,
  schema,
];

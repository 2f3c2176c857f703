export { connectedPair } from "./connected-pair.ts";
export type { ConnectedPair, PairOptions } from "./connected-pair.ts";
export { seededRandom } from "./random.ts";
export type { SeededRandom } from "./random.ts";
export { VirtualClock } from "./virtual-clock.ts";
export type { WaitOptions } from "./virtual-clock.ts";
export { nullSession } from "./null-session.ts";
export { memoryNetwork } from "./memory-network.ts";
export type {
  MemoryNetworkOptions,
  SimulatedNetwork,
  SimulatedServerOptions,
} from "./memory-network.ts";
export { ExpectationError } from "./expectation-error.ts";
export type { ExpectationErrorCode } from "./expectation-error.ts";
export { scriptedPeer } from "./scripted-connect.ts";
export type {
  ScriptedListener,
  ScriptedListenerOptions,
  ScriptedPeerFactory,
} from "./scripted-connect.ts";
export type { ScriptedPeerOptions } from "./scripted-settings.ts";
export { ScriptedWire } from "./scripted-wire.ts";
export type { ScriptedWireOptions, StreamEnd, TrickleOptions } from "./scripted-wire.ts";
export { ScriptedAck, ScriptedAuth } from "./scripted-handshake.ts";
export type {
  HandshakePacketOptions,
  ScriptedAuthOptions,
  ScriptedSession,
} from "./scripted-handshake.ts";
export { ScriptedFrames } from "./scripted-frames.ts";
export type { FramedMessage, FrameOptions } from "./scripted-frames.ts";
export { encodeScriptedHello } from "./scripted-hello.ts";
export type { ScriptedHello, WholeHello } from "./scripted-hello.ts";
export { ScriptedMessage } from "./scripted-inbox.ts";
export type { ExpectOptions } from "./scripted-inbox.ts";
export { ScriptedCapability } from "./scripted-capability.ts";
export type { Matcher } from "./scripted-capability.ts";
export { ScriptedPeer } from "./scripted-peer.ts";
export type { ScriptedEnding, ScriptedPeerSetup } from "./scripted-peer.ts";
export { fuzzProtocol } from "./fuzz.ts";
export type { FuzzOptions, FuzzReport } from "./fuzz.ts";
export type { FuzzFault, FuzzInput } from "./fuzz-session.ts";
export type { FuzzLimits } from "./meters.ts";
export { FaultKind } from "./faults.ts";
export type { Fault } from "./faults.ts";
export type { Samples, Speaker } from "./samples.ts";
export type { CreateSubject, ProtocolOwner, Surroundings } from "./subject.ts";
export { contract, ContractError } from "./contract.ts";
export type { ContractOptions, DefineTest } from "./contract.ts";

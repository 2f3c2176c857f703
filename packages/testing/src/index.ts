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

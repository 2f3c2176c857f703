export { connectedPair } from "./connected-pair.ts";
export type { ConnectedPair, PairOptions } from "./connected-pair.ts";

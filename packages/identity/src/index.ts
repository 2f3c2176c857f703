export { bytesEqual, concatBytes, escapeText, fromHex, toHex } from "./bytes.ts";
export { curve, CurveError, portableCurve } from "./curve.ts";
export type { Curve, CurveErrorCode } from "./curve.ts";
export { formatNodeId, generateSecretKey, isSecretKey, nodeIdOf } from "./keys.ts";
export type { NodeId } from "./keys.ts";
export {
  checkRlp,
  decodeBigint,
  decodeRlp,
  decodeUint,
  encodeRlp,
  RLP_MAX_DEPTH,
  RLP_MAX_ITEMS,
  RlpError,
  rlpItemLength,
} from "./rlp.ts";
export type { RlpErrorCode, RlpInput, RlpLimits, RlpValue } from "./rlp.ts";

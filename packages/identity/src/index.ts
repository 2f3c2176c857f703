export { bytesEqual, concatBytes, escapeText, fromHex, toHex } from "./bytes.ts";
export { curve, CurveError, portableCurve } from "./curve.ts";
export type { Curve, CurveErrorCode } from "./curve.ts";
export { ENODE_MAX_LENGTH, EnodeError, formatEnode, parseEnode } from "./enode.ts";
export type { Enode, EnodeErrorCode } from "./enode.ts";
export { Enr, ENR_MAX_SIZE, EnrError } from "./enr.ts";
export type { EnrContent, EnrErrorCode } from "./enr.ts";
export { formatIp, parseIp4, parseIp6 } from "./ip.ts";
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
export { encodeWith, RlpWriter } from "./rlp-writer.ts";

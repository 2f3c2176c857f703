export { FileShareError, HolderFault } from "./errors.ts";
export type { FaultCode, FileShareErrorCode } from "./errors.ts";
export { createFileShare, FileShare } from "./file-share.ts";
export { formatHash, parseHash } from "./hash.ts";
export { DEFAULT_LIMITS } from "./limits.ts";
export type { FileShareLimits } from "./limits.ts";
export { displayName, MAX_NAME_BYTES, nameFault, safeFileName } from "./names.ts";
export type {
  FetchOptions,
  FetchResult,
  FileShareEvents,
  FileShareOptions,
  Liar,
  SearchOptions,
  SharedFile,
} from "./options.ts";
export { Files1, MAX_FILES_PER_ANSWER, MAX_QUERY_BYTES } from "./protocol.ts";
export type {
  FilesContext,
  FilesMessages,
  FilesTable,
  FoundFile,
  FoundMessage,
  Query,
  SearchMessage,
} from "./protocol.ts";
export type { SearchCounters, SearchResult } from "./search.ts";
export type { Progress, SourceShare } from "./transfer.ts";
export { CHUNK_BYTES, contentHash, FANOUT, HASH_BYTES, hashChunk, hashNode } from "./tree.ts";

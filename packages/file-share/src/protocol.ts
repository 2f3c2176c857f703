import { ENR_MAX_SIZE } from "@heddle/identity";
import {
  bytes,
  bytes32,
  createSchema,
  defineProtocol,
  fixedBytes,
  list,
  mapped,
  notify,
  request,
  struct,
  text,
  uint,
  union,
} from "@heddle/protocol";
import type {
  ContextOf,
  NotifyMessage,
  ProtocolDefinition,
  RequestMessage,
  Schema,
} from "@heddle/protocol";

import { giveBack } from "./loan.ts";
import { MAX_NAME_BYTES, nameFault } from "./names.ts";
import { CHUNK_BYTES, FANOUT, HASH_BYTES } from "./tree.ts";

/** Most bytes of the words of a query. */
export const MAX_QUERY_BYTES = 256;

/** Most files in one answer. */
export const MAX_FILES_PER_ANSWER = 64;

/** A request id and RLP headers around a reply. */
const REPLY_OVERHEAD = 32;

const queryId = fixedBytes(16);

const name: Schema<string> = mapped(text({ min: 1, max: MAX_NAME_BYTES }), {
  decode(value) {
    const fault = nameFault(value);
    if (fault !== undefined) throw new RangeError(fault);
    return value;
  },
  encode: (value) => value,
});

/** A file as answers name it. */
export interface FoundFile {
  /** One path component; whoever shows it escapes it. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** The content hash, 32 bytes. */
  readonly hash: Uint8Array;
}

/** What is searched for: words that a name contains, or a content hash. */
export type Query =
  | { readonly kind: "words"; readonly value: string }
  | { readonly kind: "hash"; readonly value: Uint8Array };

/** A query on its way. */
export interface SearchMessage {
  /** 16 random bytes. */
  readonly id: Uint8Array;
  /** How many more nodes may be asked one after another. */
  readonly hops: number;
  /** How long answers are of use, in milliseconds. */
  readonly deadlineMs: number;
  readonly query: Query;
}

/** One holder's answer on its way back. */
export interface FoundMessage {
  /** The query's id. */
  readonly id: Uint8Array;
  /** The holder's node record, encoded. */
  readonly holder: Uint8Array;
  readonly files: readonly FoundFile[];
}

const file: Schema<FoundFile> = struct({ name, size: uint, hash: bytes32 });

const query: Schema<Query> = union({
  words: [0, text({ min: 1, max: MAX_QUERY_BYTES })],
  hash: [1, bytes32],
});

const search: Schema<SearchMessage> = struct({
  id: queryId,
  hops: uint({ max: 255 }),
  deadlineMs: uint,
  query,
});

const found: Schema<FoundMessage> = struct({
  id: queryId,
  holder: bytes({ max: ENR_MAX_SIZE, copy: true }),
  files: list(file, { max: MAX_FILES_PER_ANSWER }),
});

const chunkBytes = bytes({ max: CHUNK_BYTES });

/** A chunk: a view of its message where it is read, and given back to its owner once it is written. */
const chunk: Schema<Uint8Array> = createSchema<Uint8Array>(
  chunkBytes.shape,
  (reader) => chunkBytes.read(reader),
  (writer, value) => {
    try {
      chunkBytes.write(writer, value);
    } finally {
      giveBack(value);
    }
  },
);

/** The messages of `files/1`. */
export interface FilesMessages {
  readonly search: NotifyMessage<SearchMessage>;
  readonly found: NotifyMessage<FoundMessage>;
  readonly describe: RequestMessage<
    { readonly hash: Uint8Array },
    { readonly size: number; readonly top: Uint8Array }
  >;
  readonly hashes: RequestMessage<
    { readonly hash: Uint8Array; readonly level: number; readonly index: number },
    Uint8Array
  >;
  readonly chunk: RequestMessage<{ readonly hash: Uint8Array; readonly index: number }, Uint8Array>;
}

/** {@link FilesMessages} as a table of a definition. */
export type FilesTable = { readonly [K in keyof FilesMessages]: FilesMessages[K] };

/**
 * `files/1`: queries and answers as notifications, transfer as requests.
 *
 * A holder that has no such file answers `describe` with an empty top hash, the others with no bytes.
 */
export const Files1: ProtocolDefinition<"files", 1, FilesTable, undefined> = defineProtocol({
  name: "files",
  version: 1,
  messages: {
    search: notify(0, search),
    found: notify(1, found),
    describe: request(
      2,
      3,
      struct({ hash: bytes32 }),
      struct({ size: uint, top: bytes({ max: HASH_BYTES, copy: true }) }),
      { maxReplyBytes: 128 },
    ),
    hashes: request(
      4,
      5,
      struct({ hash: bytes32, level: uint({ max: 8 }), index: uint }),
      bytes({ max: FANOUT * HASH_BYTES, copy: true }),
      { maxReplyBytes: FANOUT * HASH_BYTES + REPLY_OVERHEAD },
    ),
    chunk: request(6, 7, struct({ hash: bytes32, index: uint }), chunk, {
      maxReplyBytes: CHUNK_BYTES + REPLY_OVERHEAD,
    }),
  },
});

/** One connection that speaks `files/1`. */
export type FilesContext = ContextOf<typeof Files1, unknown>;

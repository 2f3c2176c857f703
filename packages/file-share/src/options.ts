import type { Enr } from "@heddle/identity";
import type { Clock, Peer } from "@heddle/p2p";

import type { FileShareError, HolderFault } from "./errors.ts";
import type { FileShareLimits } from "./limits.ts";
import type { Progress, SourceShare } from "./transfer.ts";

/** A file of ours that is shared. */
export interface SharedFile {
  readonly path: string;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** The content hash, 32 bytes. */
  readonly hash: Uint8Array;
}

/** A holder that sent what does not fit the hash, and was dropped. */
export interface Liar {
  /** 128 hex digits. */
  readonly id: string;
  readonly enode: string;
  /** What it lied about, 32 bytes. */
  readonly hash: Uint8Array;
  readonly fault: HolderFault;
}

/** Told of what happens without being asked for; none of these may throw. */
export interface FileShareEvents {
  /** A file is shared from now on. */
  added?(file: SharedFile): void;
  /** A file is shared no more. */
  removed?(file: SharedFile): void;
  /** What lies in a shared folder but cannot be shared, and why. */
  skipped?(path: string, error: FileShareError): void;
  /** A holder lied; it is disconnected and never asked again. */
  liar?(liar: Liar): void;
}

/** How a file share is made. */
export interface FileShareOptions {
  /** The node's secret key, 32 bytes. */
  readonly key: Uint8Array;
  /** The node's own signed record, as it is at the moment: answers carry it. */
  readonly record: () => Enr;
  /** Connects to a holder; without it files come from connected peers alone. `Server.dial` fits. */
  readonly dial?: (holder: Enr, options: { signal?: AbortSignal }) => Promise<Peer>;
  readonly limits?: Partial<FileShareLimits>;
  readonly events?: FileShareEvents;
  readonly clock?: Clock;
  /** Uniform random bytes, for query ids. */
  readonly randomBytes?: (length: number) => Uint8Array;
  /** Where the hashes of large shared files are kept, in a file without a name. */
  readonly temporaryFolder?: string;
}

/** How one search is done. */
export interface SearchOptions {
  /** How long answers are waited for, in milliseconds; 5,000 by default. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/** How one file is fetched. */
export interface FetchOptions {
  /** The folder that takes the file; it must exist. */
  readonly to: string;
  /** The file's name there, one path component; the hash in hex by default. Never taken from the network. */
  readonly name?: string;
  /** Whether a file of that name may be replaced; false by default. */
  readonly force?: boolean;
  /** Who holds the file, read again whenever holders are looked for; without it they are searched for. */
  readonly from?: Iterable<Enr>;
  readonly signal?: AbortSignal;
  /** Told of every verified chunk. */
  readonly onProgress?: (progress: Progress) => void;
}

/** A file that was fetched. */
export interface FetchResult {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes that an earlier attempt had fetched. */
  readonly resumedBytes: number;
  /** Who was asked, what came from each, and who was given up. */
  readonly sources: readonly SourceShare[];
}

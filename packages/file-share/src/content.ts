import { constants, open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";

import { bytesEqual } from "@heddle/identity";

import { FileShareError } from "./errors.ts";
import type { HashStore, StoredHashes } from "./hash-store.ts";
import { CHUNK_BYTES, FANOUT, HASH_BYTES, childCount, hashNode, TreeBuilder } from "./tree.ts";
import type { PageSink, Tree } from "./tree.ts";

/** What tells one state of a file from every other: a change of its content changes one of them. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** A shared file: its place here, its tree, and the state in which it was hashed. */
export interface SharedContent {
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly name: string;
  readonly identity: FileIdentity;
  readonly tree: Tree;
  readonly leaves: StoredHashes;
}

/**
 * Opens a regular file for reading, never a symbolic link in its place, and never one that makes `open` wait.
 *
 * @throws FileShareError `ERR_FILES_NOT_SHARED` for what is no regular file; the file system's errors
 */
export async function openFile(
  path: string,
): Promise<{ handle: FileHandle; identity: FileIdentity }> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags);
  try {
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile()) {
      throw new FileShareError("ERR_FILES_NOT_SHARED", "only regular files are shared");
    }
    const { dev, ino, size, mtimeNs, ctimeNs } = stats;
    return { handle, identity: { dev, ino, size, mtimeNs, ctimeNs } };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Whether an open file still is in the state that was hashed. */
export async function isUnchanged(handle: FileHandle, identity: FileIdentity): Promise<boolean> {
  return isSameState(await handle.stat({ bigint: true }), identity);
}

/** Whether two states of files are one. */
export function isSameState(a: FileIdentity, b: FileIdentity): boolean {
  return (
    a.dev === b.dev &&
    a.ino === b.ino &&
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs
  );
}

/**
 * Hashes a file as a stream, in constant memory.
 *
 * @throws FileShareError `ERR_FILES_CHANGED` when it changed meanwhile; the signal's reason
 */
export async function hashFile(
  handle: FileHandle,
  identity: FileIdentity,
  store: HashStore,
  signal: AbortSignal,
): Promise<{ tree: Tree; leaves: StoredHashes }> {
  const writer = store.begin();
  try {
    const tree = await buildTree(handle, (page) => writer.add(page), signal);
    if (BigInt(tree.shape.size) !== identity.size || !(await isUnchanged(handle, identity))) {
      throw new FileShareError("ERR_FILES_CHANGED", "the file changed while it was read");
    }
    return { tree, leaves: writer.finish() };
  } catch (error) {
    writer.abandon();
    throw error;
  }
}

async function buildTree(handle: FileHandle, sink: PageSink, signal: AbortSignal): Promise<Tree> {
  const builder = new TreeBuilder(sink);
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (let at = 0; ;) {
    signal.throwIfAborted();
    const length = await readFully(handle, buffer, at);
    if (length === 0) break;
    await builder.add(buffer.subarray(0, length));
    at += length;
    if (length < CHUNK_BYTES) break;
  }
  return builder.finish();
}

/** Reads until the buffer is full or the file ends; returns how many bytes. */
export async function readFully(
  handle: FileHandle,
  buffer: Uint8Array,
  at: number,
): Promise<number> {
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, at + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}

/** The children of an inner node; undefined when there is no such node. */
export async function readChildren(
  { tree, leaves }: SharedContent,
  level: number,
  index: number,
): Promise<Uint8Array | undefined> {
  const count = childCount(tree.shape, level, index);
  if (count === undefined) return undefined;
  const start = index * FANOUT * HASH_BYTES;
  const length = count * HASH_BYTES;
  if (level === 1) {
    const children = await leaves.read(start, length);
    // They come from a temporary file: what became of them there must not look like a lie of ours.
    return isNode(children, tree.upper[0], index) ? children : undefined;
  }
  return tree.upper[level - 2]?.subarray(start, start + length);
}

function isNode(children: Uint8Array, nodes: Uint8Array | undefined, index: number): boolean {
  const hash = nodes?.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  return hash !== undefined && bytesEqual(hashNode(children), hash);
}

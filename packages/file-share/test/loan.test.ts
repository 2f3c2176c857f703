import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { BLOCK_CHUNKS, Blocks } from "../src/blocks.ts";
import { hashFile, openFile } from "../src/content.ts";
import type { SharedContent } from "../src/content.ts";
import { HashStore } from "../src/hash-store.ts";
import { giveBack, lend, release } from "../src/loan.ts";
import { OpenFiles } from "../src/open-files.ts";
import { Files1 } from "../src/protocol.ts";
import { CHUNK_BYTES } from "../src/tree.ts";
import { noise, onEnd } from "./node.ts";

const BLOCK_BYTES = BLOCK_CHUNKS * CHUNK_BYTES;
const KEPT_BLOCKS = 16;
const BLOCKS = KEPT_BLOCKS + 8;

async function shared(bytes: Uint8Array): Promise<SharedContent> {
  const folder = await mkdtemp(join(tmpdir(), "file-share-loan-"));
  onEnd(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "file");
  await writeFile(path, bytes);
  const store = new HashStore();
  const { handle, identity } = await openFile(path);
  const hashed = await hashFile(handle, identity, store, new AbortController().signal);
  await handle.close();
  onEnd(() => store.close());
  return { path, name: "file", identity, ...hashed };
}

function blocksOf(): Blocks {
  const files = new OpenFiles();
  onEnd(() => files.close());
  return new Blocks(files);
}

test("what is lent comes back once, and nothing else does", () => {
  let count = 0;
  const view = lend(new Uint8Array(4), () => (count += 1));
  giveBack(new Uint8Array(4));
  expect(count).toBe(0);
  giveBack(view);
  giveBack(view);
  expect(count).toBe(1);
});

test("a chunk is given back as soon as it is encoded, and even if it cannot be", () => {
  const { reply } = Files1.messages.chunk;
  let count = 0;
  const encoded = reply.encode(lend(noise(1_000), () => (count += 1)));
  expect(count).toBe(1);
  expect(reply.decode(encoded)).toEqual(noise(1_000));
  expect(() => reply.encode(lend(noise(CHUNK_BYTES + 1), () => (count += 1)))).toThrow("262145");
  expect(count).toBe(2);
});

test("a message is freed with its chunk, but not one that holds more than the chunk", () => {
  const message = new Uint8Array(CHUNK_BYTES + 16);
  release(message.subarray(16));
  expect(message.length).toBe(0);
  const larger = new Uint8Array(2 * CHUNK_BYTES);
  release(larger.subarray(0, CHUNK_BYTES));
  expect(larger.length).toBe(2 * CHUNK_BYTES);
});

test("memory of forgotten blocks is used again, but never while somebody looks at it", async () => {
  const bytes = noise(BLOCKS * BLOCK_BYTES);
  const content = await shared(bytes);
  const blocks = blocksOf();
  const chunkOf = async (block: number): Promise<Uint8Array> => {
    const chunk = await blocks.chunk(content, block * BLOCK_CHUNKS);
    return chunk ?? new Uint8Array(0);
  };
  const isRead = (block: number, chunk: Uint8Array): boolean =>
    Buffer.compare(
      bytes.subarray(block * BLOCK_BYTES, block * BLOCK_BYTES + CHUNK_BYTES),
      chunk,
    ) === 0;
  const lookedAt = await chunkOf(0);
  const memories = new Set<ArrayBufferLike>();
  for (let block = 1; block < BLOCKS; block++) {
    const chunk = await chunkOf(block);
    expect(isRead(block, chunk)).toBe(true);
    memories.add(chunk.buffer);
    giveBack(chunk);
  }
  expect(memories.size).toBe(KEPT_BLOCKS);
  expect(memories.has(lookedAt.buffer)).toBe(false);
  expect(isRead(0, lookedAt)).toBe(true);
});

import { createHash } from "node:crypto";

import * as fc from "fast-check";
import { expect, test } from "vitest";

import {
  CHUNK_BYTES,
  childCount,
  chunkSize,
  contentHash,
  FANOUT,
  HASH_BYTES,
  hashChunk,
  hashNode,
  topLevel,
  TreeBuilder,
  treeShape,
} from "../src/tree.ts";
import { noise } from "./node.ts";

/** SHA-256 by the platform, of parts put together here. */
function sha256(...parts: (Uint8Array | readonly number[])[]): Buffer {
  return createHash("sha256")
    .update(Buffer.concat(parts.map((part) => Uint8Array.from(part))))
    .digest();
}

/** The tree as its definition says it, level by level. */
function topOf(hashes: readonly Uint8Array[]): Uint8Array {
  let level = [...hashes];
  do {
    const next: Uint8Array[] = [];
    for (let at = 0; at < Math.max(1, level.length); at += FANOUT) {
      next.push(sha256([1], ...level.slice(at, at + FANOUT)));
    }
    level = next;
  } while (level.length > 1);
  return level[0]!;
}

test("chunks, nodes and the content hash are SHA-256 under three different prefixes", () => {
  const bytes = noise(100);
  expect(Buffer.from(hashChunk(bytes))).toEqual(sha256([0], bytes));
  expect(Buffer.from(hashNode(bytes))).toEqual(sha256([1], bytes));
  const top = noise(32, 2);
  expect(Buffer.from(contentHash(0x01_0203, top))).toEqual(
    sha256([2], [0, 0, 0, 0, 0, 1, 2, 3], top),
  );
});

test.each([
  { size: 0, chunks: 0, counts: [0, 1] },
  { size: 1, chunks: 1, counts: [1, 1] },
  { size: CHUNK_BYTES, chunks: 1, counts: [1, 1] },
  { size: CHUNK_BYTES + 1, chunks: 2, counts: [2, 1] },
  { size: CHUNK_BYTES * FANOUT, chunks: FANOUT, counts: [FANOUT, 1] },
  { size: CHUNK_BYTES * FANOUT + 1, chunks: FANOUT + 1, counts: [FANOUT + 1, 2, 1] },
  { size: 2 * 1024 ** 4, chunks: 8_388_608, counts: [8_388_608, 4_096, 2, 1] },
])("a file of $size bytes has $chunks chunks", ({ size, chunks, counts }) => {
  expect(treeShape(size)).toEqual({ size, chunks, counts });
});

test.each([-1, 0.5, 2 ** 53, Number.NaN, Infinity])("no file has %s bytes", (size) => {
  expect(() => treeShape(size)).toThrow(RangeError);
});

test("every chunk and every node belongs to one node above, and none is left over", () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 42 }), (size) => {
      const shape = treeShape(size);
      for (let level = 1; level <= topLevel(shape); level++) {
        const nodes = shape.counts[level]!;
        const last = childCount(shape, level, nodes - 1)!;
        expect((nodes - 1) * FANOUT + last).toBe(shape.counts[level - 1]);
        expect(childCount(shape, level, nodes)).toBeUndefined();
      }
      expect(childCount(shape, topLevel(shape) + 1, 0)).toBeUndefined();
      if (shape.chunks > 0) {
        const last = chunkSize(shape, shape.chunks - 1);
        expect(last).toBeGreaterThan(0);
        expect((shape.chunks - 1) * CHUNK_BYTES + last).toBe(size);
      }
    }),
  );
});

test("a stream of chunks gives the tree of the definition, page by page", async () => {
  const pages: number[] = [];
  const kept: Uint8Array[] = [];
  const builder = new TreeBuilder((page) => {
    pages.push(page.length);
    kept.push(page);
  });
  const hashes: Uint8Array[] = [];
  const count = 2 * FANOUT + 3;
  for (let i = 0; i < count; i++) {
    const chunk = Uint8Array.of(i & 0xff, i >> 8);
    hashes.push(sha256([0], chunk));
    await builder.add(chunk);
  }
  const tree = await builder.finish();
  expect(Buffer.from(tree.top)).toEqual(topOf(hashes));
  expect(Buffer.concat(kept)).toEqual(Buffer.concat(hashes));
  expect(pages).toEqual([FANOUT, FANOUT, 3].map((length) => length * HASH_BYTES));
});

test("the empty file has a tree of one node over nothing", async () => {
  const tree = await new TreeBuilder().finish();
  expect(Buffer.from(tree.top)).toEqual(sha256([1]));
  expect(Buffer.from(tree.hash)).toEqual(sha256([2], new Uint8Array(8), sha256([1])));
});

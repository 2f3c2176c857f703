import { constants } from "node:fs";
import { mkdtemp, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import type * as FileSystem from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as fc from "fast-check";
import { expect, test, vi } from "vitest";

import { DirectFile } from "../src/direct-file.ts";
import { noise, onEnd } from "./node.ts";

const BLOCK = 4096;
const MIB = 1024 * 1024;

/** A file of zeros in a folder of its own. */
async function fileOf(size: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "file-share-direct-"));
  onEnd(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "file");
  await writeFile(path, new Uint8Array(size));
  return path;
}

/** The usual way to the file, which is closed after the test. */
async function opened(path: string): Promise<FileSystem.FileHandle> {
  const handle = await open(path, "r+");
  onEnd(() => handle.close());
  return handle;
}

async function openDirect(path: string): Promise<DirectFile | undefined> {
  const direct = await DirectFile.open(path, await opened(path));
  onEnd(async () => direct?.close());
  return direct;
}

/** Whether the system that runs the tests writes directly where they keep their files. */
async function canWrite(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "file-share-direct-"));
  const handle = await open(join(folder, "file"), "w");
  const direct = await DirectFile.open(join(folder, "file"), handle);
  const written = (await direct?.write([noise(BLOCK)], 0)) ?? 0;
  await Promise.all([direct?.close(), handle.close()]);
  await rm(folder, { recursive: true });
  return written > 0;
}

const writes = await canWrite();

test.skipIf(!writes)("pieces of any length stand in the file as they were given", async () => {
  const path = await fileOf(4 * MIB);
  const direct = await openDirect(path);
  if (direct === undefined) throw new Error("it cannot be opened");
  const lengths = fc.array(fc.integer({ min: 0, max: 700_000 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(lengths, fc.nat({ max: 100 }), async (sizes, block) => {
      const pieces = sizes.map((size) => noise(size));
      const whole = Buffer.concat(pieces);
      const written = await direct.write(pieces, block * BLOCK);
      expect(written).toBe(whole.length - (whole.length % BLOCK));
      const there = await readFile(path);
      const part = there.subarray(block * BLOCK, block * BLOCK + written);
      expect(Buffer.compare(part, whole.subarray(0, written))).toBe(0);
    }),
    { numRuns: 30 },
  );
  expect((await stat(path)).size).toBe(4 * MIB);
});

test("nothing is written to a place between blocks, nor less than a block", async () => {
  const path = await fileOf(MIB);
  const direct = await openDirect(path);
  if (direct === undefined) return;
  expect(await direct.write([noise(BLOCK)], 512)).toBe(0);
  expect(await direct.write([noise(BLOCK - 1)], 0)).toBe(0);
  expect(Buffer.compare(await readFile(path), new Uint8Array(MIB))).toBe(0);
});

test("a file that is gone, or another in its place, or a system without it, is left to the usual way", async () => {
  const path = await fileOf(BLOCK);
  const handle = await opened(path);
  await rename(path, `${path}-moved`);
  expect(await DirectFile.open(path, handle)).toBeUndefined();
  await writeFile(path, noise(BLOCK));
  expect(await DirectFile.open(path, handle)).toBeUndefined();
  vi.resetModules();
  vi.doMock("node:fs/promises", async (original) => {
    const module = await original<typeof FileSystem>();
    return { ...module, constants: { ...constants, O_DIRECT: undefined } };
  });
  onEnd(async () => vi.doUnmock("node:fs/promises"));
  const { DirectFile: Without } = await import("../src/direct-file.ts");
  const there = await fileOf(BLOCK);
  expect(await Without.open(there, await opened(there))).toBeUndefined();
});

test("a file system that refuses the write is not asked again, and a full one is told", async () => {
  const path = await fileOf(MIB);
  vi.resetModules();
  let errno = "EINVAL";
  let asked = 0;
  vi.doMock("node:fs/promises", async (original) => {
    const module = await original<typeof FileSystem>();
    return {
      ...module,
      constants: { ...constants, O_DIRECT: 0 },
      open: async (...given: Parameters<typeof open>) => {
        const handle = await module.open(...given);
        handle.write = () => {
          asked += 1;
          return Promise.reject(Object.assign(new Error(errno), { code: errno }));
        };
        return handle;
      },
    };
  });
  onEnd(async () => vi.doUnmock("node:fs/promises"));
  const { DirectFile: Refused } = await import("../src/direct-file.ts");
  const direct = await Refused.open(path, await opened(path));
  onEnd(async () => direct?.close());
  errno = "ENOSPC";
  await expect(direct?.write([noise(BLOCK)], 0)).rejects.toThrow("ENOSPC");
  errno = "EINVAL";
  expect(await direct?.write([noise(BLOCK)], 0)).toBe(0);
  expect(await direct?.write([noise(BLOCK)], 0)).toBe(0);
  expect(asked).toBe(2);
});

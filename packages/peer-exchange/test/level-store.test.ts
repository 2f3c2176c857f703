import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";

import { openStore } from "../src/index.ts";
import type { PexStore } from "../src/index.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-pex-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Writes 200 values, each batch a few, in two sessions, so that there is a table and a log. */
async function fill(path: string): Promise<void> {
  for (const half of [0, 1]) {
    const store = await openStore(path);
    for (let batch = 0; batch < 10; batch += 1) {
      const names = Array.from({ length: 10 }, (_, at) => `k${half * 100 + batch * 10 + at}`);
      await store.write(new Map(names.map((name) => [name, bytesOf(`value of ${name}`)])));
    }
    await store.close();
  }
}

/** Opens, checks that nothing is in it that was never written, that it can be written, and closes. */
async function reopen(path: string): Promise<number> {
  const store = await openStore(path);
  const { initial } = store;
  for (const [name, value] of initial) expect(value).toEqual(bytesOf(`value of ${name}`));
  await store.write(new Map([["k7", bytesOf("value of k7")]]));
  await store.close();
  const again = await openStore(path);
  expect(again.initial.get("k7")).toEqual(bytesOf("value of k7"));
  await again.close();
  return initial.size;
}

test("what was written is there again; what was deleted is not", async () => {
  const path = join(folder, "deep", "er", "store");
  const store = await openStore(path);
  expect(store.initial.size).toBe(0);
  await store.write(
    new Map([
      ["a", Uint8Array.of(1)],
      ["b", Uint8Array.of()],
    ]),
  );
  await store.write(
    new Map([
      ["a", undefined],
      ["c", Uint8Array.of(3)],
    ]),
  );
  await store.close();
  const again = await openStore(path);
  expect([...again.initial]).toEqual([
    ["b", Uint8Array.of()],
    ["c", Uint8Array.of(3)],
  ]);
  await again.close();
});

test.skipIf(process.platform === "win32")("a store is its owner's alone", async () => {
  const path = join(folder, "new", "store");
  await (await openStore(path)).close();
  expect((await stat(path)).mode & 0o777).toBe(0o700);
});

test("a store that is open already is refused as locked", async () => {
  const path = join(folder, "store");
  const store: PexStore = await openStore(path);
  await expect(openStore(path)).rejects.toMatchObject({
    name: "StoreError",
    code: "ERR_PEX_STORE_LOCKED",
  });
  await store.close();
});

test("a path that cannot be a folder is refused with the reason", async () => {
  const path = join(folder, "file");
  await writeFile(path, "not a folder");
  await expect(openStore(join(path, "deep", "store"))).rejects.toMatchObject({
    name: "StoreError",
    code: "ERR_PEX_STORE_IO",
    cause: { code: "ENOTDIR" },
  });
});

test("a store whose last write was torn, wherever, opens with what was written before", async () => {
  const whole = join(folder, "whole");
  await fill(whole);
  const log = (await readdir(whole)).find((name) => name.endsWith(".log")) ?? "";
  const { length } = await readFile(join(whole, log));
  expect(length).toBeGreaterThan(1_000);
  for (const share of [0, 0.01, 0.25, 0.5, 0.75, 0.99]) {
    const torn = join(folder, `torn-${share}`);
    await cp(whole, torn, { recursive: true });
    await truncate(join(torn, log), Math.floor(length * share));
    // The first session's hundred values are in a table by then.
    expect(await reopen(torn)).toBeGreaterThanOrEqual(100 + Math.floor(9 * share) * 10);
  }
});

test.each(["CURRENT", "MANIFEST", ".ldb", ".log"])(
  "a store whose %s is gone, empty or garbage opens",
  async (kind) => {
    const whole = join(folder, "whole");
    await fill(whole);
    const name = (await readdir(whole)).find((file) => file.includes(kind)) ?? "";
    for (const [label, damage] of Object.entries({
      gone: (file: string) => rm(file),
      empty: (file: string) => truncate(file, 0),
      garbage: (file: string) => writeFile(file, new Uint8Array(100).fill(0xa5)),
    })) {
      const copy = join(folder, label);
      await cp(whole, copy, { recursive: true });
      await damage(join(copy, name));
      await reopen(copy);
    }
  },
);

test("a folder beyond repair is moved aside, and an empty store takes its place", async () => {
  const path = join(folder, "store");
  for (const number of [1, 2]) {
    await fill(path);
    // What stands in the way of a file cannot be repaired.
    await rm(join(path, "CURRENT"));
    await mkdir(join(path, "CURRENT"));
    expect(await reopen(path)).toBe(0);
    const aside = await readdir(`${path}.damaged-${number}`);
    expect(aside.some((file) => file.endsWith(".ldb"))).toBe(true);
  }
});

test("a store with any bytes of any file changed opens, and holds nothing that was never written", async () => {
  const whole = join(folder, "whole");
  await fill(whole);
  const files = (await readdir(whole)).filter((name) => !/^(?:LOCK|LOG|LOG\.old)$/.test(name));
  let copies = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...files),
      fc.array(
        fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 255 })),
        {
          minLength: 1,
          maxLength: 8,
        },
      ),
      async (name, changes) => {
        copies += 1;
        const copy = join(folder, `copy-${copies}`);
        await cp(whole, copy, { recursive: true });
        const bytes = await readFile(join(copy, name));
        for (const [place, mask] of changes) {
          const at = Math.min(bytes.length - 1, Math.floor(place * bytes.length));
          bytes[at] = (bytes[at] ?? 0) ^ mask;
        }
        await writeFile(join(copy, name), bytes);
        await reopen(copy);
        await rm(copy, { recursive: true });
      },
    ),
    { numRuns: 25 },
  );
});

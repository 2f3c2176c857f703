import { renameSync } from "node:fs";
import { chmod, mkdir, open, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { implement } from "@heddle/protocol";
import { VirtualClock } from "@heddle/testing";
import { describe, expect, test, vi } from "vitest";

import { CHUNK_BYTES, Files1, FileShareError, formatHash } from "../src/index.ts";
import type { FetchOptions, FetchResult, FileShareOptions, Liar, Progress } from "../src/index.ts";
import { connect, Nodes, noise, onEnd, temporaryFolder } from "./node.ts";
import type { Node } from "./node.ts";
import { honest, rawHolder, wholeOf } from "./raw-holder.ts";
import type { Whole } from "./raw-holder.ts";

/** A typed holder whose chunks a test decides about. */
function holderOf(
  whole: Whole,
  chunk: (index: number, signal: AbortSignal) => Uint8Array | Promise<Uint8Array> = (index) =>
    bytesOf(whole, index),
) {
  const answers = honest(whole);
  return implement([Files1], {
    concurrency: 64,
    on: {
      describe: () => ({ size: whole.tree.shape.size, top: whole.tree.top }),
      hashes: (_c, { level, index }) => answers.hashes(level, index) as Uint8Array,
      chunk: (c, { index }) => chunk(index, c.signal),
    },
  });
}

const bytesOf = (whole: Whole, index: number): Uint8Array =>
  honest(whole).chunk(index) as Uint8Array;

/** An answer that does not come as long as the connection lives. */
function never(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = (): void => reject(signal.reason as Error);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

/** Chunks that a holder was asked for, in order. */
function counted(whole: Whole) {
  const asked: number[] = [];
  const protocols = holderOf(whole, (index) => {
    asked.push(index);
    return bytesOf(whole, index);
  });
  return { asked, protocols };
}

async function fetchAll(
  reader: Node,
  whole: Whole,
  to: string,
  options: Omit<FetchOptions, "to">,
): Promise<FetchResult> {
  const result = await reader.share.fetch(whole.tree.hash, { to, ...options });
  expect(Buffer.compare(await readFile(result.path), whole.content)).toBe(0);
  return result;
}

/** Lets virtual time pass, a little for each turn of the real loop, until a promise is settled. */
async function drive<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  const state = { isSettled: false };
  const settled = (): void => void (state.isSettled = true);
  promise.then(settled, settled);
  while (!state.isSettled) {
    await clock.advance(5);
    // The disk is real, and needs real time: virtual time must not run away from it.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return promise;
}

function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

const visible = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => !name.startsWith("."));

describe("several holders", () => {
  test("share the work, and every chunk is asked for once", async () => {
    const whole = await wholeOf(noise(60 * CHUNK_BYTES));
    const nodes = new Nodes();
    const reader = await nodes.add();
    const counts = [counted(whole), counted(whole), counted(whole)];
    const holders = await Promise.all(counts.map(({ protocols }) => nodes.addOther(protocols)));
    const from = holders.map(({ record }) => record);
    const { sources } = await fetchAll(reader, whole, await temporaryFolder(), { from });
    const asked = counts.flatMap((count) => count.asked);
    expect(asked.sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => i));
    for (const { asked: some } of counts) expect(some.length).toBeGreaterThan(0);
    expect(sources).toHaveLength(3);
    expect(sources.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(60 * CHUNK_BYTES);
  });

  test("one of three corrupts chunks: the file is complete, and the liar is dropped and named", async () => {
    const whole = await wholeOf(noise(60 * CHUNK_BYTES));
    const nodes = new Nodes();
    const liars: Liar[] = [];
    const reader = await nodes.add({ events: { liar: (liar) => liars.push(liar) } });
    const good = await Promise.all([1, 2].map(() => nodes.addOther(holderOf(whole))));
    let sent = 0;
    const bad = await nodes.addOther(
      holderOf(whole, (index) => {
        sent += 1;
        const chunk = bytesOf(whole, index).slice();
        // The first two are good: it is found out at the first that is not.
        if (sent > 2) chunk[chunk.length - 1] = (chunk.at(-1) ?? 0) ^ 0x80;
        return chunk;
      }),
    );
    const dropped = new Promise<unknown>((resolve) => bad.server.on("peer:drop", resolve));
    const from = [bad, ...good].map(({ record }) => record);
    const { sources } = await fetchAll(reader, whole, await temporaryFolder(), { from });
    expect(liars).toMatchObject([
      { id: bad.id, hash: whole.tree.hash, fault: { code: "ERR_FILES_BAD_CHUNK", isLie: true } },
    ]);
    expect(await dropped).toMatchObject({ error: { reason: 0x10, by: "remote" } });
    const share = sources.find(({ id }) => id === bad.id);
    expect(share).toMatchObject({ fault: { code: "ERR_FILES_BAD_CHUNK" } });
    expect(share!.bytes).toBeLessThanOrEqual(2 * CHUNK_BYTES);

    // Known as a liar, it is not asked again, not even for another file.
    const other = await wholeOf(noise(10, 3));
    const alone = reader.share.fetch(other.tree.hash, {
      to: await temporaryFolder(),
      from: [bad.record],
    });
    await expect(alone).rejects.toMatchObject({ code: "ERR_FILES_NO_HOLDERS" });
  });

  test("one ends in the middle: the others go on with what it owed", async () => {
    const whole = await wholeOf(noise(60 * CHUNK_BYTES));
    const nodes = new Nodes();
    const reader = await nodes.add();
    const steady = await nodes.addOther(holderOf(whole));
    let served = 0;
    const leaving = await nodes.addOther(
      holderOf(whole, (index, signal) => {
        served += 1;
        if (served === 5) void leaving.server.stop();
        return served > 4 ? never(signal) : bytesOf(whole, index);
      }),
    );
    const from = [leaving.record, steady.record];
    const { sources } = await fetchAll(reader, whole, await temporaryFolder(), { from });
    expect(sources.find(({ id }) => id === leaving.id)?.fault).toMatchObject({
      code: "ERR_FILES_GONE",
      isLie: false,
    });
    expect(sources.find(({ id }) => id === steady.id)?.fault).toBeUndefined();
  });

  test("one never answers: what it owes is asked of another at the end", async () => {
    const clock = new VirtualClock();
    const whole = await wholeOf(noise(20 * CHUNK_BYTES));
    const nodes = new Nodes();
    const reader = await nodes.add({ clock });
    const { asked, protocols } = counted(whole);
    const steady = await nodes.addOther(protocols);
    let hung = 0;
    const silent = await nodes.addOther(
      holderOf(whole, (_index, signal) => {
        hung += 1;
        return never(signal);
      }),
    );
    const to = await temporaryFolder();
    const from = [silent.record, steady.record];
    const fetching = fetchAll(reader, whole, to, { from });
    await vi.waitFor(() => expect(asked.length + hung).toBeGreaterThanOrEqual(20));
    expect(hung).toBeGreaterThan(0);
    const { sources } = await drive(clock, fetching);
    expect(sources.find(({ id }) => id === steady.id)?.bytes).toBe(20 * CHUNK_BYTES);
  });

  test("one that comes later is found and used while the transfer goes on", async () => {
    const whole = await wholeOf(noise(40 * CHUNK_BYTES));
    const nodes = new Nodes();
    const reader = await nodes.add({ limits: { refreshMs: 10 } });
    let late: Awaited<ReturnType<Nodes["addOther"]>> | undefined;
    const { asked, protocols } = counted(whole);
    const slow = await nodes.addOther(
      // Serves nothing until the other has served something.
      holderOf(whole, async (index) => {
        await vi.waitFor(() => expect(asked.length).toBeGreaterThan(0), { timeout: 30_000 });
        return bytesOf(whole, index);
      }),
    );
    const records = [slow.record];
    const fetching = fetchAll(reader, whole, await temporaryFolder(), {
      from: records,
    });
    late = await nodes.addOther(protocols);
    records.push(late.record);
    const { sources } = await fetching;
    expect(sources.map(({ id }) => id).sort()).toEqual([slow.id, late.id].sort());
  });

  test("that are connected are used without dialing", async () => {
    const whole = await wholeOf(noise(100));
    const nodes = new Nodes();
    const reader = await nodes.add({ dial: () => Promise.reject(new Error("must not be called")) });
    const holder = await nodes.addOther(holderOf(whole));
    await connect(holder, reader);
    await fetchAll(reader, whole, await temporaryFolder(), { from: [holder.record] });
  });
});

describe("an interrupted transfer", () => {
  /** Fetches until about `count` chunks are on disk, and stops. */
  async function fetchSome(
    reader: Node,
    whole: Whole,
    to: string,
    from: FetchOptions["from"],
    count: number,
  ): Promise<void> {
    const controller = new AbortController();
    const onProgress = ({ doneBytes }: Progress): void => {
      if (doneBytes >= count * CHUNK_BYTES) controller.abort(new Error("interrupted"));
    };
    const fetching = reader.share.fetch(whole.tree.hash, {
      to,
      from: from!,
      signal: controller.signal,
      onProgress,
    });
    await expect(fetching).rejects.toThrow("interrupted");
  }

  test("goes on where it was: what was verified is not fetched again", async () => {
    const whole = await wholeOf(noise(60 * CHUNK_BYTES + 5));
    const nodes = new Nodes();
    const [reader, again] = [await nodes.add(), await nodes.add()];
    const { asked, protocols } = counted(whole);
    const holder = await nodes.addOther(protocols);
    const to = await temporaryFolder();
    const from = [holder.record];
    await fetchSome(reader, whole, to, from, 24);
    expect(await visible(to)).toEqual([]);
    const before = asked.length;
    expect(before).toBeLessThan(60);
    const { resumedBytes } = await fetchAll(again, whole, to, { from });
    expect(resumedBytes).toBeGreaterThanOrEqual(24 * CHUNK_BYTES);
    expect(asked.length - before).toBe(
      Math.ceil((whole.content.length - resumedBytes) / CHUNK_BYTES),
    );
    expect(await readdir(to)).toEqual([formatHash(whole.tree.hash)]);
  });

  test("does not believe what it finds on disk: a changed chunk is fetched again", async () => {
    const whole = await wholeOf(noise(30 * CHUNK_BYTES));
    const nodes = new Nodes();
    const [reader, again] = [await nodes.add(), await nodes.add()];
    const { asked, protocols } = counted(whole);
    const holder = await nodes.addOther(protocols);
    const to = await temporaryFolder();
    await fetchSome(reader, whole, to, [holder.record], 16);
    const part = join(to, `.${formatHash(whole.tree.hash)}.part`);
    const handle = await open(part, "r+");
    await handle.write(Uint8Array.of(1, 2, 3), 0, 3, 3 * CHUNK_BYTES + 9);
    await handle.close();
    asked.length = 0;
    await fetchAll(again, whole, to, { from: [holder.record] });
    expect(asked).toContain(3);
    expect(asked).not.toContain(2);
  });

  test.each([
    { what: "the list of chunks is gone", spoil: (base: string) => writeFile(`${base}.have`, "") },
    {
      what: "the part file has another size",
      spoil: (base: string) => writeFile(`${base}.part`, "x"),
    },
    {
      what: "every chunk is listed, but none is there",
      spoil: async (base: string) => {
        await writeFile(`${base}.part`, new Uint8Array(30 * CHUNK_BYTES));
        await writeFile(`${base}.have`, new Uint8Array(4).fill(0xff));
      },
    },
  ])("begins anew when $what", async ({ spoil }) => {
    const whole = await wholeOf(noise(30 * CHUNK_BYTES));
    const nodes = new Nodes();
    const [reader, again] = [await nodes.add(), await nodes.add()];
    const holder = await nodes.addOther(holderOf(whole));
    const to = await temporaryFolder();
    await fetchSome(reader, whole, to, [holder.record], 10);
    await spoil(join(to, `.${formatHash(whole.tree.hash)}`));
    const { resumedBytes } = await fetchAll(again, whole, to, { from: [holder.record] });
    expect(resumedBytes).toBe(0);
  });

  test("is waited for as long as patience lasts, then fails and can be resumed", async () => {
    const clock = new VirtualClock();
    const whole = await wholeOf(noise(20 * CHUNK_BYTES));
    const nodes = new Nodes();
    const reader = await nodes.add({ clock, limits: { patienceMs: 5_000 } });
    const holder = await nodes.addOther(
      holderOf(whole, (index, signal) => (index < 8 ? bytesOf(whole, index) : never(signal))),
    );
    const to = await temporaryFolder();
    const seen: number[] = [];
    const onProgress = ({ doneBytes }: Progress): void => void seen.push(doneBytes);
    const failing = rejectionOf(
      reader.share.fetch(whole.tree.hash, { to, from: [holder.record], onProgress }),
    );
    await vi.waitFor(async () => {
      await clock.advance(20);
      expect(seen.at(-1)).toBe(8 * CHUNK_BYTES);
    });
    expect(await drive(clock, failing)).toMatchObject({ code: "ERR_FILES_STALLED" });
    expect(await visible(to)).toEqual([]);
  });
});

describe("the target", () => {
  async function one(options: Partial<FileShareOptions> = {}) {
    const whole = await wholeOf(noise(9 * CHUNK_BYTES));
    const nodes = new Nodes();
    const reader = await nodes.add(options);
    const holder = await nodes.addOther(holderOf(whole));
    const to = await temporaryFolder();
    return { whole, reader, to, from: [holder.record] };
  }

  test("that exists is not touched, unless it is forced", async () => {
    const { whole, reader, to, from } = await one();
    await writeFile(join(to, "a.txt"), "mine");
    const hash = whole.tree.hash;
    await expect(reader.share.fetch(hash, { to, name: "a.txt", from })).rejects.toMatchObject({
      code: "ERR_FILES_EXISTS",
    });
    expect(await readFile(join(to, "a.txt"), "utf8")).toBe("mine");
    await fetchAll(reader, whole, to, { name: "a.txt", from, force: true });
    expect(await visible(to)).toEqual(["a.txt"]);
  });

  test("that comes into being during the transfer is not touched either, and nothing is lost", async () => {
    const { whole, reader, to, from } = await one();
    const onProgress = (): void => void writeFile(join(to, "a.txt"), "mine");
    await writeFile(join(to, "b"), "");
    const error = await rejectionOf(
      reader.share.fetch(whole.tree.hash, { to, name: "a.txt", from, onProgress }),
    );
    expect(error).toMatchObject({ code: "ERR_FILES_EXISTS" });
    expect(await readFile(join(to, "a.txt"), "utf8")).toBe("mine");
    const { resumedBytes } = await fetchAll(reader, whole, to, { name: "c.txt", from });
    expect(resumedBytes).toBe(9 * CHUNK_BYTES);
  });

  test.each(["force", "no force"])(
    "that is a link, even to nowhere, is not followed (%s)",
    async (how) => {
      const { whole, reader, to, from } = await one();
      const outside = join(await temporaryFolder(), "outside");
      await symlink(outside, join(to, "a.txt"));
      const fetching = reader.share.fetch(whole.tree.hash, {
        to,
        name: "a.txt",
        from,
        force: how === "force",
      });
      if (how === "force") await fetching;
      else await expect(fetching).rejects.toMatchObject({ code: "ERR_FILES_EXISTS" });
      await expect(stat(outside)).rejects.toMatchObject({ code: "ENOENT" });
    },
  );

  test("a link in the part file's place is not followed", async () => {
    const { whole, reader, to, from } = await one();
    const outside = join(await temporaryFolder(), "outside");
    await writeFile(outside, "mine");
    await symlink(outside, join(to, `.${formatHash(whole.tree.hash)}.part`));
    await expect(reader.share.fetch(whole.tree.hash, { to, from })).rejects.toMatchObject({
      code: "ERR_FILES_NO_ACCESS",
    });
    expect(await readFile(outside, "utf8")).toBe("mine");
  });

  test.each(["a/b", "..", "", "a\0b", "n".repeat(256)])(
    "must have a name of one component, not %j",
    async (name) => {
      const { whole, reader, to, from } = await one();
      await expect(reader.share.fetch(whole.tree.hash, { to, name, from })).rejects.toThrow(
        TypeError,
      );
      expect(await readdir(to)).toEqual([]);
    },
  );

  test("in a folder that does not exist, or may not be written to, fails clearly", async () => {
    const { whole, reader, to, from } = await one();
    const hash = whole.tree.hash;
    await expect(reader.share.fetch(hash, { to: join(to, "none"), from })).rejects.toMatchObject({
      code: "ERR_FILES_NO_FOLDER",
    });
    const locked = join(to, "locked");
    await mkdir(locked);
    await chmod(locked, 0o500);
    // Whoever may do everything may write there, too.
    if (process.getuid?.() === 0) return;
    await expect(reader.share.fetch(hash, { to: locked, from })).rejects.toMatchObject({
      code: "ERR_FILES_NO_ACCESS",
    });
  });

  test.each([
    { errno: "ENOSPC", code: "ERR_FILES_NO_SPACE" },
    { errno: "EDQUOT", code: "ERR_FILES_NO_SPACE" },
    { errno: "EIO", code: "ERR_FILES_IO" },
    { errno: "EACCES", code: "ERR_FILES_NO_ACCESS" },
  ])(
    "on a disk that says $errno in the middle fails with $code, under no name, to be resumed",
    async ({ errno, code }) => {
      const { whole, reader, to, from } = await one();
      const handle = await open(join(to, "any"), "w");
      await handle.close();
      const failure = Object.assign(new Error(errno), { code: errno });
      const prototype = Object.getPrototypeOf(handle) as typeof handle;
      const spy = vi.spyOn(prototype, "writev").mockRejectedValue(failure);
      onEnd(() => Promise.resolve(spy.mockRestore()));
      const error = await rejectionOf(reader.share.fetch(whole.tree.hash, { to, name: "a", from }));
      expect(error).toBeInstanceOf(FileShareError);
      expect(error).toMatchObject({ code });
      expect((error as Error).message).toContain(errno);
      expect(await visible(to)).toEqual(["any"]);
      spy.mockRestore();
      await fetchAll(reader, whole, to, { name: "a", from });
    },
  );

  test("on a slow disk holds the holder back: what is not written yet is bounded", async () => {
    // Not so large that it is written past the page cache.
    const whole = await wholeOf(noise(120 * CHUNK_BYTES));
    const nodes = new Nodes();
    const reader = await nodes.add();
    const { asked, protocols } = counted(whole);
    const holder = await nodes.addOther(protocols);
    const to = await temporaryFolder();
    const handle = await open(join(to, "any"), "w");
    const prototype = Object.getPrototypeOf(handle) as typeof handle;
    await handle.close();
    let written = 0;
    let most = 0;
    const original = Reflect.get(prototype, "writev") as (...args: unknown[]) => Promise<unknown>;
    const spy = vi.spyOn(prototype, "writev").mockImplementation(async function (
      this: typeof handle,
      chunks,
      ...rest
    ) {
      // As slow as it takes for everything else to come to rest.
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
      most = Math.max(most, asked.length - written);
      written += chunks.length;
      return original.call(this, chunks, ...rest) as never;
    });
    onEnd(() => Promise.resolve(spy.mockRestore()));
    await fetchAll(reader, whole, to, { from: [holder.record] });
    expect(written).toBe(120);
    // 32 that wait for the disk, and a window of 16 that is asked for.
    expect(most).toBeGreaterThanOrEqual(32);
    expect(most).toBeLessThanOrEqual(48);
  });

  test("that is being fetched already is busy", async () => {
    const { whole, reader, to, from } = await one();
    const first = fetchAll(reader, whole, to, { from });
    const second = reader.share.fetch(whole.tree.hash, { to: join(to, "."), from });
    const outcomes = await Promise.allSettled([first, second]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(outcomes.find(({ status }) => status === "rejected")).toMatchObject({
      reason: { code: "ERR_FILES_BUSY" },
    });
  });

  test("whose part file another program takes away is given up", async () => {
    const { whole, reader, to, from } = await one();
    const part = join(to, `.${formatHash(whole.tree.hash)}.part`);
    const onProgress = ({ doneBytes, size }: Progress): void => {
      if (doneBytes === size) renameSync(part, join(to, "taken"));
    };
    const error = await rejectionOf(reader.share.fetch(whole.tree.hash, { to, from, onProgress }));
    expect(error).toMatchObject({ code: "ERR_FILES_BUSY" });
    expect(await visible(to)).toEqual(["taken"]);
  });

  test("when nobody has the file says so", async () => {
    const { reader, to } = await one();
    const nobody = reader.share.fetch(noise(32), { to, from: [] });
    await expect(nobody).rejects.toMatchObject({ code: "ERR_FILES_NO_HOLDERS" });
    await expect(reader.share.fetch(noise(31), { to })).rejects.toThrow(RangeError);
  });

  test("closing the share ends the transfer", async () => {
    const whole = await wholeOf(noise(20 * CHUNK_BYTES));
    const nodes = new Nodes();
    const reader = await nodes.add();
    let isAsked = false;
    const holder = await nodes.addOther(
      holderOf(whole, (_index, signal) => {
        isAsked = true;
        return never(signal);
      }),
    );
    const fetching = rejectionOf(
      reader.share.fetch(whole.tree.hash, { to: await temporaryFolder(), from: [holder.record] }),
    );
    await vi.waitFor(() => expect(isAsked).toBe(true));
    await reader.share.close();
    expect(await fetching).toMatchObject({ code: "ERR_FILES_CLOSED" });
  });
});

describe("bandwidth limits", () => {
  test("hold the reader to its rate", async () => {
    const clock = new VirtualClock();
    const whole = await wholeOf(noise(20 * CHUNK_BYTES));
    const nodes = new Nodes();
    const reader = await nodes.add({ clock, limits: { downloadRate: 8 * CHUNK_BYTES } });
    const holder = await nodes.addOther(holderOf(whole));
    const startedAt = clock.now();
    const to = await temporaryFolder();
    await drive(clock, fetchAll(reader, whole, to, { from: [holder.record] }));
    // Four chunks at once, and sixteen at eight a second.
    expect(clock.now() - startedAt).toBeGreaterThanOrEqual(2_000);
  });

  test("hold the holder to its rate, for all its readers together", async () => {
    const clock = new VirtualClock();
    const nodes = new Nodes();
    const holder = await nodes.add({ clock, limits: { uploadRate: 8 * CHUNK_BYTES } });
    const readers = [await nodes.add({ clock }), await nodes.add({ clock })];
    const folder = await temporaryFolder();
    const content = noise(10 * CHUNK_BYTES);
    await writeFile(join(folder, "a"), content);
    await holder.share.share(folder);
    const whole = await wholeOf(content);
    const startedAt = clock.now();
    const from = [holder.record];
    const both = Promise.all(
      readers.map(async (reader) => fetchAll(reader, whole, await temporaryFolder(), { from })),
    );
    await drive(clock, both);
    expect(clock.now() - startedAt).toBeGreaterThanOrEqual(2_000);
    expect(holder.share.sentBytes).toBe(2 * content.length);
  });
});

test("a raw peer that speaks the protocol by hand serves a file", async () => {
  const whole = await wholeOf(noise(3 * CHUNK_BYTES + 1));
  const nodes = new Nodes();
  const reader = await nodes.add();
  const holder = await nodes.addOther([rawHolder(honest(whole))]);
  await fetchAll(reader, whole, await temporaryFolder(), { from: [holder.record] });
});

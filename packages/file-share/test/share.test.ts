import { execFile } from "node:child_process";
import {
  link,
  mkdir,
  readFile,
  rename,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { expect, test, vi } from "vitest";

import {
  CHUNK_BYTES,
  createFileShare,
  FANOUT,
  FileShareError,
  formatHash,
  parseHash,
} from "../src/index.ts";
import type { FileShareOptions } from "../src/index.ts";
import { connect, Nodes, noise, temporaryFolder } from "./node.ts";
import type { Node } from "./node.ts";
import { wholeOf } from "./raw-holder.ts";

/** One sharing node and what it told. */
async function sharing(options: Partial<FileShareOptions> = {}) {
  const told: string[] = [];
  const skipped: { name: string; code: string }[] = [];
  const node = await new Nodes().add({
    events: {
      added: ({ name }) => told.push(`+${name}`),
      removed: ({ name }) => told.push(`-${name}`),
      skipped: (path, { code }) => skipped.push({ name: path.split("/").at(-1)!, code }),
    },
    ...options,
  });
  const folder = await temporaryFolder();
  return { node, told, skipped, folder };
}

const namesOf = ({ share }: Pick<Node, "share">): string[] =>
  share.shared.map(({ name }) => name).sort();

const patient = { timeout: 30_000 };

test("a folder is shared with its folders, but without links, hidden files and what is no file", async () => {
  const { node, folder, skipped } = await sharing();
  const outside = await temporaryFolder();
  await writeFile(join(outside, "secret.txt"), "secret");
  await mkdir(join(folder, "deep", "er"), { recursive: true });
  await mkdir(join(folder, ".git"));
  for (const name of ["a.txt", "deep/b.txt", "deep/er/c.txt", ".hidden", ".git/config"]) {
    await writeFile(join(folder, name), name);
  }
  await symlink(join(outside, "secret.txt"), join(folder, "link.txt"));
  await symlink(outside, join(folder, "linked"));
  await promisify(execFile)("mkfifo", [join(folder, "pipe")]);
  await node.share.share(folder);
  expect(namesOf(node)).toEqual(["a.txt", "b.txt", "c.txt"]);
  expect(skipped.filter(({ name }) => name === "link.txt")).toEqual([
    { name: "link.txt", code: "ERR_FILES_NO_ACCESS" },
  ]);
});

test("a single file is shared, hidden or not, and a path given as a link is the place it leads to", async () => {
  const { node, folder } = await sharing();
  await writeFile(join(folder, ".one"), "one");
  await symlink(join(folder, ".one"), join(folder, "two"));
  expect(await node.share.share(join(folder, "two"))).toBe(join(folder, ".one"));
  expect(namesOf(node)).toEqual([".one"]);
});

test.each([
  { what: "that does not exist", path: "none", code: "ERR_FILES_NO_FOLDER" },
  { what: "that is no file or folder", path: "/dev/null", code: "ERR_FILES_NOT_SHARED" },
])("a path $what is refused", async ({ path, code }) => {
  const { node, folder } = await sharing();
  const sharePath = path.startsWith("/") ? path : join(folder, path);
  await expect(node.share.share(sharePath)).rejects.toMatchObject({ code });
});

test("files that come, change, move and go are followed", async () => {
  const { node, folder, told } = await sharing();
  await writeFile(join(folder, "a.txt"), "one");
  await node.share.share(folder);
  await writeFile(join(folder, "b.txt"), "two");
  await vi.waitFor(() => expect(namesOf(node)).toEqual(["a.txt", "b.txt"]), patient);
  const hash = (name: string): string | undefined => {
    const file = node.share.shared.find((shared) => shared.name === name);
    return file && formatHash(file.hash);
  };
  const before = hash("a.txt");
  await writeFile(join(folder, "a.txt"), "other");
  await vi.waitFor(() => expect([undefined, before]).not.toContain(hash("a.txt")), patient);
  await rename(join(folder, "b.txt"), join(folder, "c.txt"));
  await vi.waitFor(() => expect(namesOf(node)).toEqual(["a.txt", "c.txt"]), patient);
  await unlink(join(folder, "a.txt"));
  await vi.waitFor(() => expect(namesOf(node)).toEqual(["c.txt"]), patient);
  expect(told).toContain("-a.txt");
});

test("bounds of the library are kept, and what is left out is told", async () => {
  const { node, folder, skipped } = await sharing({ limits: { maxFiles: 2, maxFileBytes: 10 } });
  for (const name of ["a", "b", "c"]) await writeFile(join(folder, name), name);
  await writeFile(join(folder, "big"), noise(11));
  await node.share.share(folder);
  expect(node.share.shared).toHaveLength(2);
  expect(skipped).toHaveLength(2);
  expect(skipped).toContainEqual({ name: "big", code: "ERR_FILES_TOO_BIG" });
  expect(skipped.map(({ code }) => code)).toContain("ERR_FILES_TOO_MANY");
});

test("a closed share takes nothing any more", async () => {
  const { node, folder } = await sharing();
  await node.share.close();
  await expect(node.share.share(folder)).rejects.toMatchObject({ code: "ERR_FILES_CLOSED" });
  await expect(node.share.fetch(noise(32), { to: folder })).rejects.toMatchObject({
    code: "ERR_FILES_CLOSED",
  });
});

/** A holder of one file, a reader, and the connection between them. */
async function pair(content: Uint8Array) {
  const nodes = new Nodes();
  const skipped: string[] = [];
  const holder = await nodes.add({ events: { skipped: (_path, { code }) => skipped.push(code) } });
  const reader = await nodes.add({ limits: { refreshMs: 20, patienceMs: 100 } });
  const [folder, to] = [await temporaryFolder(), await temporaryFolder()];
  await writeFile(join(folder, "a"), content);
  await holder.share.share(folder);
  await connect(reader, holder);
  const { hash } = holder.share.shared[0]!;
  const fetchIt = (): Promise<unknown> =>
    reader.share
      .fetch(hash, { to, from: [holder.record], force: true })
      .catch((error: unknown) => error);
  return { holder, reader, folder, to, hash, fetchIt, skipped };
}

test("a file that changed since it was hashed is not served, and no honest holder looks like a liar", async () => {
  const { holder, folder, fetchIt } = await pair(noise(3 * CHUNK_BYTES));
  // The size stays; what tells the change is the time of it.
  await writeFile(join(folder, "a"), noise(3 * CHUNK_BYTES, 2));
  const error = await fetchIt();
  expect(error).toBeInstanceOf(FileShareError);
  expect(["ERR_FILES_STALLED", "ERR_FILES_NO_HOLDERS"]).toContain((error as FileShareError).code);
  const fresh = (await wholeOf(noise(3 * CHUNK_BYTES, 2))).tree.hash;
  await vi.waitFor(
    () =>
      expect(holder.share.shared.map(({ hash }) => formatHash(hash))).toEqual([formatHash(fresh)]),
    patient,
  );
});

test("a link put in a shared file's place leads nowhere", async () => {
  const { folder, fetchIt } = await pair(noise(2 * CHUNK_BYTES));
  const outside = join(await temporaryFolder(), "secret");
  await writeFile(outside, noise(2 * CHUNK_BYTES, 9));
  await rm(join(folder, "a"));
  await symlink(outside, join(folder, "a"));
  expect(await fetchIt()).toBeInstanceOf(FileShareError);
});

test("an old file put in place with the times of the new one is told apart by its inode", async () => {
  const { folder, fetchIt } = await pair(noise(100));
  const path = join(folder, "a");
  await writeFile(`${path}.new`, noise(100, 5));
  const time = new Date(1_700_000_000_000);
  await utimes(`${path}.new`, time, time);
  await rename(`${path}.new`, path);
  const result = await fetchIt();
  // Either it is gone already, or what came is what was asked for.
  if (result instanceof Error) expect(result).toBeInstanceOf(FileShareError);
  else expect(await readFile((result as { path: string }).path)).toEqual(Buffer.from(noise(100)));
});

test("the same content under several names is served as long as one of them is left", async () => {
  const { holder, folder, fetchIt, to, hash } = await pair(noise(CHUNK_BYTES + 3));
  await link(join(folder, "a"), join(folder, "b"));
  await writeFile(join(folder, "c"), noise(CHUNK_BYTES + 3));
  await vi.waitFor(() => expect(namesOf(holder)).toEqual(["a", "b", "c"]), patient);
  await unlink(join(folder, "a"));
  await vi.waitFor(() => expect(namesOf(holder)).toEqual(["b", "c"]), patient);
  await fetchIt();
  expect(await readFile(join(to, formatHash(hash)))).toEqual(Buffer.from(noise(CHUNK_BYTES + 3)));
});

test("what is not shared does not exist, whoever asks for it", async () => {
  const { reader, to } = await pair(noise(10));
  const nothing = reader.share.fetch(parseHash("ab".repeat(32)), { to });
  const failed = expect(nothing).rejects.toMatchObject({ code: "ERR_FILES_CLOSED" });
  await reader.share.close();
  await failed;
});

test("files with more hashes than one page, and those kept on disk, are served whole", async () => {
  // 33 chunks: their hashes take more than what stays in memory.
  const { fetchIt, to, hash } = await pair(noise(33 * CHUNK_BYTES));
  await fetchIt();
  expect(Buffer.compare(await readFile(join(to, formatHash(hash))), noise(33 * CHUNK_BYTES))).toBe(
    0,
  );
  expect(33).toBeLessThan(FANOUT);
});

test("a record is asked for only when somebody is answered", () => {
  const record = vi.fn<FileShareOptions["record"]>();
  createFileShare({ key: new Uint8Array(32).fill(1), record });
  expect(record).not.toHaveBeenCalled();
});

import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { Protocol } from "@heddle/p2p";
import { expect, test } from "vitest";

import { CHUNK_BYTES, formatHash } from "../src/index.ts";
import { connect, Nodes, noise, temporaryFolder } from "./node.ts";

test.each([
  { what: "empty", size: 0 },
  { what: "of one byte", size: 1 },
  { what: "of exactly one chunk", size: CHUNK_BYTES },
  { what: "of a chunk and a byte", size: CHUNK_BYTES + 1 },
  { what: "of many chunks", size: 20 * CHUNK_BYTES + 7 },
])("a file $what is fetched from its only holder, byte for byte", async ({ size }) => {
  const nodes = new Nodes();
  const [holder, reader] = [await nodes.add(), await nodes.add()];
  const [from, to] = [await temporaryFolder(), await temporaryFolder()];
  const content = noise(size);
  await writeFile(join(from, "a.bin"), content);
  await holder.share.share(from);
  const [shared] = holder.share.shared;
  if (shared === undefined) throw new Error("nothing is shared");
  expect(shared).toMatchObject({ name: "a.bin", size });

  const seen: number[] = [];
  const result = await reader.share.fetch(shared.hash, {
    to,
    from: [holder.record],
    onProgress: ({ doneBytes }) => seen.push(doneBytes),
  });

  expect(result).toMatchObject({ path: join(to, formatHash(shared.hash)), size, resumedBytes: 0 });
  expect(result.sources).toMatchObject([{ id: holder.id, bytes: size, fault: undefined }]);
  expect(Buffer.compare(await readFile(result.path), content)).toBe(0);
  expect(await readdir(to)).toEqual([formatHash(shared.hash)]);
  expect(seen.at(-1)).toBe(size);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
});

test("a file whose holder is two hops away is found, its holder dialed, and the file fetched", async () => {
  const nodes = new Nodes();
  const [holder, relay, reader] = [await nodes.add(), await nodes.add(), await nodes.add()];
  const [from, to] = [await temporaryFolder(), await temporaryFolder()];
  await writeFile(join(from, "song of the loom.txt"), "warp and weft");
  await holder.share.share(from);
  await relay.server.dial(holder.record);
  await reader.server.dial(relay.record);

  const results = [];
  for await (const result of reader.share.search("LOOM song")) {
    results.push(result);
    break;
  }
  expect(results).toMatchObject([{ name: "song of the loom.txt", size: 13 }]);
  expect(formatHash(results[0]!.holder.id)).toBe(holder.id);

  const { path, sources } = await reader.share.fetch(results[0]!.hash, { to, name: "song.txt" });
  expect(await readFile(path, "utf8")).toBe("warp and weft");
  expect(sources).toMatchObject([{ id: holder.id, bytes: 13 }]);
});

test("two nodes fetch several files of each other at once, and neither blocks the other", async () => {
  const nodes = new Nodes();
  const [a, b] = [await nodes.add(), await nodes.add()];
  const folders = [await temporaryFolder(), await temporaryFolder()];
  for (const [i, node] of [a, b].entries()) {
    for (let file = 0; file < 4; file++) {
      const path = join(folders[i]!, String(file));
      await writeFile(path, noise(10 * CHUNK_BYTES, 10 * i + file));
    }
    await node.share.share(folders[i]!);
  }
  await connect(a, b);
  const fetchAll = (reader: typeof a, holder: typeof a, to: string) =>
    holder.share.shared.map(({ hash }) => reader.share.fetch(hash, { to, from: [holder.record] }));
  const to = await temporaryFolder();
  const results = await Promise.all([...fetchAll(a, b, to), ...fetchAll(b, a, to)]);
  expect(results.map(({ size }) => size)).toEqual(Array(8).fill(10 * CHUNK_BYTES));
});

/** A protocol that pings; `ping` is there as soon as a connection is. */
function pinging() {
  let opened: (ping: () => Promise<void>) => void = () => undefined;
  const ping = new Promise<() => Promise<void>>((resolve) => (opened = resolve));
  const protocol: Protocol = {
    name: "pinging",
    version: 1,
    length: 2,
    async run(_peer, rw) {
      let answered = (): void => undefined;
      opened(() => {
        const answer = new Promise<void>((resolve) => (answered = resolve));
        return rw.sendItems(0).then(() => answer);
      });
      for await (const { code } of rw) {
        if (code === 0) await rw.sendItems(1);
        else answered();
      }
    },
  };
  return { protocol, ping };
}

test("another protocol on the same connection gets its turn all along a transfer", async () => {
  const nodes = new Nodes();
  const [near, far] = [pinging(), pinging()];
  const reader = await nodes.add({}, [near.protocol]);
  const holder = await nodes.add({}, [far.protocol]);
  const [from, to] = [await temporaryFolder(), await temporaryFolder()];
  await writeFile(join(from, "a"), noise(100 * CHUNK_BYTES));
  await holder.share.share(from);
  await connect(reader, holder);
  const ping = await near.ping;
  const state = { share: 0, isOver: false };
  const fetching = reader.share
    .fetch(holder.share.shared[0]!.hash, {
      to,
      from: [holder.record],
      onProgress: ({ doneBytes, size }) => (state.share = doneBytes / size),
    })
    .finally(() => (state.isOver = true));
  const answeredAt = new Set<number>();
  while (!state.isOver) {
    await ping();
    // In memory an answer takes no turn of the loop, and the disk waits for one.
    await new Promise((resolve) => setImmediate(resolve));
    answeredAt.add(Math.floor(10 * state.share));
  }
  await fetching;
  // In more than one part of the transfer, not only before and after it.
  expect(answeredAt.size).toBeGreaterThanOrEqual(5);
});

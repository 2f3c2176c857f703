/**
 * Measures transfers between processes over loopback; `--help` says how it is called.
 *
 * With `--conditions=dist` after `tsc -b` it measures what is built.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, open, rm } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";

import { readArgs, readCall, WrongCall } from "../wrong-call.ts";
import { NodeProcess } from "./node-process.ts";
import type { Facts, Fetched } from "./node-process.ts";

const MIB = 1024 * 1024;
const KILL_AT = 0.4;

interface Place {
  readonly root: string;
  readonly bytes: number;
  readonly hash: string;
  readonly sha256: string;
}

/** Who shares the file, and who fetches it, connected to each other. */
type Pair = readonly [holder: NodeProcess, reader: NodeProcess];

const PARTS = ["throughput", "pings", "failures"];

const USAGE = `usage: bench/file-share/main.ts [options]

  --mib N       the size of the file, 1024 by default
  --runs N      how often the throughput is measured, 3 by default
  --folder DIR  where the files are put, ${tmpdir()} by default
  --only PART   one of ${PARTS.join(", ")}
  --help        say this`;

const values = readCall("bench/file-share", USAGE, (args) => {
  const { values: given } = readArgs({
    args,
    options: {
      mib: { type: "string", default: "1024" },
      runs: { type: "string", default: "3" },
      folder: { type: "string", default: tmpdir() },
      only: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  for (const option of ["mib", "runs"] as const) {
    if (/^[1-9]\d*$/.test(given[option])) continue;
    throw new WrongCall(`--${option}: expected an integer above 0, got ${given[option]}`);
  }
  if (given.only !== undefined && !PARTS.includes(given.only)) {
    throw new WrongCall(`--only ${given.only} is no part`);
  }
  return given.help ? undefined : given;
});

const running: NodeProcess[] = [];

async function startNode(): Promise<NodeProcess> {
  const node = await NodeProcess.start();
  running.push(node);
  return node;
}

function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const mibPerSecond = (bytes: number, ms: number): string => (bytes / MIB / (ms / 1_000)).toFixed(0);
const inMib = (bytes: number): string => (bytes / MIB).toFixed(0);

function print(what: string, figure: string): void {
  console.log(`| ${what} | ${figure} |`);
}

/** A file of random bytes, and a holder that shares it. */
async function prepare(root: string, bytes: number): Promise<[Place, NodeProcess]> {
  await mkdir(join(root, "share"));
  const path = join(root, "share", "big.bin");
  const handle = await open(path, "w");
  const block = Buffer.alloc(MIB);
  for (let at = 0; at < bytes; at += MIB) {
    for (let i = 0; i < MIB; i += 65_536) {
      crypto.getRandomValues(new Uint8Array(block.buffer, block.byteOffset + i, 65_536));
    }
    await handle.write(block);
  }
  await handle.close();
  const holder = await startNode();
  const startedAt = performance.now();
  const hash = await shareWith(holder, root);
  print("hashing the shared file", `${mibPerSecond(bytes, performance.now() - startedAt)} MiB/s`);
  return [{ root, bytes, hash, sha256: await sha256(path) }, holder];
}

async function shareWith(holder: NodeProcess, root: string): Promise<string> {
  const files = await holder.ask<{ hash: string }[]>({ do: "share", path: join(root, "share") });
  const [file] = files;
  if (file === undefined) throw new Error("nothing is shared");
  return file.hash;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

async function emptyFolder(place: Place): Promise<string> {
  const folder = join(place.root, "to");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  return folder;
}

async function checkFile(place: Place, { path }: Fetched): Promise<void> {
  if ((await sha256(path)) !== place.sha256) throw new Error("the fetched file differs");
}

/** Milliseconds of processor that both processes have used. */
async function processorMs(nodes: readonly NodeProcess[]): Promise<number> {
  const all = await Promise.all(nodes.map((node) => node.ask<Facts>({ do: "facts" })));
  return all.reduce((sum, { cpu }) => sum + (cpu.user + cpu.system) / 1_000, 0);
}

/** What writing a file of the same size takes where nothing else is done. */
async function measureDisk(place: Place): Promise<void> {
  const path = join(place.root, "disk");
  const block = crypto.getRandomValues(new Uint8Array(65_536));
  const blocks = Array.from({ length: MIB / block.length }, () => block);
  const handle = await open(path, "w");
  const startedAt = performance.now();
  for (let at = 0; at < place.bytes; at += MIB) await handle.writev(blocks, at);
  await handle.datasync();
  const ms = performance.now() - startedAt;
  await handle.close();
  await rm(path);
  print("writing such a file to the disk, synced", `${mibPerSecond(place.bytes, ms)} MiB/s`);
}

interface Cost {
  readonly ms: number;
  /** Of both processes, in milliseconds. */
  readonly cpu: number;
}

/** A raw stream, one whose reader releases what it read, and a transfer, in turn, on one connection. */
async function measureThroughput(
  place: Place,
  [holder, reader]: Pair,
  runs: number,
): Promise<void> {
  await measureDisk(place);
  const costs: Record<"raw" | "released" | "fetched", Cost[]> = {
    raw: [],
    released: [],
    fetched: [],
  };
  const measure = async (into: Cost[], work: () => Promise<number>): Promise<void> => {
    const before = await processorMs([holder, reader]);
    const ms = await work();
    into.push({ ms, cpu: (await processorMs([holder, reader])) - before });
  };
  const readRaw = (releases: boolean) => (): Promise<number> =>
    reader.ask<number>({ do: "raw", bytes: place.bytes, releases });
  let rss: readonly number[] = [];
  for (let run = 0; run < runs; run++) {
    const to = await emptyFolder(place);
    await measure(costs.raw, readRaw(false));
    await measure(costs.released, readRaw(true));
    let result: Fetched | undefined;
    await measure(costs.fetched, async () => {
      const from = [holder.record];
      result = await reader.ask<Fetched>({ do: "fetch", hash: place.hash, to, from });
      return result.ms;
    });
    if (result === undefined) throw new Error("nothing was fetched");
    rss = result.rss;
    await checkFile(place, result);
  }
  printThroughput(place, costs);
  const [tenth, peak] = [rss[Math.floor(rss.length / 10)] ?? 0, Math.max(...rss)];
  const memory = `${inMib(tenth)}, ${inMib(peak)} at most, ${inMib(rss.at(-1) ?? 0)}`;
  print("reader's resident memory at 10 %, most, at the end (MiB)", memory);
}

function printThroughput(
  { bytes }: Place,
  costs: Record<"raw" | "released" | "fetched", readonly Cost[]>,
): void {
  const times = (of: readonly Cost[]): number[] => of.map(({ ms }) => ms);
  const show = (what: string, of: readonly Cost[]): void => {
    const [mid, best] = [median(times(of)), Math.min(...times(of))];
    print(what, `${mibPerSecond(bytes, mid)} (${mibPerSecond(bytes, best)}) MiB/s`);
  };
  show("raw `rw` stream, median (best)", costs.raw);
  show("raw, its reader releasing what it read", costs.released);
  show("transfer to disk, synced", costs.fetched);
  for (const [what, base] of [
    ["raw", costs.raw],
    ["raw released", costs.released],
  ] as const) {
    const pairs = base.map(({ ms }, i) => ms / (costs.fetched[i]?.ms ?? Number.NaN));
    const best = Math.min(...times(base)) / Math.min(...times(costs.fetched));
    const work = median(base.map(({ cpu }, i) => cpu / (costs.fetched[i]?.cpu ?? Number.NaN)));
    const ratios = `${median(pairs).toFixed(2)}, ${best.toFixed(2)}, ${work.toFixed(2)}`;
    print(`transfer to ${what}: median of pairs, best to best, by processor time`, ratios);
  }
}

/** Another protocol's round trips on the same connection: alone, beside a raw stream, beside a transfer. */
async function measurePings(place: Place, [holder, reader]: Pair): Promise<void> {
  const ping = (): Promise<number> => reader.ask<number>({ do: "ping" });
  const idle: number[] = [];
  for (let i = 0; i < 200; i++) idle.push(await ping());
  const beside = async (work: Promise<unknown>, state: { isOver: boolean }): Promise<number[]> => {
    const times: number[] = [];
    const over = work.finally(() => (state.isOver = true));
    while (!state.isOver) times.push(await ping());
    await over;
    return times;
  };
  const raw = await beside(reader.ask({ do: "raw", bytes: place.bytes, releases: true }), {
    isOver: false,
  });
  const to = await emptyFolder(place);
  const state = { isOver: false };
  // Afterwards only the disk is waited for.
  reader.onProgress = ({ doneBytes, size }) => (state.isOver ||= doneBytes === size);
  const order = { do: "fetch", hash: place.hash, to, from: [holder.record] };
  const busy = await beside(reader.ask<Fetched>(order), state);
  const show = (times: readonly number[]): string =>
    [0.5, 0.99, 1].map((share) => quantile(times, share).toFixed(1)).join(", ");
  print("another protocol's ping, alone: p50, p99, most (ms)", show(idle));
  print(`the same beside the raw stream, ${raw.length} pings`, show(raw));
  print(`the same beside a transfer, ${busy.length} pings`, show(busy));
}

async function measureResume(place: Place, holder: NodeProcess): Promise<void> {
  const to = await emptyFolder(place);
  const first = await startNode();
  const killed = new Promise<void>((resolve) => {
    first.onProgress = ({ doneBytes }) => {
      if (doneBytes >= KILL_AT * place.bytes) void first.kill().then(resolve);
    };
  });
  const order = { do: "fetch", hash: place.hash, to, from: [holder.record] };
  await first.ask(order).catch(() => undefined);
  await killed;
  const second = await startNode();
  let { sentBytes: before, peers } = await holder.ask<Facts>({ do: "facts" });
  // The holder may still send to the one that was killed.
  while (peers.length > 1)
    ({ sentBytes: before, peers } = await holder.ask<Facts>({ do: "facts" }));
  const result = await second.ask<Fetched>(order);
  const { sentBytes } = await holder.ask<Facts>({ do: "facts" });
  await checkFile(place, result);
  const again = sentBytes - before + result.resumedBytes - place.bytes;
  print("SIGKILL of the receiver at 40 %: resumed", `${inMib(result.resumedBytes)} MiB`);
  print("fetched after that", `${inMib(sentBytes - before)} MiB, ${again} bytes of them again`);
  await second.kill();
}

async function measureLostHolder(place: Place, holder: NodeProcess): Promise<void> {
  const to = await emptyFolder(place);
  const other = await startNode();
  await shareWith(other, place.root);
  const reader = await startNode();
  reader.onProgress = ({ doneBytes }) => {
    if (doneBytes >= KILL_AT * place.bytes) void other.kill();
  };
  const from = [other.record, holder.record];
  const result = await reader.ask<Fetched>({ do: "fetch", hash: place.hash, to, from });
  await checkFile(place, result);
  const shares = result.sources.map(
    ({ bytes, fault }) => `${inMib(bytes)} MiB ${fault ?? "to the end"}`,
  );
  print("SIGKILL of one of two holders at 40 %: complete, from", shares.join("; "));
}

async function main(): Promise<void> {
  const bytes = Number(values.mib) * MIB;
  const root = await mkdtemp(join(values.folder, "file-share-bench-"));
  const [cpu] = cpus();
  console.log(
    `${values.mib} MiB over loopback, Node ${process.version}, ${cpus().length} of ${cpu?.model ?? "?"}`,
  );
  console.log(
    `load when it began: ${loadavg()
      .map((load) => load.toFixed(1))
      .join(", ")}\n`,
  );
  console.log("| | |\n| --- | --- |");
  try {
    const [place, holder] = await prepare(root, bytes);
    const isWanted = (part: string): boolean => (values.only ?? part) === part;
    if (isWanted("throughput") || isWanted("pings")) {
      const reader = await startNode();
      await reader.ask({ do: "dial", record: holder.record });
      const pair: Pair = [holder, reader];
      if (isWanted("throughput")) await measureThroughput(place, pair, Number(values.runs));
      if (isWanted("pings")) await measurePings(place, pair);
      await reader.kill();
    }
    if (isWanted("failures")) {
      await measureResume(place, holder);
      await measureLostHolder(place, holder);
    }
  } finally {
    await Promise.all(running.map((node) => node.kill()));
    await rm(root, { recursive: true, force: true });
  }
  console.log(
    `\nload when it ended: ${loadavg()
      .map((load) => load.toFixed(1))
      .join(", ")}`,
  );
}

await main();

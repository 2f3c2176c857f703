import { execFile, fork, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { afterEach, expect, test, vi } from "vitest";

import type { Command } from "../packages/file-share/test/processes/node.ts";

const NODE = fileURLToPath(
  new URL("../packages/file-share/test/processes/node.ts", import.meta.url),
);
const PROGRAM = fileURLToPath(new URL("../examples/file-share/main.ts", import.meta.url));
const MIB = 1024 * 1024;
/** A third of a file of 48 MiB in a second: time enough to kill somebody in the middle. */
const SLOW = { FILES_DOWNLOAD_RATE: String(16 * MIB) };
/** Processes take their time to start where others have the machine. */
const PATIENT = { timeout: 90_000 };
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "file-share-e2e-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a file of pseudo-random bytes, and returns their SHA-256. */
async function writeNoise(path: string, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  const handle = await open(path, "w");
  const block = Buffer.alloc(MIB);
  for (let at = 0; at < bytes; at += MIB) {
    // Different in every chunk of the file, so that none passes for another.
    for (let i = 0; i < MIB; i += 4)
      block.writeUInt32LE(Math.imul(at + i + 1, 2_654_435_761) >>> 0, i);
    const part = block.subarray(0, Math.min(MIB, bytes - at));
    hash.update(part);
    await handle.write(part);
  }
  await handle.close();
  return hash.digest("hex");
}

async function sha256(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

interface Told {
  readonly ready?: { record: string; id: string };
  readonly progress?: { size: number; doneBytes: number };
  readonly id?: number;
  readonly value?: unknown;
  readonly error?: string;
}

interface Fetched {
  readonly path: string;
  readonly resumedBytes: number;
  readonly sources: { id: string; bytes: number; fault?: string }[];
}

interface Facts {
  readonly sentBytes: number;
  readonly counters: { handled: number };
  readonly peers: [string, { queries: { sent: number }; answers: { sent: number } }][];
}

/** A node in a process of its own. */
class NodeProcess {
  readonly record: string;
  readonly id: string;
  onProgress: (doneBytes: number) => void = () => undefined;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (told: Told) => void>();
  #lastId = 0;

  private constructor(child: ChildProcess, ready: { record: string; id: string }) {
    this.#child = child;
    this.record = ready.record;
    this.id = ready.id;
    child.on("message", (told: Told) => {
      if (told.progress !== undefined) this.onProgress(told.progress.doneBytes);
      if (told.id !== undefined) this.#waiting.get(told.id)?.(told);
    });
    child.once("exit", () => {
      for (const answer of this.#waiting.values()) answer({ error: "the process has ended" });
    });
  }

  /** @param env - `FILES_DOWNLOAD_RATE`, in bytes per second */
  static async start(env: NodeJS.ProcessEnv = {}): Promise<NodeProcess> {
    const child = fork(NODE, [], {
      execArgv: ["--import", "tsx"],
      env: { ...process.env, ...env },
    });
    cleanups.push(() => end(child));
    return new Promise((resolve, reject) => {
      child.once("message", ({ ready }: Told) => resolve(new NodeProcess(child, ready!)));
      child.once("exit", (code) => reject(new Error(`the process ended with ${code}`)));
    });
  }

  async ask<T>(command: Command): Promise<T> {
    const id = ++this.#lastId;
    const told = await new Promise<Told>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.send({ id, command });
    });
    if (told.error !== undefined) throw new Error(told.error);
    return told.value as T;
  }

  kill(): Promise<unknown> {
    return end(this.#child);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

/** Starts a process that shares one file of noise. */
async function startHolder(bytes: number, name = "big.bin") {
  const folder = await temporaryFolder();
  const sum = await writeNoise(join(folder, name), bytes);
  const node = await NodeProcess.start();
  const [file] = await node.ask<{ hash: string }[]>({ do: "share", path: folder });
  return { node, sum, hash: file!.hash };
}

test.each([
  {
    shape: "a line",
    edges: [
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 4],
    ],
    far: 4,
  },
  {
    shape: "a ring",
    edges: [
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 4],
      [4, 0],
    ],
    far: 2,
  },
] as const)(
  "five processes in $shape: found at the far end, fetched, two messages an edge at most",
  PATIENT,
  async ({ edges, far }) => {
    const nodes = await Promise.all([0, 1, 2, 3, 4].map(() => NodeProcess.start()));
    const [folder, to] = [await temporaryFolder(), await temporaryFolder()];
    const sum = await writeNoise(join(folder, "far away.bin"), MIB + 5);
    await nodes[far]!.ask({ do: "share", path: folder });
    for (const [a, b] of edges) await nodes[a]!.ask({ do: "dial", record: nodes[b]!.record });

    const found = await nodes[0]!.ask<
      { name: string; size: number; hash: string; holder: string }[]
    >({
      do: "search",
      query: "FAR",
      deadlineMs: 1_500,
    });
    expect(found).toMatchObject([{ name: "far away.bin", size: MIB + 5, holder: nodes[far]!.id }]);

    const facts = await Promise.all(nodes.map((node) => node.ask<Facts>({ do: "facts" })));
    expect(facts.slice(1).map(({ counters }) => counters.handled)).toEqual([1, 1, 1, 1]);
    for (const [a, b] of edges) {
      const sentBy = (from: number, to: number): number => {
        const [, sent] = facts[from]!.peers.find(([id]) => id === nodes[to]!.id)!;
        return sent.queries.sent + sent.answers.sent;
      };
      expect(sentBy(a, b) + sentBy(b, a)).toBeGreaterThanOrEqual(1);
      expect(sentBy(a, b) + sentBy(b, a)).toBeLessThanOrEqual(2);
    }

    const { path } = await nodes[0]!.ask<Fetched>({
      do: "fetch",
      hash: found[0]!.hash,
      to,
      from: [],
    });
    expect(await sha256(path)).toBe(sum);
  },
);

test(
  "a receiver that is killed at 40 % goes on there, and fetches no verified chunk again",
  PATIENT,
  async () => {
    const bytes = 48 * MIB;
    const { node: holder, sum, hash } = await startHolder(bytes);
    const to = await temporaryFolder();
    const first = await NodeProcess.start(SLOW);
    const killed = new Promise<void>((resolve) => {
      first.onProgress = (doneBytes) => {
        if (doneBytes >= 0.4 * bytes) void first.kill().then(() => resolve());
      };
    });
    const fetching = first.ask({ do: "fetch", hash, to, from: [holder.record] });
    await expect(fetching).rejects.toThrow("the process has ended");
    await killed;
    expect(await readdir(to)).toEqual([`.${hash}.have`, `.${hash}.part`]);
    // What the first one had asked for is served before its end is known.
    let before = 0;
    await vi.waitFor(async () => {
      const { sentBytes, peers } = await holder.ask<Facts>({ do: "facts" });
      before = sentBytes;
      expect(peers).toEqual([]);
    });

    const second = await NodeProcess.start();
    const fetched = await second.ask<Fetched>({ do: "fetch", hash, to, from: [holder.record] });
    expect(await sha256(fetched.path)).toBe(sum);
    expect(fetched.resumedBytes).toBeGreaterThanOrEqual(0.4 * bytes);
    const { sentBytes } = await holder.ask<Facts>({ do: "facts" });
    expect(sentBytes - before).toBe(bytes - fetched.resumedBytes);
    expect(await readdir(to)).toEqual([hash]);
  },
);

test("one of two holders is killed: the transfer goes on", PATIENT, async () => {
  const bytes = 48 * MIB;
  const { node: one, sum, hash } = await startHolder(bytes);
  const { node: two } = await startHolder(bytes, "the same.bin");
  const to = await temporaryFolder();
  const reader = await NodeProcess.start(SLOW);
  reader.onProgress = (doneBytes) => {
    if (doneBytes >= 0.3 * bytes) void one.kill();
  };
  const from = [one.record, two.record];
  const { path, sources } = await reader.ask<Fetched>({ do: "fetch", hash, to, from });
  expect(await sha256(path)).toBe(sum);
  expect(sources.find(({ id }) => id === one.id)).toMatchObject({ fault: "ERR_FILES_GONE" });
  expect(sources.find(({ id }) => id === two.id)?.fault).toBeUndefined();
});

/** Runs the program to its end. */
function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ["--import", "tsx", PROGRAM, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** Starts the program sharing a folder; resolves with its first line once its files are shared. */
async function runShare(folder: string, files: number, ...args: string[]): Promise<string> {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", PROGRAM, "share", folder, "--listen", "127.0.0.1:0", ...args],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  cleanups.push(() => end(child));
  const lines: string[] = [];
  await new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      lines.push(line);
      if (lines.length === files + 1) resolve();
    });
  });
  return lines[0]!;
}

test(
  "the program shares, searches through another node, gets, and says what went wrong by its exit code",
  PATIENT,
  async () => {
    const [folder, empty, to] = [
      await temporaryFolder(),
      await temporaryFolder(),
      await temporaryFolder(),
    ];
    await mkdir(join(folder, "inner"));
    const sum = await writeNoise(join(folder, "inner", "data one.bin"), 3 * MIB);
    await writeFile(join(folder, "\u001b[31mred.txt"), "red");
    const holder = await runShare(folder, 2);
    expect(holder).toMatch(/^enode:\/\/[0-9a-f]{128}@127\.0\.0\.1:[0-9]+$/);
    const relay = await runShare(empty, 0, "--join", holder);

    const [json, plain, nothing, unreachable, wrong] = await Promise.all([
      run("search", "data ONE", "--join", relay, "--json"),
      run("search", "red", "--join", relay),
      run("search", "nothing like it", "--join", relay),
      run("search", "x", "--join", holder.replace(/:[0-9]+$/, ":1")),
      run("get", "beef", "--join", relay, "--to", to),
    ]);
    expect(json).toMatchObject({ code: 0, stderr: "" });
    const found = json.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { hash: string });
    expect(found).toEqual([
      {
        name: "data one.bin",
        size: 3 * MIB,
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        holder,
      },
    ]);
    expect(plain.stdout).toContain("\\u{1b}[31mred.txt");
    expect(plain.stdout).not.toContain("\u001b");
    expect([nothing.code, unreachable.code, wrong.code]).toEqual([3, 6, 2]);
    for (const { stderr } of [nothing, unreachable, wrong]) expect(stderr).toMatch(/^files: .+\n$/);

    const { hash } = found[0]!;
    const got = await run("get", hash, "--join", relay, "--to", to);
    expect(got).toMatchObject({ code: 0, stdout: `${join(to, "data one.bin")}\n` });
    expect(got.stderr).toContain("100 %");
    expect(await sha256(join(to, "data one.bin"))).toBe(sum);

    await writeFile(join(to, "data one.bin"), "mine");
    const [again, noFolder, forced] = [
      await run("get", hash, "--join", relay, "--to", to),
      await run("get", hash, "--join", relay, "--to", join(to, "none")),
      await run("get", hash, "--join", relay, "--to", to, "--force"),
    ];
    expect([again.code, noFolder.code, forced.code]).toEqual([4, 5, 0]);
    expect(await sha256(join(to, "data one.bin"))).toBe(sum);
  },
);

test.each<[args: string[], problem: string]>([
  [[], "expected share, search or get; got nothing"],
  [["sing"], "expected share, search or get; got sing"],
  [["get", "zz"], "get: --join and --to missing"],
  [["get"], "get: HASH and --join and --to missing"],
  [["search", "x"], "search: --join missing"],
  [["share"], "share: DIR missing"],
  [["share", ".", ".."], "share: one DIR, not .. too"],
  [["share", ".", "--bogus"], "Unknown option '--bogus'"],
])("called with %j the program says what is missing or wrong", PATIENT, async (args, problem) => {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr.startsWith(`files: ${problem}\nusage:\n`), stderr).toBe(true);
});

test("the program names a folder that is none before it does anything", PATIENT, async () => {
  const folder = await temporaryFolder();
  const [none, file] = [join(folder, "none"), join(folder, "file")];
  await writeFile(file, "");
  const hash = "ab".repeat(32);
  const results = await Promise.all([
    run("share", none, "--listen", "127.0.0.1:0"),
    run("share", file, "--listen", "127.0.0.1:0"),
    run("get", hash, "--join", "enode://x", "--to", none),
  ]);
  expect(results).toEqual([
    { code: 5, stdout: "", stderr: `files: ${none} does not exist\n` },
    { code: 5, stdout: "", stderr: `files: ${file} is no folder\n` },
    { code: 5, stdout: "", stderr: `files: ${none} does not exist\n` },
  ]);
});

test("the program documents its exit codes, as the README does", async () => {
  const { code, stdout } = await run("--help");
  expect(code).toBe(0);
  const readme = await readFile(
    new URL("../packages/file-share/README.md", import.meta.url),
    "utf8",
  );
  for (let exitCode = 0; exitCode <= 7; exitCode++) {
    expect(stdout).toMatch(new RegExp(`\\b${exitCode}  \\w`));
    expect(readme).toMatch(new RegExp(`\\| ${exitCode} +\\|`));
  }
});

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { formatEnode, generateSecretKey, nodeIdOf, parseEnode } from "@heddle/identity";
import { DisconnectReason, Server } from "@heddle/p2p";
import type { Protocol } from "@heddle/p2p";
import { afterEach, describe, expect, test } from "vitest";

import { createFooBar } from "../protocol.ts";

const children: ChildProcess[] = [];
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Finished {
  code: number | null;
  out: string;
  err: string;
}

function start(
  script: string,
  ...args: string[]
): { child: ChildProcess; done: Promise<Finished> } {
  const path = fileURLToPath(new URL(`../${script}`, import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", path, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let out = "";
  let err = "";
  child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const done = new Promise<Finished>((resolve) => {
    child.once("close", (code) => resolve({ code, out, err }));
  });
  return { child, done };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once("close", () => reject(new Error("closed before its first line")));
    if (child.stdout !== null) createInterface({ input: child.stdout }).once("line", resolve);
  });
}

async function startedServer(protocols: Protocol[]): Promise<Server> {
  const server = new Server({
    key: generateSecretKey(),
    clientId: "test/1",
    listen: "127.0.0.1:0",
    protocols,
  });
  await server.start();
  cleanups.push(() => server.stop());
  return server;
}

test("the demo prints what happens and exits 0", async () => {
  const { code, out, err } = await start("demo.ts").done;
  expect(err).toBe("");
  expect(out).toContain("recv: bar");
  expect(out).toContain("MyProtocol/1 has message ids 0x10 to 0x10");
  expect(code).toBe(0);
});

test("serve answers several dials, keeps its identity, and says goodbye with 0x08", async () => {
  const folder = await mkdtemp(join(tmpdir(), "foo-bar-"));
  cleanups.push(() => rm(folder, { recursive: true }));
  const keyFile = join(folder, "key");
  const { child, done } = start(
    "main.ts",
    "serve",
    "--listen",
    "127.0.0.1:0",
    "--key-file",
    keyFile,
  );
  const enode = await firstLine(child);
  const key = Buffer.from((await readFile(keyFile, "utf8")).trim(), "hex");
  expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
  expect(parseEnode(enode).id).toEqual(nodeIdOf(new Uint8Array(key)));
  const dialed = await start("main.ts", "dial", enode, "--count", "3").done;
  expect(dialed).toEqual({ code: 0, out: "recv: bar\nrecv: bar\nrecv: bar\n", err: "" });

  const watcher = new Server({
    key: generateSecretKey(),
    clientId: "watcher/1",
    protocols: [createFooBar({ heard: () => undefined })],
  });
  cleanups.push(() => watcher.stop());
  await watcher.start();
  await watcher.dial(enode);
  const dropped = new Promise((resolve) => watcher.on("peer:drop", ({ error }) => resolve(error)));
  child.kill("SIGTERM");
  expect(await dropped).toMatchObject({ reason: DisconnectReason.clientQuitting, by: "remote" });
  expect((await done).code).toBe(0);
});

test("a failed dial prints one clear line and exits 1", async () => {
  const fooBar = createFooBar({ heard: () => undefined });
  const server = await startedServer([fooBar]);
  const other = await startedServer([{ ...fooBar, name: "other" }]);
  const closed = createServer();
  const port = await new Promise<number>((resolve) => {
    closed.listen(0, "127.0.0.1", () => resolve((closed.address() as { port: number }).port));
  });
  await new Promise((resolve) => closed.close(resolve));
  const id = nodeIdOf(generateSecretKey());
  const cases: Record<string, [string, RegExp]> = {
    "not an enode": ["http://example.org", /enode/],
    refused: [formatEnode({ id, host: "127.0.0.1", tcpPort: port, udpPort: port }), /ECONNREFUSED/],
    "wrong key": [formatEnode({ ...parseEnode(server.enode), id }), /phase handshake/],
    incompatible: [other.enode, /useless peer \(0x03\)/],
  };
  for (const [name, [enode, pattern]] of Object.entries(cases)) {
    const { code, out, err } = await start("main.ts", "dial", enode).done;
    expect({ name, code, out }).toEqual({ name, code: 1, out: "" });
    expect(err.trim().split("\n"), name).toHaveLength(1);
    expect(err, name).toMatch(pattern);
  }
});

describe.each([
  ["foo-bar", "main.ts"],
  ["foo-bar:typed", "../foo-bar-typed/main.ts"],
])("%s, called in a wrong way,", (name, script) => {
  test.each<[args: string[], problem: RegExp]>([
    [["--bogus"], /^Unknown option '--bogus'$/],
    [["serve", "--listen"], /^Option '--listen <value>' argument missing$/],
    [[], /^expected serve, or dial and an enode URL$/],
    [["dial"], /^expected serve, or dial and an enode URL$/],
    [["dial", "enode://x", "--count=0"], /^--count: expected an integer/],
  ])("with %j says why in a line, then how, and exits with 2", async (args, problem) => {
    const { code, out, err } = await start(script, ...args).done;
    expect({ code, out }).toEqual({ code: 2, out: "" });
    const [line = "", usage, ...commands] = err.trimEnd().split("\n");
    expect(line.startsWith(`${name}: `)).toBe(true);
    expect(line.slice(name.length + 2)).toMatch(problem);
    expect(usage).toBe("usage:");
    expect(commands[0]).toContain(`${name} serve`);
  });

  test("or asked for help, says how it is called and exits with 0", async () => {
    const { code, out, err } = await start(script, "--help").done;
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^usage:\n/);
  });
});

test.each([
  ["demo", "demo.ts"],
  ["genesis", "../genesis/main.ts"],
  ["peer-exchange", "../peer-exchange/main.ts"],
])("%s takes no arguments, and says so", async (name, script) => {
  const { code, out, err } = await start(script, "bogus").done;
  expect({ code, out, err }).toEqual({
    code: 2,
    out: "",
    err: `${name}: takes no arguments, got bogus\n`,
  });
});

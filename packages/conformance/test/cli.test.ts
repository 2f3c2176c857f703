import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { generateSecretKey } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import { expect, test } from "vitest";

import { main, targetProtocols } from "../src/index.ts";
import { startFaultyNode } from "./faulty-node.ts";

interface Run {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

async function run(...args: string[]): Promise<Run> {
  const written = { out: "", err: "" };
  const exitCode = await main(
    args,
    { write: (text) => (written.out += text) },
    { write: (text) => (written.err += text) },
  );
  return { exitCode, ...written };
}

async function start(): Promise<Server> {
  const server = new Server({
    key: generateSecretKey(),
    clientId: "target/1\u001b[2J",
    listen: "127.0.0.1:0",
    protocols: targetProtocols(),
  });
  await server.start();
  return server;
}

test("prints a line for every case and what they come to, and exits with 0", async () => {
  await using server = await start();
  const { exitCode, out, err } = await run(server.enode, "--only", "base/ping");
  const lines = out.trimEnd().split("\n");
  expect(lines[0]).toMatch(/^case +the specification asks +the node did +verdict +time$/);
  expect(lines[1]).toMatch(/^base\/ping +Ping is answered by Pong at once +Pong +pass +\d+ ms$/);
  // What the node calls itself is not written to a terminal as it is.
  expect(lines.at(-1)).toBe("target/1\\u{1b}[2J: 5 passed, 0 failed, 0 tolerated, 0 skipped");
  expect({ exitCode, err, lines: lines.length }).toEqual({ exitCode: 0, err: "", lines: 7 });
});

test("runs as a program, which ends", async () => {
  await using server = await start();
  const program = fileURLToPath(new URL("../bin/conformance.ts", import.meta.url));
  const args = ["--import", "tsx", program, server.enode, "--only", "hello/*-id"];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  expect(stdout).toMatch(/: 8 passed, 0 failed, 0 tolerated, 0 skipped\n$/);
  expect(stderr).toBe("");
});

test("exits with 1 after a failure", async () => {
  await using node = await startFaultyNode("Pong has no payload");
  const { exitCode, out } = await run(node.enode, "--only", "base/pong-payload");
  expect(out).toMatch(/Pong with nothing +fail/);
  expect(exitCode).toBe(1);
});

test("writes the report as JSON", async () => {
  await using server = await start();
  const folder = await mkdtemp(join(tmpdir(), "conformance-"));
  try {
    const file = join(folder, "report.json");
    await run(server.enode, "--only", "base/pong-payload", "--json", file);
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({
      protocolVersion: 5,
      results: [
        { name: "base/pong-payload", source: "devp2p rlpx.md §Pong (0x03)", verdict: "pass" },
      ],
      counts: { pass: 1, fail: 0, tolerated: 0, skipped: 0 },
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("takes the name and the length of another protocol that returns what it gets", async () => {
  await using server = await start();
  const args = ["--only", "hello/plain", "--echo", "wide", "--length", "wide=1024"];
  const { exitCode, out } = await run(server.enode, ...args, "--concurrency", "2");
  expect(out).toContain("17 bytes returned under 0x1a");
  expect(exitCode).toBe(0);
});

test("exits with 2 and the usage when it is called in a wrong way", async () => {
  await using server = await start();
  const { enode } = server;
  const calls = [
    [],
    [enode, enode],
    ["enode://nonsense"],
    [enode, "--unknown"],
    [enode, "--only"],
    [enode, "--only", "nonsense"],
    [enode, "--length", "wide"],
    [enode, "--length", "wide=many"],
    [enode, "--concurrency", "0"],
    [enode, "--concurrency", "many"],
  ];
  for (const call of calls) {
    const { exitCode, err } = await run(...call);
    expect(err, call.join(" ")).toContain("usage: conformance ENODE");
    expect(exitCode).toBe(2);
  }
});

test("says in one line what is wrong with an option, and nothing of Node's", async () => {
  const { err } = await run("--bogus");
  expect(err).toMatch(/^conformance: Unknown option '--bogus'\nusage: conformance ENODE/);
});

test("asked for help it says how it is called, and exits with 0", async () => {
  const { exitCode, out, err } = await run("--help");
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
  expect(out).toMatch(/^usage: conformance ENODE/);
});

test("exits with 2 when nobody is there", async () => {
  const server = await start();
  const { enode } = server;
  await server.stop();
  const { exitCode, err } = await run(enode);
  expect(err).toMatch(/^conformance: the node serves no honest peer: .*ECONNREFUSED/);
  expect(exitCode).toBe(2);
});

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { escapeText, formatNodeId, generateSecretKey, parseEnode } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { NegotiatedProtocol } from "@heddle/p2p";

import { createFooBar } from "./protocol.ts";

/** The whole demonstration must be over by then, in milliseconds. */
const DEADLINE_MS = 30_000;

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

/** Starts `foo-bar serve` as a process of its own; resolves with the first line it prints. */
function startServer(): { child: ChildProcess; enode: Promise<string> } {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", MAIN, "serve", "--listen", "127.0.0.1:0"],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const enode = new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the server exited with ${code} too early`)));
    if (child.stdout !== null) createInterface({ input: child.stdout }).once("line", resolve);
  });
  return { child, enode };
}

function describeRange({ name, version, offset, length }: NegotiatedProtocol): string {
  const hex = (msgId: number): string => `0x${msgId.toString(16)}`;
  return `${name}/${version} has message ids ${hex(offset)} to ${hex(offset + length - 1)}`;
}

async function talk(enode: string): Promise<void> {
  const heard: string[] = [];
  const fooBar = createFooBar({
    count: 1,
    heard: (word) => {
      heard.push(word);
      console.log(`[peer]   recv: ${escapeText(word, 200)}`);
    },
  });
  await using server = new Server({
    key: generateSecretKey(),
    clientId: "heddle-demo/0.1.0",
    protocols: [fooBar],
  });
  server.on("handshake", ({ phase }) => console.log(`[peer]   ${phase} …`));
  server.on("peer:add", ({ peer, protocols }) => {
    console.log(`[peer]   connected to ${escapeText(peer.clientId, 100)}`);
    for (const protocol of protocols) console.log(`[peer]   ${describeRange(protocol)}`);
  });
  server.on("message", ({ direction, description, size }) => {
    if (direction === "out") console.log(`[peer]   sent foo: ${description}, ${size} bytes of RLP`);
  });
  const dropped = new Promise<string>((resolve) => {
    server.on("peer:drop", ({ error }) => resolve(error.message));
  });
  await server.start();
  console.log(`[peer]   I am ${formatNodeId(server.id)}, dialing`);
  await server.dial(enode);
  console.log(`[peer]   ${await dropped}`);
  if (heard[0] !== "bar") throw new Error(`expected the answer "bar", got ${heard.length} answers`);
}

function stop(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    child.removeAllListeners("exit");
    child.once("exit", resolve);
    child.kill("SIGTERM");
  });
}

const [argument] = process.argv.slice(2);
if (argument !== undefined) {
  console.error(`demo: takes no arguments, got ${escapeText(argument, 50)}`);
  process.exit(2);
}
const deadline = setTimeout(() => {
  console.error(`demo: not done after ${DEADLINE_MS} ms`);
  process.exit(1);
}, DEADLINE_MS);
const { child, enode } = startServer();
try {
  const url = await enode;
  console.log(
    `[server] ${formatNodeId(parseEnode(url).id)} serves MyProtocol in process ${child.pid}`,
  );
  console.log(`[server] ${url}`);
  await talk(url);
  const code = await stop(child);
  if (code !== 0) throw new Error(`the server exited with ${code}`);
  console.log("[server] said goodbye and exited with 0");
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
  child.kill("SIGTERM");
} finally {
  clearTimeout(deadline);
}

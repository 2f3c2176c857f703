import { escapeText, generateSecretKey, parseEnode } from "@heddle/identity";
import { loadOrCreateKeyFile } from "@heddle/identity/key-file";
import { Server } from "@heddle/p2p";
import type { DisconnectedError } from "@heddle/p2p";

import { createFooBar } from "./protocol.ts";
import { readArgs, WrongCall } from "./wrong-call.ts";

const USAGE = `usage:
  foo-bar serve [--listen HOST:PORT] [--key-file FILE]   answer every foo with bar
  foo-bar dial ENODE [--count N] [--key-file FILE]       say foo N times, print the answers`;

const CLIENT_ID = "heddle-foo-bar/0.1.0";

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = readArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      listen: { type: "string", default: "127.0.0.1:30303" },
      "key-file": { type: "string" },
      count: { type: "string", default: "1" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const file = values["key-file"];
  const key = file === undefined ? generateSecretKey() : await loadOrCreateKeyFile(file);
  const [command, enode, ...rest] = positionals;
  if (command === "serve" && enode === undefined) await serve(key, values.listen);
  else if (command === "dial" && enode !== undefined && rest.length === 0) {
    await dial(key, enode, readCount(values.count));
  } else throw new WrongCall("expected serve, or dial and an enode URL");
}

async function serve(key: Uint8Array, listen: string): Promise<void> {
  const heard = (word: string): void => console.log(`recv: ${escapeText(word, 200)}`);
  await using server = new Server({
    key,
    clientId: CLIENT_ID,
    listen,
    protocols: [createFooBar({ heard })],
  });
  await server.start();
  console.log(server.enode);
  await new Promise((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
}

async function dial(key: Uint8Array, enode: string, count: number): Promise<void> {
  const node = parseEnode(enode);
  let answers = 0;
  const heard = (word: string): void => {
    answers += 1;
    console.log(`recv: ${escapeText(word, 200)}`);
  };
  await using server = new Server({
    key,
    clientId: CLIENT_ID,
    protocols: [createFooBar({ heard, count })],
  });
  const ended = new Promise<DisconnectedError>((resolve) => {
    server.on("peer:drop", ({ error }) => resolve(error));
  });
  await server.start();
  await server.dial(node);
  const { message } = await ended;
  if (answers < count) throw new Error(`${answers} of ${count} answers, then ${message}`);
}

function readCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 1_000_000) return count;
  throw new WrongCall(
    `--count: expected an integer from 1 to 1000000, got ${escapeText(text, 50)}`,
  );
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`foo-bar: ${error instanceof Error ? error.message : String(error)}`);
  if (error instanceof WrongCall) console.error(USAGE);
  process.exitCode = error instanceof WrongCall ? 2 : 1;
}

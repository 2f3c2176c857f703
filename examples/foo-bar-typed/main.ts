import { escapeText, generateSecretKey } from "@heddle/identity";
import { Server } from "@heddle/p2p";
import type { DisconnectedError } from "@heddle/p2p";

import { createTypedFooBar } from "./protocol.ts";
import { readArgs, WrongCall } from "./wrong-call.ts";

const USAGE = `usage:
  foo-bar:typed serve [--listen HOST:PORT]   answer every foo with bar
  foo-bar:typed dial ENODE [--count N]       say foo N times, print the answers
Both speak to foo-bar as well: version 1 with it, version 2 with one another.`;

const common = { key: generateSecretKey(), clientId: "heddle-foo-bar-typed/0.1.0" };

let answers = 0;
function heard(word: string, _peer: unknown, version: number): void {
  answers += 1;
  console.log(`recv: ${escapeText(word, 200)} (version ${version})`);
}

async function serve(listen: string): Promise<void> {
  await using server = new Server({ ...common, listen, protocols: createTypedFooBar({ heard }) });
  await server.start();
  console.log(server.enode);
  await new Promise((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
}

async function dial(enode: string, count: number): Promise<void> {
  await using server = new Server({ ...common, protocols: createTypedFooBar({ heard, count }) });
  const ended = new Promise<DisconnectedError>((resolve) => {
    server.on("peer:drop", ({ error }) => resolve(error));
  });
  await server.start();
  await server.dial(enode);
  const { message } = await ended;
  if (answers < count) throw new Error(`${answers} of ${count} answers, then ${message}`);
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = readArgs({
    args,
    allowPositionals: true,
    options: {
      listen: { type: "string", default: "127.0.0.1:30303" },
      count: { type: "string", default: "1" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const [command, enode, ...rest] = positionals;
  const count = Number(values.count);
  if (!Number.isInteger(count) || count < 1)
    throw new WrongCall("--count: expected an integer >= 1");
  if (command === "serve" && enode === undefined) return serve(values.listen);
  if (command === "dial" && enode !== undefined && rest.length === 0) return dial(enode, count);
  throw new WrongCall("expected serve, or dial and an enode URL");
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`foo-bar:typed: ${error instanceof Error ? error.message : String(error)}`);
  if (error instanceof WrongCall) console.error(USAGE);
  process.exitCode = error instanceof WrongCall ? 2 : 1;
}

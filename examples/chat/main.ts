import { escapeText } from "@heddle/identity";
import type { PeerExchange } from "@heddle/peer-exchange";

import { Commands } from "./commands.ts";
import { Lines } from "./lines.ts";
import { startNode } from "./node.ts";
import type { ChatNode } from "./node.ts";
import { parseOptions, USAGE, UsageError } from "./options.ts";
import type { ProgramOptions } from "./options.ts";
import { Screen } from "./screen.ts";
import { chooseStyle, plainStyle } from "./style.ts";

const { stdin, stdout } = process;

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(USAGE);
    return;
  }
  const node = await startNode(options);
  try {
    await converse(node, options);
  } finally {
    await node.stop();
  }
}

async function converse(
  { chat, exchange, server }: ChatNode,
  options: ProgramOptions,
): Promise<void> {
  const isTerminal = stdin.isTTY && stdout.isTTY;
  const style = options.isPlain ? plainStyle : chooseStyle(stdout.isTTY, process.env);
  const lines = new Lines(chat, style);
  const print = (line: string): void => screen.print(line);
  const commands = new Commands({ chat, lines, print, quit: () => screen.close() }, options.room);
  const screen = new Screen({
    input: stdin,
    output: stdout,
    isTerminal,
    prompt: () => `${style.paint("dim", `#${commands.room ?? ""}`)} ${chat.nameOf(chat.id)}> `,
    complete: (line) => commands.complete(line),
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => screen.close());
  }
  // Whoever read our output is gone: `chat | head`.
  stdout.once("error", () => screen.close());
  chat.on("message", (message) => print(lines.message(message, commands.room)));
  chat.on("presence", (event) => print(lines.presence(event)));
  chat.on("renamed", (event) => print(lines.renamed(event)));
  exchange.on("status", ({ status }) => {
    if (status === "isolated") print(lines.error("nobody is connected; trying to get back"));
  });
  print(lines.notice(`you are ${chat.nameOf(chat.id)}; others join you with --join and this:`));
  print(server.enode);
  if (options.join.length > 0 && !(await join(exchange, screen.signal))) return;
  chat.join(options.room);
  print(lines.notice(`you are in #${options.room}; /help lists what you can do`));
  await screen.read((line) => commands.run(line));
  await commands.settled();
}

/** Joins the network; false when the person has left before that. */
async function join(exchange: PeerExchange, signal: AbortSignal): Promise<boolean> {
  try {
    await exchange.join(signal);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}

try {
  await main();
} catch (error) {
  console.error(`chat: ${escapeText(error instanceof Error ? error.message : String(error), 600)}`);
  if (error instanceof UsageError) console.error("chat: --help lists the options");
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

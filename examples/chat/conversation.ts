import type { PeerExchange } from "@heddle/peer-exchange";

import { Commands } from "./commands.ts";
import { Lines } from "./lines.ts";
import type { ChatNode } from "./node.ts";
import type { ProgramOptions } from "./options.ts";
import { Screen } from "./screen.ts";
import { chooseStyle, plainStyle } from "./style.ts";

const { stdin, stdout } = process;

/** Who is met in a room is named as long as there are no more. */
const MAX_GREETED = 12;

/**
 * Lets a person, or a pipe, talk on a started node, until one of them has enough.
 *
 * @throws `JoinError` when the network cannot be joined
 */
export async function converse(
  { chat, exchange, server }: ChatNode,
  options: ProgramOptions,
): Promise<void> {
  const isTerminal = stdin.isTTY && stdout.isTTY;
  const style = options.isPlain ? plainStyle : chooseStyle(stdout.isTTY, process.env);
  const lines = new Lines(chat, style);
  const print = (line: string): void => screen.print(line);
  const commands = new Commands({ chat, lines, print, quit: () => screen.end() }, options.room);
  const screen = new Screen({
    input: stdin,
    output: stdout,
    isTerminal,
    prompt: () => `${style.paint("dim", `#${commands.room ?? ""}`)} ${chat.nameOf(chat.id)}> `,
    complete: (line) => commands.complete(line),
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => screen.leave());
  }
  // Whoever read our output is gone: `chat | head`.
  stdout.on("error", () => screen.leave());
  chat.on("message", (message) => print(lines.message(message, commands.room)));
  chat.on("presence", (event) => {
    // A crowd that one meets is not called by its names; /peers does that.
    const isCrowd = event.change === "here" && chat.members(event.room).length > MAX_GREETED;
    if (!isCrowd) print(lines.presence(event));
  });
  chat.on("renamed", (event) => print(lines.renamed(event)));
  let isAlone = false;
  exchange.on("status", ({ status }) => {
    if (status === "isolated") print(lines.error("nobody is connected; trying to get back"));
    if (status === "joined" && isAlone) print(lines.notice("connected again"));
    isAlone = status === "isolated";
  });
  print(lines.notice(`you are ${chat.nameOf(chat.id)}; others join you with --join and this:`));
  print(server.enode);
  if (/^(?:0\.0\.0\.0|\[::\]|):/.test(options.listen)) {
    print(lines.notice("from other machines, with this one's address in the place of 127.0.0.1"));
  }
  try {
    if (options.join.length > 0 && !(await join(exchange, screen.signal))) return;
    chat.join(options.room);
    print(lines.notice(`you are in #${options.room}; /help lists what you can do`));
    await screen.read((line) => commands.run(line));
    // Receipts are waited for, unless somebody is in a hurry.
    await Promise.race([commands.settled(), aborted(screen.signal)]);
  } finally {
    screen.end();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
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

import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { escapeText } from "@heddle/identity";

import type { Report } from "./node.ts";
import { drawTable, isComplete, isConnected } from "./table.ts";

const NODE = fileURLToPath(new URL("node.ts", import.meta.url));
const LEGEND = "peer: connected   known: in the address book   .: unknown";

/** By then all must have happened, in milliseconds. */
const DEADLINE_MS = 60_000;

class Process {
  readonly name: string;
  report: Report | undefined;
  #child: ChildProcess | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** Starts the node; resolves with its first report, once it listens. */
  async start(bootstrap: readonly string[]): Promise<Report> {
    const child = fork(NODE, bootstrap, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#child = child;
    child.on("message", (report) => this.#heard(report as Report));
    child.on("exit", () => this.#heard(undefined));
    await Promise.race([once(child, "message"), once(child, "exit")]);
    if (this.report === undefined) throw new Error(`${this.name} did not start`);
    return this.report;
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }

  #heard(report: Report | undefined): void {
    this.report = report;
    if (process.stdout.isTTY) show();
    for (const look of waiting) look();
  }
}

const nodes = ["bootstrap", "alice", "bob", "carol", "dave"].map((name) => new Process(name));
const waiting = new Set<() => void>();
let headline = "";

/** Draws the table: in its place on a terminal, else below the one before. */
function show(): void {
  const text = `${headline}\n\n${drawTable(nodes)}\n`;
  console.log(process.stdout.isTTY ? `\u001B[H\u001B[J${text}\n${LEGEND}` : text);
}

/** Shows the table as soon as what the nodes report is so. */
async function showWhen(isSo: () => boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (!isSo()) return;
      waiting.delete(look);
      resolve();
    };
    waiting.add(look);
    look();
  });
  show();
}

async function demonstrate([first, ...others]: readonly Process[]): Promise<void> {
  if (first === undefined) return;
  headline = "One node runs, and four start that are given its address.";
  const { id, enode } = await first.start([]);
  await Promise.all(others.map((node) => node.start([enode])));
  show();
  headline = "Everybody knows everybody.";
  await showWhen(() => isComplete(nodes) && isConnected(nodes));
  headline = "The bootstrap node is killed; the others are one network without it.";
  await first.end("SIGKILL");
  const hasNoticed = ({ report }: Process): boolean => report?.connected.includes(id) === false;
  await showWhen(() => others.every(hasNoticed) && isConnected(nodes));
}

const [argument] = process.argv.slice(2);
if (argument !== undefined) {
  console.error(`peer-exchange: takes no arguments, got ${escapeText(argument, 50)}`);
  process.exit(2);
}
const deadline = setTimeout(() => {
  console.error(`peer-exchange: not done after ${DEADLINE_MS} ms`);
  process.exit(1);
}, DEADLINE_MS);
try {
  await demonstrate(nodes);
  clearTimeout(deadline);
  if (process.stdout.isTTY) await once(process, "SIGINT");
} catch (error) {
  console.error(`peer-exchange: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  clearTimeout(deadline);
  await Promise.all(nodes.map((node) => node.end("SIGTERM")));
}

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterEach, expect, test, vi } from "vitest";

const MAIN = fileURLToPath(new URL("../examples/chat/main.ts", import.meta.url));
const ENODE = /enode:\/\/[0-9a-f]{128}@127\.0\.0\.1:\d+/;

/** Everything here waits for other processes: for as long as it takes on a busy machine. */
const patience = { timeout: 60_000, interval: 50 };
const TEST_MS = 240_000;

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "heddle-chat-"));
  cleanups.push(() => rm(folder, { recursive: true }));
  return folder;
}

/** One chat program whose input and output are pipes. */
class Program {
  readonly #child: ChildProcess;
  #code: number | null | undefined;
  output = "";
  errors = "";

  constructor(...args: string[]) {
    this.#child = spawn(process.execPath, ["--import", "tsx", MAIN, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    cleanups.push(() => void this.#child.kill("SIGKILL"));
    this.#child.stdout?.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    this.#child.stderr?.on("data", (chunk: Buffer) => (this.errors += chunk.toString()));
    this.#child.once("close", (code) => (this.#code = code));
  }

  /** What was printed, without times, and without what differs from run to run. */
  get transcript(): string[] {
    const text = this.output.replace(ENODE, "ENODE").replaceAll(/^\d\d:\d\d /gm, "");
    return text.split("\n").slice(0, -1);
  }

  type(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits until a line is printed, so many times. */
  async prints(line: string, times = 1): Promise<void> {
    await vi.waitFor(() => {
      const count = this.transcript.filter((each) => each === line).length;
      if (count < times) throw new Error(`not printed: ${line}\n${this.output}${this.errors}`);
    }, patience);
  }

  /** Waits for the end; resolves with the exit code. */
  async exited(): Promise<number | null> {
    return vi.waitFor(() => {
      if (this.#code === undefined) throw new Error(`it still runs\n${this.output}${this.errors}`);
      return this.#code;
    }, patience);
  }

  async enode(): Promise<string> {
    await this.prints("ENODE");
    return ENODE.exec(this.output)?.[0] ?? "";
  }
}

test(
  "three processes: a room, a direct message with its receipt, one killed and started again",
  async () => {
    const folder = await temporaryFolder();
    const ann = new Program("--nick", "ann");
    const enode = await ann.enode();
    const calArgs = ["--nick", "cal", "--join", enode, "--key-file", join(folder, "cal.key")];
    const bob = new Program("--nick", "bob", "--join", enode);
    await ann.prints("* bob has joined #lobby");
    const cal = new Program(...calArgs);
    await ann.prints("* cal has joined #lobby");
    await bob.prints("* cal has joined #lobby");

    bob.type("hello, everybody");
    for (const other of [ann, cal]) await other.prints("<bob> hello, everybody");
    ann.type("/msg cal just between us");
    await ann.prints("[you -> cal] just between us (delivered)");
    await cal.prints("[ann -> you] just between us");

    cal.kill("SIGKILL");
    await cal.exited();
    ann.type("is cal still here?");
    await bob.prints("<ann> is cal still here?");
    const again = new Program(...calArgs);
    await ann.prints("* cal is back in #lobby");
    await bob.prints("* cal is back in #lobby");
    // What was said while it was away, and before.
    await again.prints("<ann> is cal still here?");
    await again.prints("<bob> hello, everybody");
    again.type("I was away");
    for (const other of [ann, bob]) await other.prints("<cal> I was away");
    bob.type("/msg cal welcome back");
    await bob.prints("[you -> cal] welcome back (delivered)");
    await again.prints("[bob -> you] welcome back");

    bob.type("/quit");
    await ann.prints("* bob has left #lobby");
    expect(await bob.exited()).toBe(0);
    again.kill("SIGTERM");
    await ann.prints("* cal has left #lobby");
    expect(await again.exited()).toBe(0);
    ann.endInput();
    expect(await ann.exited()).toBe(0);

    expect(ann.transcript).toEqual([
      "* you are ann; others join you with --join and this:",
      "ENODE",
      "* you are in #lobby; /help lists what you can do",
      "* bob has joined #lobby",
      "* cal has joined #lobby",
      "<bob> hello, everybody",
      "[you -> cal] just between us (delivered)",
      "* cal is back in #lobby",
      "<cal> I was away",
      "* bob has left #lobby",
      "* cal has left #lobby",
    ]);
    expect([ann, bob, cal, again].map(({ errors }) => errors)).toEqual(["", "", "", ""]);
  },
  TEST_MS,
);

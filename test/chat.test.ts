import { execFileSync, spawn, spawnSync } from "node:child_process";
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

/** Nobody vanishes because a process takes its time to start. */
const PATIENT = ["--heartbeat", "600"];

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
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
    this.#child = spawn(process.execPath, ["--import", "tsx", MAIN, ...PATIENT, ...args], {
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

test(
  "a node that others joined through is killed and started again, and they find back to it",
  async () => {
    const folder = await temporaryFolder();
    const annArgs = ["--nick", "ann", "--key-file", join(folder, "ann.key")];
    const ann = new Program(...annArgs);
    const enode = await ann.enode();
    const bob = new Program("--nick", "bob", "--join", enode);
    await ann.prints("* bob has joined #lobby");
    ann.kill("SIGKILL");
    await ann.exited();
    await bob.prints("! nobody is connected; trying to get back");
    bob.type("said to nobody");
    const again = new Program(...annArgs, "--listen", `127.0.0.1:${enode.split(":").at(-1)}`);
    await bob.prints("* connected again");
    await bob.prints("* ann is back in #lobby");
    await again.prints("<bob> said to nobody");
    bob.endInput();
    expect(await bob.exited()).toBe(0);
    await again.prints("* bob has left #lobby");
    expect(bob.transcript.filter((line) => line.startsWith("! "))).toHaveLength(1);
  },
  TEST_MS,
);

test(
  "lines from a pipe are said once the network is joined, and then the program leaves",
  async () => {
    const ann = new Program("--nick", "ann");
    const bob = new Program("--nick", "bob", "--join", await ann.enode());
    for (const line of [
      "good evening",
      "/msg ann and to you",
      "/msg zoe hi",
      "/nonsense",
      "//msg",
    ]) {
      bob.type(line);
    }
    bob.endInput();
    expect(await bob.exited()).toBe(0);
    // That ann is in the room may be known before the receipt comes, or after.
    const notices = ["* ann has joined #lobby", "* ann is in #lobby"];
    expect(bob.transcript.slice(2).filter((line) => !notices.includes(line))).toEqual([
      "* you are in #lobby; /help lists what you can do",
      "! there is no command /nonsense; /help lists them",
      "! not delivered: nobody here is called zoe",
      "[you -> ann] and to you (delivered)",
    ]);
    await ann.prints("* bob has left #lobby");
    for (const line of ["<bob> good evening", "[bob -> you] and to you", "<bob> /msg"]) {
      await ann.prints(line);
    }
    expect(ann.transcript.join()).not.toContain("too late");
    ann.kill("SIGINT");
    expect(await ann.exited()).toBe(0);
  },
  TEST_MS,
);

/** The base point of the curve: a public key that no node has. */
const NOBODY =
  "enode://79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798" +
  "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";

test.each([
  { args: ["--nick", "a b"], code: 2, problem: "chat: --nick: expected letters" },
  {
    args: ["--nick", "ann", "--listen", "192.0.2.1:0"],
    code: 1,
    problem: "chat: listen EADDRNOTAVAIL",
  },
  {
    args: ["--nick", "ann", "--join", `${NOBODY}@127.0.0.1:1`],
    code: 1,
    problem: "chat: none of 1 nodes could be joined: 127.0.0.1:1: ",
  },
])(
  "$args is answered by: $problem",
  async ({ args, code, problem }) => {
    const program = new Program(...args);
    expect(await program.exited()).toBe(code);
    expect(program.errors).toContain(problem);
    expect(program.errors.split("\n")).toHaveLength(code === 2 ? 3 : 2);
  },
  TEST_MS,
);

/** Says in the terminal how the program ended, and keeps it open. */
const LAUNCHER = '"$@"; echo "it ended with $?"; exec sleep 600';

/** A terminal emulator of its own, in which programs run that are typed into and looked at. */
class Terminals {
  readonly #socket: string;

  constructor(folder: string) {
    this.#socket = join(folder, "tmux");
    cleanups.push(() => void spawnSync("tmux", ["-S", this.#socket, "kill-server"]));
  }

  /** Starts the program in a terminal of 100 columns and 30 rows. */
  start(name: string, args: string[], environment: Record<string, string> = {}): Screen {
    const variables = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
    const program = [process.execPath, "--import", "tsx", MAIN, ...PATIENT, ...args];
    const command = ["env", "-u", "NO_COLOR", ...variables, "sh", "-c", LAUNCHER, "sh", ...program];
    this.run("new-session", "-d", "-s", name, "-x", "100", "-y", "30", ...command);
    return new Screen(this, name);
  }

  run(...args: string[]): string {
    return execFileSync("tmux", ["-S", this.#socket, "-f", "/dev/null", ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  }
}

/** What one person sees of one program. */
class Screen {
  readonly #terminals: Terminals;
  readonly #name: string;

  constructor(terminals: Terminals, name: string) {
    this.#terminals = terminals;
    this.#name = name;
  }

  /** The lines on the screen; long ones are not folded, and times are left out. */
  get lines(): string[] {
    const text = this.#terminals.run("capture-pane", "-p", "-J", "-t", this.#name);
    const lines = text.replace(ENODE, "ENODE").split("\n");
    return lines
      .map((line) => line.replace(/^\d\d:\d\d /, "").trimEnd())
      .filter((line) => line !== "");
  }

  /** The screen with the codes of its colours. */
  get colours(): string {
    return this.#terminals.run("capture-pane", "-p", "-e", "-J", "-t", this.#name);
  }

  get enode(): string {
    return ENODE.exec(this.#terminals.run("capture-pane", "-p", "-J", "-t", this.#name))?.[0] ?? "";
  }

  type(text: string): void {
    this.#terminals.run("send-keys", "-t", this.#name, "-l", text);
  }

  press(...keys: string[]): void {
    this.#terminals.run("send-keys", "-t", this.#name, ...keys);
  }

  say(text: string): void {
    this.type(text);
    this.press("Enter");
  }

  /** Kills the program, which is the only child of its launcher. */
  kill(): void {
    const launcher = this.#terminals.run("display-message", "-p", "-t", this.#name, "#{pane_pid}");
    const all = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).split("\n");
    const pids = all.map((line) => line.trim().split(/\s+/));
    const child = pids.find(([, parent]) => parent === launcher.trim());
    process.kill(Number(child?.[0]), "SIGKILL");
  }

  async shows(...wanted: string[]): Promise<void> {
    await vi.waitFor(() => {
      const { lines } = this;
      for (const line of wanted) {
        if (!lines.includes(line)) throw new Error(`not shown: ${line}\n${lines.join("\n")}`);
      }
    }, patience);
  }

  /** Waits until the last line is this. */
  async ends(wanted: string): Promise<void> {
    await vi.waitFor(() => expect(this.lines.at(-1)).toBe(wanted), patience);
  }

  /** Waits for the end of the program; resolves with its exit code. */
  async exited(): Promise<string | undefined> {
    return vi.waitFor(() => {
      const { lines } = this;
      const ended = lines.find((line) => line.startsWith("it ended with "));
      if (ended === undefined) throw new Error(`it still runs\n${lines.join("\n")}`);
      return ended.split(" ").at(-1);
    }, patience);
  }
}

const hasTmux = spawnSync("tmux", ["-V"]).status === 0;

test.skipIf(!hasTmux)(
  `three people at terminals${hasTmux ? "" : " (skipped: there is no tmux)"}: what is typed stays whole while others speak`,
  async () => {
    const folder = await temporaryFolder();
    const terminals = new Terminals(folder);
    const ann = terminals.start("ann", ["--nick", "ann"]);
    await ann.shows("ENODE");
    const common = ["--join", ann.enode];
    const bob = terminals.start("bob", ["--nick", "bob", ...common]);
    await ann.shows("* bob has joined #lobby");
    const calArgs = ["--nick", "cal", "--key-file", join(folder, "cal.key"), ...common];
    const cal = terminals.start("cal", calArgs, { NO_COLOR: "1" });
    await ann.shows("* cal has joined #lobby");
    await bob.shows("* cal has joined #lobby");
    await ann.ends("#lobby ann>");

    // Ann is in the middle of a line when Bob says something.
    ann.type("half a sentense");
    await ann.ends("#lobby ann> half a sentense");
    bob.say("am I interrupting?");
    await ann.shows("<bob> am I interrupting?");
    await ann.ends("#lobby ann> half a sentense");
    ann.press("Left", "BSpace");
    ann.type("c");
    ann.press("Enter");
    for (const other of [bob, cal]) await other.shows("<ann> half a sentence");

    // The same with a line that takes two rows, and the cursor in the first.
    const long = "word ".repeat(24).trimEnd();
    ann.type(long);
    await ann.ends(`#lobby ann> ${long}`);
    ann.press("Home");
    bob.say("and now?");
    await ann.shows("<bob> am I interrupting?", "<bob> and now?", "* cal has joined #lobby");
    await ann.ends(`#lobby ann> ${long}`);
    ann.say("first ");
    for (const other of [bob, cal]) await other.shows(`<ann> first ${long}`);

    // Tab completes; the receipt comes.
    ann.type("/ms");
    ann.press("Tab");
    ann.type("ca");
    ann.press("Tab");
    ann.say("psst");
    await ann.shows("[you -> cal] psst (delivered)");
    await cal.shows("[ann -> you] psst");

    cal.kill();
    expect(await cal.exited()).toBe("137");
    const again = terminals.start("cal-again", calArgs, { NO_COLOR: "1" });
    await ann.shows("* cal is back in #lobby");
    again.say("I fell over");
    for (const other of [ann, bob]) await other.shows("<cal> I fell over");
    // It was told what it had missed.
    await again.shows("<bob> am I interrupting?");

    expect(ann.colours).toContain("\u001b[");
    expect(again.colours).not.toContain("\u001b[");

    // A stranger whose text is no text.
    const eve = new Program("--nick", "ann", ...common);
    await eve.prints("* you are in #lobby; /help lists what you can do");
    eve.type("\u001b[2J\u001b[31mgone\u202e");
    await ann.shows("* bob has joined #lobby");
    await vi.waitFor(() => {
      const pattern = /^<ann#[0-9a-f]{4}> \\u\{1b\}\[2J\\u\{1b\}\[31mgone\\u\{202e\}$/;
      expect(bob.lines.filter((line) => pattern.test(line))).toHaveLength(1);
    }, patience);
    eve.endInput();
    expect(await eve.exited()).toBe(0);

    // Who cannot join is told, and has the terminal back.
    const zoe = terminals.start("zoe", ["--nick", "zoe", "--join", `${NOBODY}@127.0.0.1:1`]);
    expect(await zoe.exited()).toBe("1");

    bob.press("C-c");
    expect(await bob.exited()).toBe("0");
    await ann.shows("* bob has left #lobby");
    again.say("/quit");
    expect(await again.exited()).toBe("0");
    await ann.shows("* cal has left #lobby");
    const transcript = ann.lines.map((line) => line.replaceAll(/ann#[0-9a-f]{4}/g, "ann#ID"));
    ann.press("C-d");
    expect(await ann.exited()).toBe("0");
    expect(transcript).toEqual([
      "* you are ann; others join you with --join and this:",
      "ENODE",
      "* you are in #lobby; /help lists what you can do",
      "* bob has joined #lobby",
      "* cal has joined #lobby",
      "<bob> am I interrupting?",
      "#lobby ann> half a sentence",
      "<bob> and now?",
      `#lobby ann> first ${long}`,
      "#lobby ann> /msg cal psst",
      "[you -> cal] psst (delivered)",
      "* cal is back in #lobby",
      "<cal> I fell over",
      "* ann#ID has joined #lobby",
      "<ann#ID> \\u{1b}[2J\\u{1b}[31mgone\\u{202e}",
      "* ann#ID has left #lobby",
      "* bob has left #lobby",
      "* cal has left #lobby",
      "#lobby ann#ID>",
    ]);
  },
  TEST_MS,
);

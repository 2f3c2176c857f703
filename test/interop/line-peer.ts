import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { EventLog, type Match, type PeerEvent } from "./event-log.ts";
import { parseRecord } from "./record.ts";

const EXIT_TIMEOUT_MS = 5_000;
const STDERR_KEPT = 4_000;

/**
 * A peer in a process of its own, driven by JSON lines: commands in, events out. A line that is no event
 * becomes the event `line` with its `text`; the end of the process is the event `exit`.
 *
 * Disposing closes standard input, which ends the process, and kills it by its id when it does not.
 */
export class LinePeer implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #exited: Promise<unknown>;
  readonly #log: EventLog;
  #stderr = "";

  /** Starts the process; `name` stands in failure messages. */
  constructor(name: string, file: string, args: readonly string[], cwd?: string) {
    this.#log = new EventLog(name, () => `standard error:\n${this.#stderr || "  (empty)"}`);
    this.#child = spawn(file, args, { cwd, stdio: ["pipe", "pipe", "pipe"] });
    this.#child.on("error", (error) => this.#log.close(`it did not start: ${error.message}`));
    this.#child.on("close", (code, signal) => {
      this.#log.push({ event: "exit", code, signal });
      this.#log.close(`it exited with ${signal ?? code}`);
    });
    this.#exited = once(this.#child, "close").catch(() => undefined);
    // A command written to a process that has just ended fails by what is expected next, not here.
    this.#child.stdin.on("error", () => undefined);
    this.#child.stderr.setEncoding("utf8");
    this.#child.stderr.on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#receive(line));
  }

  /** Writes one command line. */
  send(command: Readonly<Record<string, unknown>>): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /** Sends the process a signal. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** See {@link EventLog.expect}; fails as well when the process ends. */
  expect(event: string, match?: Match, options?: { timeoutMs?: number }): Promise<PeerEvent> {
    return this.#log.expect(event, match, options);
  }

  /** See {@link EventLog.seen}. */
  seen(event: string, match?: Match): PeerEvent[] {
    return this.#log.seen(event, match);
  }

  /** Closes standard input and waits for the end of the process; kills it when it stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), EXIT_TIMEOUT_MS);
    if (!this.#log.isClosed) await this.#exited;
    clearTimeout(timer);
  }

  #receive(line: string): void {
    const record = parseRecord(line);
    const event = record?.["event"];
    this.#log.push(
      typeof event === "string" ? { ...record, event } : { event: "line", text: line },
    );
  }
}

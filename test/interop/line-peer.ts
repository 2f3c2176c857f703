import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { parseRecord } from "./record.ts";

/** One JSON line that a peer process wrote: the name of the event and what it carries. */
export interface PeerEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** Which fields an expected event must carry, or a test of the whole event. */
export type Match = Readonly<Record<string, unknown>> | ((event: PeerEvent) => boolean);

interface Waiter {
  readonly event: string;
  readonly match: Match;
  readonly resolve: (event: PeerEvent) => void;
  readonly reject: (error: Error) => void;
}

const EXPECT_TIMEOUT_MS = 15_000;
const EXIT_TIMEOUT_MS = 5_000;
const STDERR_KEPT = 4_000;
const EVENTS_SHOWN = 25;

/**
 * A peer of another implementation in a process of its own, driven by JSON lines: commands in, events out.
 *
 * Events are kept until they are expected, so nothing is missed between two calls. Disposing closes standard
 * input, which ends the process, and kills it by its id when it does not.
 */
export class LinePeer implements AsyncDisposable {
  readonly #name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #exited: Promise<unknown>;
  readonly #unclaimed: PeerEvent[] = [];
  readonly #all: PeerEvent[] = [];
  readonly #waiters = new Set<Waiter>();
  #stderr = "";
  #end: string | undefined;

  /** Starts the process; `name` stands in failure messages. */
  constructor(name: string, file: string, args: readonly string[], cwd?: string) {
    this.#name = name;
    this.#child = spawn(file, args, { cwd, stdio: ["pipe", "pipe", "pipe"] });
    this.#child.on("error", (error) => this.#finish(`did not start: ${error.message}`));
    this.#child.on("close", (code, signal) => this.#finish(`exited with ${signal ?? code}`));
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

  /**
   * Takes the oldest event of that name that matches and was not taken before, or waits for it.
   *
   * @throws Error that shows the last events and standard error, when the time is over or the process is
   */
  async expect(
    event: string,
    match: Match = {},
    { timeoutMs = EXPECT_TIMEOUT_MS }: { timeoutMs?: number } = {},
  ): Promise<PeerEvent> {
    const index = this.#unclaimed.findIndex((seen) => matches(seen, event, match));
    const found = this.#unclaimed[index];
    if (found !== undefined) {
      this.#unclaimed.splice(index, 1);
      return found;
    }
    if (this.#end !== undefined) throw this.#failure(event, match, this.#end);
    let timer: NodeJS.Timeout | undefined;
    let waiter: Waiter | undefined;
    try {
      return await new Promise<PeerEvent>((resolve, reject) => {
        waiter = { event, match, resolve, reject };
        this.#waiters.add(waiter);
        timer = setTimeout(() => {
          reject(this.#failure(event, match, `nothing for ${timeoutMs} ms`));
        }, timeoutMs);
      });
    } finally {
      clearTimeout(timer);
      if (waiter !== undefined) this.#waiters.delete(waiter);
    }
  }

  /** All events of that name so far, taken or not. */
  seen(event: string, match: Match = {}): PeerEvent[] {
    return this.#all.filter((seen) => matches(seen, event, match));
  }

  /** Closes standard input and waits for the end of the process; kills it when it stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), EXIT_TIMEOUT_MS);
    if (this.#end === undefined) await this.#exited;
    clearTimeout(timer);
  }

  #receive(line: string): void {
    const record = parseRecord(line);
    const name = record?.["event"];
    const event: PeerEvent =
      typeof name === "string" ? { ...record, event: name } : { event: "garbage", line };
    this.#all.push(event);
    for (const waiter of this.#waiters) {
      if (!matches(event, waiter.event, waiter.match)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(event);
      return;
    }
    this.#unclaimed.push(event);
  }

  #finish(end: string): void {
    this.#end ??= end;
    for (const { event, match, reject } of this.#waiters) {
      reject(this.#failure(event, match, end));
    }
    this.#waiters.clear();
  }

  #failure(event: string, match: Match, why: string): Error {
    const wanted = typeof match === "function" ? match.toString() : JSON.stringify(match);
    const events = this.#all.slice(-EVENTS_SHOWN).map((seen) => `  ${JSON.stringify(seen)}`);
    return new Error(
      [
        `${this.#name}: expected ${event} ${wanted}, but ${why}; the last events were`,
        ...events,
        `and standard error was\n${this.#stderr || "  (empty)"}`,
      ].join("\n"),
    );
  }
}

function matches(seen: PeerEvent, event: string, match: Match): boolean {
  if (seen.event !== event) return false;
  if (typeof match === "function") return match(seen);
  return Object.entries(match).every(
    ([field, value]) => JSON.stringify(seen[field]) === JSON.stringify(value),
  );
}

import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";

const START_TIMEOUT_MS = 20_000;

/** A child that takes commands as JSON lines and answers each with one JSON line. */
export class LineProcess implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  #stderr = "";
  #waiting:
    | { resolve(line: Record<string, unknown>): void; reject(error: Error): void }
    | undefined;
  #first: Promise<Record<string, unknown>>;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: "pipe" });
    this.#first = this.#answer(START_TIMEOUT_MS);
    this.#first.catch(() => undefined);
    this.#child.stderr.on("data", (chunk: Uint8Array) => {
      this.#stderr = (this.#stderr + Buffer.from(chunk).toString()).slice(-4_000);
    });
    this.#child.stdin.on("error", () => undefined);
    this.#child.on("error", (error) => this.#waiting?.reject(error));
    this.#child.on("exit", (code) =>
      this.#waiting?.reject(new Error(`${args.join(" ")} exited with ${code}: ${this.#stderr}`)),
    );
    createInterface({ input: this.#child.stdout }).on("line", (text) => this.#take(text));
  }

  /** The line it says on its own when it is ready. */
  ready(): Promise<Record<string, unknown>> {
    return this.#first;
  }

  /**
   * Gives a command and waits for its answer.
   *
   * @throws Error when the child answers with an error, exits, or takes longer than `timeoutMs`
   */
  ask(command: object, timeoutMs: number): Promise<Record<string, unknown>> {
    const answer = this.#answer(timeoutMs);
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    return answer;
  }

  /** Ends the child: by the end of its input, and if that does not do, by force. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 3_000);
    this.#child.stdin.end();
    await exited;
    clearTimeout(timer);
  }

  #answer(timeoutMs: number): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer in ${timeoutMs} ms: ${this.#stderr}`)),
        timeoutMs,
      );
      const finish = (): void => {
        clearTimeout(timer);
        this.#waiting = undefined;
      };
      this.#waiting = {
        resolve: (line) => (finish(), resolve(line)),
        reject: (error) => (finish(), reject(error)),
      };
    });
  }

  /** What is not an answer (a library's own words on standard output) is passed over. */
  #take(text: string): void {
    if (!text.startsWith("{") || this.#waiting === undefined) return;
    const line = JSON.parse(text) as Record<string, unknown>;
    if (typeof line["error"] === "string") this.#waiting.reject(new Error(line["error"]));
    else if (!("event" in line)) this.#waiting.resolve(line);
  }
}

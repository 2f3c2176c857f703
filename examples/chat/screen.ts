import { clearScreenDown, createInterface, cursorTo, moveCursor } from "node:readline";
import type { Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";

const ignore = (): void => undefined;

/** What a screen is made of. */
export interface ScreenOptions {
  readonly input: Readable;
  readonly output: Writable;
  /** Whether a person sits before it: then there is a prompt, and the line can be edited. */
  readonly isTerminal: boolean;
  readonly prompt: () => string;
  /** What Tab may complete the line to, as `node:readline` has it. */
  readonly complete: (line: string) => [string[], string];
}

/**
 * Where lines are printed and typed. What comes while somebody types goes above the line, which stays as it
 * is; without a terminal it is lines in, lines out.
 */
export class Screen {
  readonly #options: ScreenOptions;
  readonly #reader: Interface;
  readonly #ended: Promise<void>;
  readonly #leaving = new AbortController();
  readonly #early: string[] = [];
  #work: ((line: string) => void) | undefined;
  #isEnding = false;
  #isClosed = false;

  constructor(options: ScreenOptions) {
    const { complete, input, isTerminal, output } = options;
    this.#options = options;
    this.#reader = createInterface({
      input,
      output,
      terminal: isTerminal,
      completer: complete,
      historySize: 500,
      removeHistoryDuplicates: true,
    });
    // Of several characters that come at once, Node 20 adds all but the last to the end of the line, wherever
    // the cursor is, and forgets the row it is in. It does so while completion is off; so it never is.
    Object.defineProperty(this.#reader, "isCompletionEnabled", { get: () => true, set: ignore });
    // Ctrl-D, the end of the input, and we ourselves close it; on Ctrl-C it is up to us.
    this.#ended = new Promise((resolve) => this.#reader.once("close", () => resolve()));
    this.#reader.once("close", () => this.#closed());
    this.#reader.on("SIGINT", () => this.leave());
    this.#reader.on("line", (line) => this.#take(line));
    // A person may want to leave before anything is read; what else there is can wait.
    if (!isTerminal) this.#reader.pause();
  }

  /** Prints a line that is safe to print. */
  print(line: string): void {
    const { isTerminal, output } = this.#options;
    if (!isTerminal || this.#isClosed) {
      output.write(`${line}\n`);
      return;
    }
    moveCursor(output, 0, -this.#reader.getCursorPos().rows);
    cursorTo(output, 0);
    clearScreenDown(output);
    output.write(`${line}\n`);
    this.#drawPrompt();
  }

  /** Aborts when somebody wants to leave at once; the end of a pipe is no such wish. */
  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Works off every line that is typed, or was before, until there are no more. */
  async read(work: (line: string) => void): Promise<void> {
    this.#work = work;
    for (const line of this.#early.splice(0)) this.#take(line);
    if (!this.#isClosed) this.#reader.resume();
    this.refresh();
    await this.#ended;
  }

  /** Shows the prompt as it is now, and the line behind it. */
  refresh(): void {
    if (this.#options.isTerminal && !this.#isClosed) this.#drawPrompt();
  }

  /** Takes no more lines; what is printed from now on stands below. */
  end(): void {
    this.#isEnding = true;
    this.#reader.close();
  }

  /** Takes no more lines, and tells everybody to hurry. */
  leave(): void {
    this.#leaving.abort();
    this.end();
  }

  #take(line: string): void {
    if (this.#isEnding) return;
    if (this.#work === undefined) this.#early.push(line);
    else {
      this.#work(line);
      this.refresh();
    }
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // A pipe that nobody reads would keep the process alive until its other end is closed.
    this.#options.input.destroy();
    if (!this.#options.isTerminal) return;
    // Ctrl-D: nobody is left to wait for anything.
    if (!this.#isEnding) this.#leaving.abort();
    this.#options.output.write("\n");
  }

  #drawPrompt(): void {
    this.#reader.setPrompt(this.#options.prompt());
    // Where readline believes the cursor to be, in rows below the prompt: it would go up that far, and
    // overwrite what has been printed since.
    Object.assign(this.#reader, { prevRows: 0 });
    this.#reader.prompt(true);
  }
}

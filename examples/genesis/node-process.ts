import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import type { Command, Report } from "./node.ts";

const NODE = fileURLToPath(new URL("node.ts", import.meta.url));

/** A node in a process of its own, and what it has told of itself. */
export class NodeProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #heard = new Set<string>();
  readonly #gone: Promise<never>;
  #enode: string | undefined;
  #known: ReadonlySet<string> = new Set();

  /** @param genesis - all it is told of the network */
  constructor(name: string, genesis?: string) {
    this.name = name;
    const args = genesis === undefined ? [name] : [name, genesis];
    this.#child = fork(NODE, args, { execArgv: ["--import", "tsx"] });
    this.#gone = once(this.#child, "exit").then(() => {
      throw new Error(`${name} has ended too early`);
    });
    // To be killed is no fault: it matters only to those who wait.
    this.#gone.catch(() => undefined);
    this.#child.on("message", (report: Report) => {
      if ("listens" in report) this.#enode = report.listens;
      if ("knows" in report) this.#known = new Set(report.knows);
      if ("heard" in report) this.#heard.add(report.heard);
    });
  }

  async enode(): Promise<string> {
    await this.#until(() => this.#enode !== undefined);
    return this.#enode ?? "";
  }

  knows(names: readonly string[]): Promise<void> {
    return this.#until(() => names.every((name) => name === this.name || this.#known.has(name)));
  }

  heard(title: string): Promise<void> {
    return this.#until(() => this.#heard.has(title));
  }

  say(title: string, message: string): void {
    this.#child.send({ say: { title, message } } satisfies Command);
  }

  async kill(): Promise<void> {
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await Promise.race([once(this.#child, "message"), this.#gone]);
  }
}

import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Messages are numbered modulo this, in their last byte. */
export const RING = 16;

/** How the child reads: at once and releasing or keeping what it read, in 20 ms a message, or never. */
export type ReaderMode = "read" | "keep" | "slow" | "never";

/** What the child says of itself; memory in bytes. */
export interface Report {
  messages: number;
  bytes: number;
  inOrder: boolean;
  peers: number;
  memory: { rss: number; heapUsed: number; external: number; arrayBuffers: number };
}

/** Why a peer of the child's ended, and what had arrived by then. */
export interface Drop {
  drop: string;
  messages: number;
  bytes: number;
  inOrder: boolean;
}

type Line = { enode: string } | { report: Report } | Drop;

/** The other process of a measurement: a Heddle server that reads in the given way. */
export class PeerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly drops: Drop[] = [];
  enode = "";
  #waiting: ((line: Line) => boolean)[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (line: Line) => {
      if ("drop" in line) this.drops.push(line);
      this.#waiting = this.#waiting.filter((take) => !take(line));
    });
  }

  static async start(mode: ReaderMode, flow: "flow" | "plain" = "flow"): Promise<PeerProcess> {
    const path = fileURLToPath(new URL("child.ts", import.meta.url));
    const child = fork(path, [mode, flow], {
      execArgv: ["--expose-gc", "--conditions=dist", "--import", "tsx"],
    });
    const peer = new PeerProcess(child);
    peer.enode = await peer.#next((line) => ("enode" in line ? line.enode : undefined));
    return peer;
  }

  /** Asks for a report, after a garbage collection if told to. */
  async report(options: { gc: boolean } = { gc: false }): Promise<Report> {
    const answer = this.#next((line) => ("report" in line ? line.report : undefined));
    this.#child.send(options.gc ? "gc" : "report");
    return answer;
  }

  /** Resolves with the next drop. */
  nextDrop(): Promise<Drop> {
    return this.#next((line) => ("drop" in line ? line : undefined));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.send("stop");
    await exited;
  }

  #next<T>(pick: (line: Line) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void =>
        reject(new Error(`the peer exited with ${code}`));
      this.#child.once("exit", onExit);
      this.#waiting.push((line) => {
        const picked = pick(line);
        if (picked === undefined) return false;
        this.#child.off("exit", onExit);
        resolve(picked);
        return true;
      });
    });
  }
}

import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(
  new URL("../../packages/file-share/test/processes/node.ts", import.meta.url),
);

/** How far a transfer is, as the process tells once for every percent. */
export interface Progress {
  readonly size: number;
  readonly doneBytes: number;
  readonly resumedBytes: number;
  readonly sources: number;
}

/** A finished transfer, as the process tells it. */
export interface Fetched {
  readonly path: string;
  readonly size: number;
  readonly ms: number;
  /** Of resident memory, looked at once for every percent. */
  readonly rss: readonly number[];
  readonly resumedBytes: number;
  readonly sources: readonly { id: string; bytes: number; fault?: string }[];
}

/** What a process knows of itself. */
export interface Facts {
  readonly rss: number;
  /** Microseconds. */
  readonly cpu: { readonly user: number; readonly system: number };
  /** Bytes of chunks that were read for others. */
  readonly sentBytes: number;
  readonly peers: readonly unknown[];
}

interface Told {
  readonly ready?: { record: string; id: string };
  readonly progress?: Progress;
  readonly id?: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** A node in a process of its own. */
export class NodeProcess {
  /** The node's record as text. */
  readonly record: string;
  /** 128 hex digits. */
  readonly id: string;
  onProgress: (progress: Progress) => void = () => undefined;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (told: Told) => void>();
  #lastId = 0;
  #killed: Promise<void> | undefined;

  private constructor(child: ChildProcess, ready: { record: string; id: string }) {
    this.#child = child;
    this.record = ready.record;
    this.id = ready.id;
    child.on("message", (told: Told) => {
      if (told.progress !== undefined) this.onProgress(told.progress);
      if (told.id !== undefined) this.#waiting.get(told.id)?.(told);
    });
    child.once("exit", () => {
      for (const answer of this.#waiting.values()) answer({ error: "the process has ended" });
    });
  }

  /** Starts one, with the same loader and conditions as this process. */
  static start(): Promise<NodeProcess> {
    const child = fork(PROGRAM);
    return new Promise((resolve, reject) => {
      child.once("message", ({ ready }: Told) => {
        if (ready !== undefined) resolve(new NodeProcess(child, ready));
      });
      child.once("exit", (code) => reject(new Error(`the process ended with ${code}`)));
    });
  }

  /** Has it do something. */
  async ask<T>(command: { readonly do: string; readonly [more: string]: unknown }): Promise<T> {
    const id = ++this.#lastId;
    const told = await new Promise<Told>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.send({ id, command });
    });
    this.#waiting.delete(id);
    if (told.error !== undefined) throw new Error(told.error);
    return told.value as T;
  }

  /** Ends it as a power cut would. */
  kill(): Promise<void> {
    this.#killed ??= new Promise((resolve) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) resolve();
      else this.#child.once("exit", () => resolve());
      this.#child.kill("SIGKILL");
    });
    return this.#killed;
  }
}

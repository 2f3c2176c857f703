import { spawn, spawnSync } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

const LINK = new URL("faults-link.py", import.meta.url).pathname;

/** How long anything may take on a busy machine, in milliseconds. */
export const PATIENCE_MS = 30_000;

/** Who sent a packet. */
export type Side = "left" | "right";

/** Both, for what happens in each direction. */
export const SIDES: readonly Side[] = ["left", "right"];

/** What a link does to packets, in each direction; nothing, where a property is missing. */
export interface Conditions {
  readonly delayMs?: number;
  /** Each packet is late by this much more or less, by chance: then some overtake others. */
  readonly jitterMs?: number;
  /** How likely a packet is lost, 0 to 1. */
  readonly loss?: number;
  /** How likely a packet comes twice, 0 to 1. */
  readonly duplication?: number;
  readonly bitsPerSecond?: number;
  /** What waits for a link of so many bits per second, in bytes; more is refused. */
  readonly queueBytes?: number;
  /** The sides whose packets no longer arrive. */
  readonly cut?: readonly Side[];
}

/** What became of the packets of one direction since the conditions were set. */
export interface Counters {
  readonly came: number;
  readonly cut: number;
  readonly lost: number;
  /** By a full queue. */
  readonly refused: number;
  readonly duplicated: number;
  readonly arrived: number;
  /** Of those that arrived: after one that was sent later. */
  readonly overtaken: number;
  /** In the packets that arrived. */
  readonly bytes: number;
  /** The longest wait for a link of so many bits per second. */
  readonly waitedMs: number;
  readonly seconds: number;
}

/** The counters by the side the packets come from. */
export type Told = Readonly<Record<Side, Counters>>;

/** Why there can be no link on this machine, or undefined; tries it, and removes it again. */
export function whyNoLink(): string | undefined {
  const hosts = ["l", "r"].map((side) => `heddle-try-${process.pid}-${side}`);
  const { error, status, stderr } = spawnSync("python3", [LINK, ...hosts, "1"], {
    encoding: "utf8",
    input: "",
    timeout: PATIENCE_MS,
  });
  if (error !== undefined) return error.message;
  return status === 0 ? undefined : stderr.trim().split("\n").at(-1) || `status ${status}`;
}

/** The process that makes two hosts and carries packets between them, `faults-link.py`. */
export class Link {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  /** @param seed - of the chance by which packets are lost, come twice or are late */
  constructor(left: string, right: string, seed: number) {
    this.#process = spawn("python3", [LINK, left, right, String(seed)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#process.stdin.on("error", () => undefined);
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** Sets new conditions, or asks for the counters alone; one question at a time. */
  async ask(conditions?: Conditions): Promise<Told> {
    this.#process.stdin.write(`${JSON.stringify(conditions ?? null)}\n`);
    const { done, value } = await this.#lines.next();
    if (done === true) throw new Error("the link has ended");
    return JSON.parse(value) as Told;
  }

  /** Ends the link and removes both hosts. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, "exit");
    this.#process.stdin.end();
    await exited;
  }
}

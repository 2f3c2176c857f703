import { fileURLToPath } from "node:url";

import type { Command, Done } from "./drive.ts";
import { LineProcess } from "./line-process.ts";

const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));
const USAGE_TIMEOUT_MS = 20_000;

/** A stack under measurement: its name in the table, how to start it, what it cannot do. */
export interface Stack {
  readonly name: string;
  readonly command: string;
  readonly serve: readonly string[];
  readonly drive: readonly string[];
  /** It has one stream per connection and no protocols on it. */
  readonly hasOneChannel: boolean;
}

/** A stack that runs in Node, from the built packages. */
export function nodeStack(name: string, profileDir?: string): Stack {
  // Not under a name of ours: tsx's own thread writes a profile too, and would replace it.
  const profile = (role: string): string[] =>
    profileDir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDir}/${name}-${role}`];
  const node = ["--expose-gc", "--conditions=dist", "--import", "tsx"];
  return {
    name,
    command: process.execPath,
    serve: [...profile("serve"), ...node, CHILD, name, "serve"],
    drive: [...profile("drive"), ...node, CHILD, name, "drive"],
    hasOneChannel: name === "tcp" || name === "tls",
  };
}

/** go-ethereum, from the binary of the interoperability tests. */
export function gethStack(binary: string): Stack {
  const command = binary;
  return {
    name: "geth",
    command,
    serve: ["bench-serve"],
    drive: ["bench-drive"],
    hasOneChannel: false,
  };
}

/** CPU microseconds of the two processes so far. */
export interface Cpu {
  readonly driveUs: number;
  readonly serveUs: number;
}

/** The two processes of a stack. */
export class ProcessPair implements AsyncDisposable {
  readonly #serve: LineProcess;
  readonly #drive: LineProcess;
  #channels = 0;

  private constructor(serve: LineProcess, drive: LineProcess) {
    this.#serve = serve;
    this.#drive = drive;
  }

  static async start(stack: Stack): Promise<ProcessPair> {
    const serve = new LineProcess(stack.command, stack.serve);
    let drive: LineProcess | undefined;
    try {
      const { address } = await serve.ready();
      drive = new LineProcess(stack.command, [...stack.drive, String(address)]);
      await drive.ready();
      return new ProcessPair(serve, drive);
    } catch (error) {
      await drive?.[Symbol.asyncDispose]();
      await serve[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Opens the long connection with that many protocols, if the open one has not as many. */
  async connect(channels: number): Promise<void> {
    if (this.#channels === channels) return;
    await this.tell({ do: "connect", channels }, 20_000);
    this.#channels = channels;
  }

  /** Has the driver do something; rejects when it takes longer than `timeoutMs`. */
  async tell(command: Command, timeoutMs: number): Promise<Done> {
    const { count, seconds } = await this.#drive.ask(command, timeoutMs);
    return { count: Number(count), seconds: Number(seconds) };
  }

  async cpu(): Promise<Cpu> {
    const [drive, serve] = await Promise.all([
      this.#drive.ask({ do: "usage" }, USAGE_TIMEOUT_MS),
      this.#serve.ask({ do: "usage" }, USAGE_TIMEOUT_MS),
    ]);
    return { driveUs: Number(drive["cpuUs"]), serveUs: Number(serve["cpuUs"]) };
  }

  /** What the serving process holds after a collection. */
  async servingKiB(): Promise<number> {
    const usage = await this.#serve.ask({ do: "usage", gc: true }, USAGE_TIMEOUT_MS);
    return Number(usage["rssKiB"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#drive[Symbol.asyncDispose]();
    await this.#serve[Symbol.asyncDispose]();
  }
}

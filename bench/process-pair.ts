import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";

import type { Command, Done } from "./drive.ts";
import { LineProcess } from "./line-process.ts";
import { CHANNELS } from "./peers/peer.ts";
import type { Work } from "./works.ts";

const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));
const PORTABLE = new URL("portable.ts", import.meta.url).href;
const USAGE_TIMEOUT_MS = 20_000;

/** A stack under measurement: its name in the table, how to start it, what it cannot do. */
export interface Stack {
  readonly name: string;
  readonly command: string;
  readonly serve: readonly string[];
  readonly drive: readonly string[];
  canDo(work: Work): boolean;
}

/** A stack that runs in Node, from the built packages, with so many protocols served on each connection. */
export function nodeStack(name: string, channels: number = CHANNELS): Stack {
  const isPortable = name === "heddle-portable";
  const isOneStream = name === "tcp" || name === "tls";
  const loaders = ["--import", "tsx", ...(isPortable ? ["--import", PORTABLE] : [])];
  const node = ["--expose-gc", "--conditions=dist", ...loaders, CHILD, name];
  return {
    name,
    command: process.execPath,
    serve: [...node, "serve", String(channels)],
    drive: [...node, "drive"],
    canDo: (work) =>
      isPortable ? work.kind === "handshake" : !isOneStream || (work.channels ?? 1) === 1,
  };
}

/** go-ethereum, from the binary of the interoperability tests. */
export function gethStack(binary: string, channels: number = CHANNELS): Stack {
  return {
    name: "geth",
    command: binary,
    serve: ["bench-serve", String(channels)],
    drive: ["bench-drive"],
    canDo: () => true,
  };
}

/** The stack as it is started for a work: held to one core, where the work asks for that. */
export function stackFor(stack: Stack, { isOneCore = false }: Pick<Work, "isOneCore">): Stack {
  if (!isOneCore) return stack;
  const pin = ["-c", String(availableParallelism() - 1), stack.command];
  return {
    ...stack,
    command: "taskset",
    serve: [...pin, ...stack.serve],
    drive: [...pin, ...stack.drive],
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

  /** Samples where both processes spend their time; only those of Node can. */
  async startProfile(): Promise<void> {
    await Promise.all(
      [this.#drive, this.#serve].map((end) => end.ask({ do: "profile-start" }, USAGE_TIMEOUT_MS)),
    );
  }

  /** Ends what {@link startProfile} began and has the profiles written. */
  async stopProfile({ drive, serve }: { drive: string; serve: string }): Promise<void> {
    await Promise.all([
      this.#drive.ask({ do: "profile-stop", file: drive }, USAGE_TIMEOUT_MS),
      this.#serve.ask({ do: "profile-stop", file: serve }, USAGE_TIMEOUT_MS),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#drive[Symbol.asyncDispose]();
    await this.#serve[Symbol.asyncDispose]();
  }
}

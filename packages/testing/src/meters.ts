import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import type { Server } from "@heddle/p2p";

/** What handling one message may cost. */
export interface FuzzLimits {
  /** Memory that one message may take, or all together may keep, in bytes; 64 MiB by default. */
  readonly memoryBytes: number;
  /** Payload that one message may be answered with, in bytes; 1 MiB by default. */
  readonly answerBytes: number;
  /** Time of the processor that one message may take, in milliseconds; 1,000 by default. */
  readonly cpuMs: number;
}

/** What has been spent up to some moment. */
export interface Reading {
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly sentBytes: number;
}

/** Reads how much time, memory and traffic a server's process has spent. */
export class Meters {
  #sentBytes = 0;
  readonly #off: () => void;

  constructor(server: Server) {
    this.#off = server.on("message", ({ direction, size }) => {
      if (direction === "out") this.#sentBytes += size;
    });
  }

  read(): Reading {
    // Of the processor, not of the wall: other processes must not make a protocol look slow.
    const { user, system } = process.cpuUsage();
    return {
      cpuMs: (user + system) / 1_000,
      memoryBytes: usedMemory(),
      sentBytes: this.#sentBytes,
    };
  }

  close(): void {
    this.#off();
  }
}

/** Memory that is still in use once everything unused has been collected, in bytes. */
export function keptMemory(): number {
  collect ??= exposeCollector();
  collect();
  return usedMemory();
}

let collect: (() => void) | undefined;

function exposeCollector(): () => void {
  setFlagsFromString("--expose-gc");
  try {
    return runInNewContext("gc") as () => void;
  } finally {
    setFlagsFromString("--no-expose-gc");
  }
}

function usedMemory(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

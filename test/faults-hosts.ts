import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

import { nodeIdOf, toHex } from "@heddle/identity";

import { Link, PATIENCE_MS, SIDES } from "./faults-link.ts";
import type { Conditions, Counters, Side, Told } from "./faults-link.ts";
import { keyOf } from "./helpers.ts";

/** Of the link's chance: each run loses as many packets, if not the same ones. */
const SEED = 1;

const PORT = 30_303;
const NODE = new URL("faults-node.ts", import.meta.url).pathname;

/** One event of a node, as it told it. */
export interface NodeEvent {
  readonly event: "started" | "peer" | "drop" | "totals" | "wrong" | "stopped";
  readonly enode?: string;
  readonly reason?: number;
  readonly by?: string;
  readonly received?: Readonly<Record<string, number>>;
  readonly wrong?: number;
}

/** A node in a process of its own, on a host of its own. */
export class HostedNode {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #events: NodeEvent[] = [];
  #wakes: (() => void)[] = [];
  #received: Readonly<Record<string, number>> = {};
  /** How many messages came that were not the next ones. */
  wrong = 0;

  constructor(host: string, args: readonly string[]) {
    const command = ["netns", "exec", host, process.execPath, "--import", "tsx", NODE, ...args];
    this.#process = spawn("ip", command, { stdio: ["pipe", "pipe", "inherit"] });
    this.#process.stdin.on("error", () => undefined);
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      const event = JSON.parse(line) as NodeEvent;
      const { received = {}, wrong = 0 } = event;
      if (event.event === "totals") [this.#received, this.wrong] = [received, wrong];
      else this.#events.push(event);
      for (const wake of this.#wakes.splice(0)) wake();
    });
  }

  /** The next event of a kind that was not taken yet; those of other kinds stay. */
  async next(event: NodeEvent["event"]): Promise<NodeEvent> {
    let found = -1;
    await this.#until(`the event ${event}`, () => {
      found = this.#events.findIndex((told) => told.event === event);
      return found >= 0;
    });
    return this.#events.splice(found, 1)[0] as NodeEvent;
  }

  /** Whether an event of a kind has come that was not taken. */
  has(event: NodeEvent["event"]): boolean {
    return this.#events.some((told) => told.event === event);
  }

  /** Waits until so many more messages have come than now, by each protocol. */
  async hears(more: number): Promise<void> {
    const from = this.#received;
    await this.#until(`${more} messages`, () =>
      ["count", "tally"].every((name) => (this.#received[name] ?? 0) >= (from[name] ?? 0) + more),
    );
  }

  /** What the TCP of its host has counted, by the kernel's name for it, e.g. `RetransSegs`. */
  kernelCount(name: string): number {
    const lines = ["snmp", "netstat"].flatMap((file) =>
      readFileSync(`/proc/${this.#process.pid}/net/${file}`, "utf8").split("\n"),
    );
    // Pairs of lines: names, and what they stand for.
    const row = lines.findIndex((line) => line.split(" ").includes(name));
    const column = lines[row]?.split(" ").indexOf(name) ?? 0;
    return Number(lines[row + 1]?.split(" ")[column]);
  }

  /** Sends a signal to the process itself. */
  signal(name: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    this.#process.kill(name);
  }

  /** Ends it, in whatever state it is. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await exited;
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    const end = Date.now() + PATIENCE_MS;
    while (!holds()) {
      const left = end - Date.now();
      if (left <= 0) throw new Error(`did not happen in ${PATIENCE_MS} ms: ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wakes.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}

/** Two hosts with a link between them. */
export class TwoHosts {
  readonly #link: Link;
  readonly #left: string;
  readonly #right: string;
  readonly #nodes: HostedNode[] = [];

  /** Makes them; from then on `remove` must be called. */
  static async make(): Promise<TwoHosts> {
    const hosts = new TwoHosts();
    await hosts.set();
    return hosts;
  }

  private constructor() {
    this.#left = `heddle-${process.pid}-l`;
    this.#right = `heddle-${process.pid}-r`;
    this.#link = new Link(this.#left, this.#right, SEED);
  }

  /** A node on the right that listens; with the same number it is the same node again. */
  host(number = 1): Promise<HostedNode> {
    const args = [toHex(keyOf(number)), `10.77.0.2:${PORT}`];
    return this.#add(new HostedNode(this.#right, args));
  }

  /** A node on the left that keeps a connection to the one on the right. */
  guest(number = 2): Promise<HostedNode> {
    const enode = `enode://${toHex(nodeIdOf(keyOf(1)))}@10.77.0.2:${PORT}`;
    const args = [toHex(keyOf(number)), "10.77.0.1:0", enode];
    return this.#add(new HostedNode(this.#left, args));
  }

  /** What happens to packets from now on; without conditions the link is a good one. */
  async set(conditions: Conditions = {}): Promise<void> {
    await this.#link.ask(conditions);
  }

  /** Waits until something is true of the packets from some sides since the conditions were set. */
  async until(
    what: string,
    holds: (way: Counters) => boolean,
    sides: readonly Side[] = SIDES,
  ): Promise<Told> {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const told = await this.#link.ask();
      if (sides.every((side) => holds(told[side]))) return told;
      const now = `${what}, but ${JSON.stringify(told)}`;
      if (Date.now() > end) throw new Error(`did not happen in ${PATIENCE_MS} ms: ${now}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends all nodes; the hosts stay. */
  async killAll(): Promise<void> {
    await Promise.all(this.#nodes.splice(0).map((node) => node.kill()));
  }

  /** Removes the hosts, and the link with them. */
  async remove(): Promise<void> {
    await this.killAll();
    await this.#link.end();
  }

  async #add(node: HostedNode): Promise<HostedNode> {
    this.#nodes.push(node);
    await node.next("started");
    return node;
  }
}

import { execFileSync, spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { createInterface } from "node:readline";

import { nodeIdOf, toHex } from "@heddle/identity";

import { keyOf } from "./helpers.ts";

/** How long anything may take on a busy machine, in milliseconds. */
const PATIENCE_MS = 30_000;

const PORT = 30_303;
const NODE = new URL("faults-node.ts", import.meta.url).pathname;

/** Runs a command; throws what it says when it fails. */
export function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Whether a command works here; tries it, and undoes it. */
function works(attempt: () => void, undo: () => void): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  } finally {
    try {
      undo();
    } catch {
      // It had not come to be.
    }
  }
}

/** What this machine lets a test do to networks; `why` says it in the names of tests that are skipped. */
export function abilities(): { hosts: boolean; netem: boolean; why: string } {
  const name = `heddle-try-${process.pid}`;
  const hosts =
    process.platform === "linux" &&
    works(
      () => {
        run("ip", "netns", "add", name);
        run("ip", "-n", name, "link", "add", "left", "type", "veth", "peer", "name", "right");
        run("tc", "-n", name, "qdisc", "add", "dev", "left", "root", "pfifo");
      },
      () => run("ip", "netns", "del", name),
    );
  const netem =
    hosts &&
    works(
      () => {
        run("ip", "netns", "add", name);
        run("tc", "-n", name, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms");
      },
      () => run("ip", "netns", "del", name),
    );
  const why = hosts ? "this kernel has no netem" : "network namespaces need root, ip and tc";
  return { hosts, netem, why };
}

/** One event of a node, as it told it. */
export interface NodeEvent {
  readonly event: "started" | "peer" | "drop" | "totals" | "wrong" | "stopped";
  readonly enode?: string;
  readonly reason?: number;
  readonly by?: string;
  readonly sent?: number;
  readonly received?: number;
  readonly wrong?: number;
}

/** A node in a process of its own, on a host of its own. */
export class HostedNode {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #events: NodeEvent[] = [];
  #wakes: (() => void)[] = [];
  /** How many messages came last time it told; messages that were not the next ones, too. */
  totals = { sent: 0, received: 0, wrong: 0 };

  constructor(host: string, args: readonly string[]) {
    const command = ["netns", "exec", host, process.execPath, "--import", "tsx", NODE, ...args];
    this.#process = spawn("ip", command, { stdio: ["pipe", "pipe", "inherit"] });
    this.#process.stdin.on("error", () => undefined);
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      const event = JSON.parse(line) as NodeEvent;
      const { sent = 0, received = 0, wrong = 0 } = event;
      if (event.event === "totals") this.totals = { sent, received, wrong };
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

  /** Waits until so many more messages have come than now. */
  async hears(more: number): Promise<void> {
    const from = this.totals.received;
    await this.#until(`${more} messages`, () => this.totals.received >= from + more);
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

/** Two hosts with a cable between them. */
export class TwoHosts {
  readonly left = `heddle-${process.pid}-l`;
  readonly right = `heddle-${process.pid}-r`;
  readonly #nodes: HostedNode[] = [];

  constructor() {
    this.remove();
    for (const host of [this.left, this.right]) run("ip", "netns", "add", host);
    const [left, right] = [this.left, this.right];
    run(
      "ip",
      "-n",
      left,
      "link",
      "add",
      "wire",
      "type",
      "veth",
      "peer",
      "name",
      "wire",
      "netns",
      right,
    );
    for (const [host, address] of [
      [left, "10.77.0.1/24"],
      [right, "10.77.0.2/24"],
    ] as const) {
      run("ip", "-n", host, "address", "add", address, "dev", "wire");
      run("ip", "-n", host, "link", "set", "wire", "up");
    }
  }

  /** A node on the right that listens; with the same number it is the same node again. */
  async host(number = 1): Promise<HostedNode> {
    const node = this.#add(new HostedNode(this.right, [toHex(keyOf(number)), `10.77.0.2:${PORT}`]));
    await node.next("started");
    return node;
  }

  /** A node on the left that keeps a connection to the one on the right. */
  async guest(number = 2): Promise<HostedNode> {
    const enode = `enode://${toHex(nodeIdOf(keyOf(1)))}@10.77.0.2:${PORT}`;
    const node = this.#add(new HostedNode(this.left, [toHex(keyOf(number)), "10.77.0.1:0", enode]));
    await node.next("started");
    return node;
  }

  /** Pulls the cable, or plugs it in: packets are lost without a word to any socket. */
  cable(isIn: boolean): void {
    run("ip", "-n", this.right, "link", "set", "wire", isIn ? "up" : "down");
  }

  /** Shapes what leaves both hosts, e.g. `netem delay 20ms`; undefined for a cable as it was. */
  shape(discipline: readonly string[] | undefined): void {
    for (const host of [this.left, this.right]) {
      const words = ["-n", host, "qdisc", discipline === undefined ? "del" : "replace"];
      run("tc", ...words, "dev", "wire", "root", ...(discipline ?? []));
    }
  }

  /** How many packets the shaping has dropped so far, on both sides. */
  dropped(): number {
    return [this.left, this.right].reduce((sum, host) => {
      const text = run("tc", "-s", "-n", host, "qdisc", "show", "dev", "wire");
      return sum + Number(/dropped (\d+)/.exec(text)?.[1] ?? 0);
    }, 0);
  }

  /** Ends all nodes; the hosts stay. */
  async killAll(): Promise<void> {
    await Promise.all(this.#nodes.splice(0).map((node) => node.kill()));
  }

  /** Removes the hosts, and with them the cable. */
  remove(): void {
    for (const host of [this.left, this.right]) {
      works(
        () => run("ip", "netns", "del", host),
        () => undefined,
      );
    }
  }

  #add(node: HostedNode): HostedNode {
    this.#nodes.push(node);
    return node;
  }
}

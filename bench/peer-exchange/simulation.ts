import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** When nodes reached something, in milliseconds of virtual time since each was started. */
export interface Reached {
  readonly median: number;
  readonly percentile95: number;
  /** How many never did. */
  readonly missing: number;
}

/** What is measured as a network grows. */
export interface Growth {
  readonly nodes: number;
  /** A node knows 95 % of those that were there when it came. */
  readonly knows: Reached;
  /** 95 % of those that were there when it came know a node. */
  readonly isKnown: Reached;
  /** A node has as many dialed peers as it wants. */
  readonly degree: Reached;
  /** Sent by each node, by message name, and in payload bytes. */
  readonly messages: Readonly<Record<string, number>>;
  readonly bytes: number;
  /** Messages of the node that sent most. */
  readonly busiest: number;
  readonly meanDegree: number;
  /** Of the survivors, the share in one piece: at once, and a minute later. */
  readonly connectedAtOnce: number;
  readonly connectedLater: number;
}

/** What an attacker with many addresses in few subnets gets. */
export interface Eclipse {
  readonly addressShare: number;
  readonly subnetShare: number;
  readonly bookShare: number;
  readonly slotShare: number;
  readonly eclipsed: number;
}

const MAIN = fileURLToPath(
  new URL("../../packages/peer-exchange/test/simulation/main.ts", import.meta.url),
);

/** A thousand nodes with a thousand addresses each take some. */
const HEAP_MIB = 6_144;

/** Lets a network of so many nodes grow, one node a second, and kills 30 % of it at once. */
export function simulateGrowth(nodes: number, seed: number): Promise<Growth> {
  const options = { nodes, seed, joinEveryMs: 1_000, settleMs: 60_000, killed: 0.3 };
  return simulate<Growth>("growth", options);
}

/** Attacks one of a hundred honest nodes with ten times their addresses. */
export function simulateEclipse(options: {
  readonly subnets: number;
  readonly uptime: number;
  readonly seed: number;
}): Promise<Eclipse> {
  return simulate<Eclipse>("eclipse", { honest: 100, factor: 10, rounds: 2_000, ...options });
}

/** Starts so many servers on loopback at once; resolves with how long it took until all knew all. */
export async function measureLoopback(nodes: number): Promise<number> {
  const { completeMs } = await simulate<{ readonly completeMs: number }>("loopback", { nodes });
  return completeMs;
}

/** Each in a process of its own: what one leaves in memory does not slow down the next. */
async function simulate<Result>(name: string, options: object): Promise<Result> {
  const node = [`--max-old-space-size=${HEAP_MIB}`, "--import", "tsx"];
  const args = [...node, MAIN, name, JSON.stringify(options)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Result;
}

import { Server } from "@heddle/p2p";
import type { ServerLimits } from "@heddle/p2p";
import { seededRandom } from "@heddle/testing";
import type { SeededRandom } from "@heddle/testing";

import { HOSTILE_ACTS } from "./hostile.ts";
import type { HostileAct } from "./hostile.ts";
import { Ledger } from "./ledger.ts";
import { countHandles, heapGrowth, leakedHandles, measure } from "./measure.ts";
import { talkProtocols } from "./talk.ts";
import { Visitor } from "./visitor.ts";

/** How long, how hard, and what to draw on. */
export interface SoakOptions {
  readonly durationMs: number;
  /** Between two measurements, for which everybody leaves, in milliseconds. */
  readonly roundMs: number;
  /** Rounds before the first measurement that counts. */
  readonly warmupRounds: number;
  readonly seed: number;
  /** Honest nodes at once; 24 by default. */
  readonly visitors?: number;
  /** Hostile ones at once; 8 by default. */
  readonly hostile?: number;
  /** What hostile ones do; {@link HOSTILE_ACTS} by default. */
  readonly acts?: Readonly<Record<string, HostileAct>>;
  /** How long everything may take to come to its end once nobody adds to it; 30,000 by default. */
  readonly settleMs?: number;
  /** Told after each round. */
  readonly onRound?: (round: SoakRound) => void;
}

/** How things stood when everybody had left. */
export interface SoakRound {
  readonly elapsedMs: number;
  readonly connections: number;
  readonly refused: number;
  readonly messages: number;
  readonly kills: number;
  readonly hostile: number;
  /** Objects and buffers, garbage not counted, in bytes. */
  readonly heap: number;
}

/** What came of a soak. */
export interface SoakReport {
  readonly rounds: readonly SoakRound[];
  /** Hostile acts, by name. */
  readonly acts: Readonly<Record<string, number>>;
  /** Dials of honest nodes that came to nothing, by phase, reason and side. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Empty when all is well. */
  readonly failures: readonly string[];
}

/** Deadlines short enough that what waits for one is part of many rounds. */
const LIMITS: Partial<ServerLimits> = {
  handshakeTimeoutMs: 2_000,
  drainTimeoutMs: 500,
  graceMs: 2_000,
  writeTimeoutMs: 3_000,
  stallTimeoutMs: 3_000,
};

/** How long everything may take to come to its end once nobody adds to it, in milliseconds. */
const SETTLE_MS = 30_000;

/**
 * Lets honest and hostile nodes come and go at one host on loopback, and looks at what they leave behind.
 *
 * A failure is: a wrong answer, an error that nobody expects, a rejection or an exception that escapes, an
 * API promise that does not settle, a handle that stays, and a heap that grows after the warm-up.
 */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const ledger = new Ledger();
  const escape = (error: unknown): void => ledger.fail(`escaped: ${String(error)}`);
  process.on("unhandledRejection", escape);
  process.on("uncaughtException", escape);
  try {
    const random = seededRandom(options.seed);
    await using host = new Server({
      key: random.secretKey(),
      clientId: "host/1",
      listen: "127.0.0.1:0",
      protocols: talkProtocols(),
      maxPeers: 200,
      limits: LIMITS,
    });
    await host.start();
    const { handles } = await measure();
    const rounds = await runRounds({ ...options, host, ledger, random, handles });
    const growth = heapGrowth(rounds.slice(options.warmupRounds).map(({ heap }) => heap));
    if (growth !== undefined)
      ledger.fail(`the heap grew from ${growth.from} to ${growth.to} bytes`);
    const { acts, refusals, failures } = ledger;
    return { rounds, acts, refusals, failures };
  } finally {
    process.off("unhandledRejection", escape);
    process.off("uncaughtException", escape);
  }
}

interface Scene extends SoakOptions {
  readonly host: Server;
  readonly ledger: Ledger;
  readonly random: SeededRandom;
  /** What was there before anybody came. */
  readonly handles: Readonly<Record<string, number>>;
}

async function runRounds(scene: Scene): Promise<readonly SoakRound[]> {
  const { ledger, random, durationMs, roundMs, visitors = 24, hostile = 8 } = scene;
  const crowd = Array.from({ length: visitors }, () => new Visitor(ledger, random.fork(), LIMITS));
  const started = performance.now();
  const rounds: SoakRound[] = [];
  while (performance.now() - started < durationMs && ledger.failures.length === 0) {
    const before = ledger.connections;
    const end = performance.now() + roundMs;
    const everybody = Promise.all([
      ...crowd.map((visitor) => comeAndGo(scene, visitor, end)),
      ...Array.from({ length: hostile }, () => attack(scene, random.fork(), end)),
    ]);
    await atMost(everybody, roundMs + (scene.settleMs ?? SETTLE_MS));
    await everybodyGone(scene);
    if (ledger.connections === before) ledger.fail("no honest visitor got in for a whole round");
    if (ledger.refused > ledger.connections) ledger.fail("most honest visitors are turned away");
    const { heap } = await measure();
    const { connections, refused, messages, kills, hostile: acts } = ledger;
    const elapsedMs = performance.now() - started;
    const round = { elapsedMs, connections, refused, messages, kills, hostile: acts, heap };
    rounds.push(round);
    scene.onRound?.(round);
  }
  return rounds;
}

/** Waits for somebody who may never come; what is waited for then is in the ledger. */
async function atMost(task: Promise<unknown>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([task, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function comeAndGo({ host }: Scene, visitor: Visitor, end: number): Promise<void> {
  await visitor.start();
  do await visitor.visit(host);
  while (performance.now() < end);
  await visitor.stop();
}

async function attack(scene: Scene, random: SeededRandom, end: number): Promise<void> {
  const { host, ledger, acts = HOSTILE_ACTS } = scene;
  const names = Object.keys(acts);
  do {
    const name = random.pick(names);
    ledger.act(name);
    try {
      await ledger.track(name, acts[name]?.(host, random) ?? Promise.resolve());
    } catch (error) {
      // Cut off earlier than the script expects; but never left waiting.
      if (isTimeout(error)) ledger.fail(`${name}: ${String(error)}`);
    }
  } while (performance.now() < end);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_TESTING_TIMEOUT";
}

/** Waits until nothing is left of anybody, and notes what stays. */
async function everybodyGone(scene: Scene): Promise<void> {
  const { host, ledger, handles, settleMs = SETTLE_MS } = scene;
  const end = performance.now() + settleMs;
  const left = (): string[] => [
    ...ledger.unsettled.map((name) => `a promise: ${name}`),
    ...host.peers.map(({ enode }) => `a peer: ${enode}`),
    ...leakedHandles(handles, countHandles()).map((what) => `handles: ${what}`),
  ];
  while (left().length > 0 && performance.now() < end) {
    await new Promise<void>((resolve) => setTimeout(resolve, 50));
  }
  for (const what of left()) ledger.fail(`left after ${settleMs} ms: ${what}`);
}

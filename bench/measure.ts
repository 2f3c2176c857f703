import { ProcessPair } from "./process-pair.ts";
import type { Stack } from "./process-pair.ts";
import type { Work } from "./works.ts";

/** How long and how often things are measured. */
export interface Effort {
  readonly rounds: number;
  readonly idleRounds: number;
  readonly ms: number;
  /** Identities made beforehand for one measurement of handshakes: its upper bound. */
  readonly clients: number;
  readonly idlePeers: number;
}

/** One measurement: the figure in the work's unit, and CPU microseconds per message at both ends. */
export interface Sample {
  readonly figure: number;
  readonly driveUs: number;
  readonly serveUs: number;
}

const PREPARE_TIMEOUT_MS = 120_000;

/** Runs one work once on a pair of processes. */
export async function measure(
  pair: ProcessPair,
  work: Work,
  effort: Effort,
  ms: number = effort.ms,
): Promise<Sample> {
  if (work.kind === "handshake") await prepareClients(pair, effort.clients);
  else await pair.connect(work.channels ?? 1);
  const before = await pair.cpu();
  const done = await pair.tell(work.command(ms), ms * 10 + 20_000);
  const after = await pair.cpu();
  if (work.kind === "handshake") await pair.tell({ do: "release" }, PREPARE_TIMEOUT_MS);
  if (done.count === 0) throw new Error("nothing was done");
  return {
    figure: done.count / done.seconds,
    driveUs: (after.driveUs - before.driveUs) / done.count,
    serveUs: (after.serveUs - before.serveUs) / done.count,
  };
}

/** KiB by which the serving process grows for each idle peer, in processes of its own. */
export async function measureIdle(stack: Stack, work: Work, effort: Effort): Promise<Sample> {
  await using pair = await ProcessPair.start(stack);
  // What the first connections bring in (code, pools, tables) is not the cost of the next one.
  await prepareClients(pair, 20);
  await pair.tell(work.command(0), PREPARE_TIMEOUT_MS);
  await prepareClients(pair, effort.idlePeers);
  const before = await pair.servingKiB();
  const { count } = await pair.tell(work.command(0), PREPARE_TIMEOUT_MS);
  const after = await pair.servingKiB();
  return { figure: (after - before) / count, driveUs: 0, serveUs: 0 };
}

async function prepareClients(pair: ProcessPair, clients: number): Promise<void> {
  await pair.tell({ do: "prepare", clients }, PREPARE_TIMEOUT_MS);
}

import type { Effort } from "./effort.ts";
import { ProcessPair } from "./process-pair.ts";
import type { Stack } from "./process-pair.ts";
import type { Work } from "./works.ts";

/** One measurement: the figure in the work's unit, and CPU microseconds per message at both ends. */
export interface Sample {
  readonly figure: number;
  readonly driveUs: number;
  readonly serveUs: number;
}

/** A sample, and when it was counted: what happened between the spans only prepared. */
export interface TimedSample extends Sample {
  readonly spans: readonly Span[];
}

/** From when to when, in microseconds of the machine's monotonic clock, as V8's profiles give them. */
export type Span = readonly [from: number, to: number];

const PREPARE_TIMEOUT_MS = 120_000;
/** Longer than any batch of handshakes takes. */
const NO_END_MS = 600_000;

/** Does one work for `ms` on a pair of processes. */
export async function measure(
  pair: ProcessPair,
  work: Work,
  effort: Effort,
  ms: number = effort.ms,
): Promise<TimedSample> {
  if (work.kind === "handshake") return measureHandshakes(pair, work, effort, ms, Infinity);
  await pair.connect(work.channels ?? 1);
  const before = await pair.cpu();
  const from = nowUs();
  const done = await pair.tell(work.command(ms), ms * 10 + 20_000);
  const span: Span = [from, nowUs()];
  const after = await pair.cpu();
  if (done.count === 0) throw new Error("nothing was done");
  return {
    figure: done.count / done.seconds,
    driveUs: (after.driveUs - before.driveUs) / done.count,
    serveUs: (after.serveUs - before.serveUs) / done.count,
    spans: [span],
  };
}

/** Does one work, uncounted, until the code that does it has been compiled. */
export async function warmUp(pair: ProcessPair, work: Work, effort: Effort): Promise<void> {
  if (work.kind === "handshake") {
    const { warmHandshakeMs, warmHandshakes } = effort;
    await measureHandshakes(pair, work, effort, warmHandshakeMs, warmHandshakes);
  } else {
    await measure(pair, work, effort, effort.warmMs);
  }
}

/**
 * Handshakes in batches, until they have taken `ms` or are enough. Making the identities and taking the
 * connections down stand between the batches, uncounted: half of it is the driver's own doing.
 */
async function measureHandshakes(
  pair: ProcessPair,
  work: Work,
  { clients }: Effort,
  ms: number,
  enough: number,
): Promise<TimedSample> {
  let [count, seconds, driveUs, serveUs] = [0, 0, 0, 0];
  const spans: Span[] = [];
  while (seconds * 1000 < ms && count < enough) {
    await prepareClients(pair, clients);
    const before = await pair.cpu();
    const from = nowUs();
    const done = await pair.tell(work.command(Math.min(NO_END_MS, ms)), PREPARE_TIMEOUT_MS);
    spans.push([from, nowUs()]);
    const after = await pair.cpu();
    await pair.tell({ do: "release" }, PREPARE_TIMEOUT_MS);
    if (done.count === 0) throw new Error("nothing was done");
    count += done.count;
    seconds += done.seconds;
    driveUs += after.driveUs - before.driveUs;
    serveUs += after.serveUs - before.serveUs;
  }
  return { figure: count / seconds, driveUs: driveUs / count, serveUs: serveUs / count, spans };
}

/** KiB by which the serving process grows for each idle peer, in processes of its own. */
export async function measureIdle(stack: Stack, work: Work, effort: Effort): Promise<Sample> {
  await using pair = await ProcessPair.start(stack);
  // What the first connections bring in (code, pools, tables) is not the cost of the next one.
  await hold(pair, work, 20);
  const before = await pair.servingKiB();
  const count = await hold(pair, work, effort.idlePeers);
  const after = await pair.servingKiB();
  return { figure: (after - before) / count, driveUs: 0, serveUs: 0 };
}

const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

/** Connects that many more clients and leaves them alone. */
export async function holdMore(pair: ProcessPair, clients: number): Promise<void> {
  await hold(pair, { command: () => ({ do: "hold", inFlight: 8 }) }, clients);
}

async function hold(
  pair: ProcessPair,
  work: Pick<Work, "command">,
  clients: number,
): Promise<number> {
  await prepareClients(pair, clients);
  return (await pair.tell(work.command(NO_END_MS), PREPARE_TIMEOUT_MS)).count;
}

async function prepareClients(pair: ProcessPair, clients: number): Promise<void> {
  await pair.tell({ do: "prepare", clients }, PREPARE_TIMEOUT_MS);
}

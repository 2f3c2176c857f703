import { toHex } from "@heddle/identity";
import type { Enr } from "@heddle/identity";
import { sleep } from "@heddle/p2p";
import type { Clock } from "@heddle/p2p";

import { FileShareError } from "./errors.ts";
import type { FileShareLimits } from "./limits.ts";
import type { FilesContext } from "./protocol.ts";
import type { Transfer } from "./transfer.ts";

/** With no holder left, they are looked for this often. */
const URGENT_MS = 1_000;

/** How holders are found and reached. */
export interface RecruitOptions {
  readonly limits: FileShareLimits;
  readonly clock: Clock;
  /** Records of holders, as long as one round of looking for them goes on. */
  readonly find: (signal: AbortSignal) => AsyncIterable<Enr> | Iterable<Enr>;
  /** The connection to a holder; undefined when there is no way to one. */
  readonly connect: (holder: Enr, signal: AbortSignal) => Promise<FilesContext | undefined>;
  /** Whether a node proved a liar before. */
  readonly isBanned: (id: string) => boolean;
}

/**
 * Keeps a transfer supplied with holders until it ends.
 *
 * Fails it when the first round finds nobody, and when nothing has come for too long.
 */
export async function recruit(transfer: Transfer, options: RecruitOptions): Promise<void> {
  const { clock, limits } = options;
  const { signal } = transfer;
  try {
    for (;;) {
      await lookOnce(transfer, options);
      if (!transfer.wasSupplied) {
        throw new FileShareError("ERR_FILES_NO_HOLDERS", "no holder of the file can be reached");
      }
      const nextRoundAt = clock.now() + limits.refreshMs;
      do {
        checkPatience(transfer, options);
        await sleep(clock, Math.min(URGENT_MS, limits.refreshMs), signal);
      } while (clock.now() < nextRoundAt && transfer.sourceCount > 0);
    }
  } catch (error) {
    // Aborted means over: then there is nothing to tell.
    if (!signal.aborted) transfer.fail(error);
  }
}

function checkPatience(transfer: Transfer, { clock, limits }: RecruitOptions): void {
  const waitedMs = clock.now() - transfer.lastProgressAt;
  if (waitedMs < limits.patienceMs) return;
  const problem = `nothing has come for ${Math.round(waitedMs)} ms`;
  throw new FileShareError("ERR_FILES_STALLED", problem);
}

async function lookOnce(transfer: Transfer, options: RecruitOptions): Promise<void> {
  const { signal } = transfer;
  const tried = new Set<string>();
  const reaching: Promise<void>[] = [];
  for await (const holder of options.find(signal)) {
    signal.throwIfAborted();
    const id = toHex(holder.id);
    const isUseless = tried.has(id) || transfer.knows(id) || options.isBanned(id);
    const isFull = transfer.sourceCount + tried.size >= 2 * options.limits.maxSources;
    if (isUseless || isFull) continue;
    tried.add(id);
    reaching.push(reach(transfer, holder, options));
  }
  await Promise.all(reaching);
}

async function reach(transfer: Transfer, holder: Enr, options: RecruitOptions): Promise<void> {
  let context: FilesContext | undefined;
  try {
    context = await options.connect(holder, transfer.signal);
  } catch {
    // A holder that cannot be reached now may be so in the next round.
    return;
  }
  const isFull = transfer.sourceCount >= options.limits.maxSources;
  if (context !== undefined && !isFull) transfer.add(context);
}

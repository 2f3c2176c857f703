import type { Protocol } from "@heddle/p2p";

import { FuzzSession } from "./fuzz-session.ts";
import type { FuzzFault } from "./fuzz-session.ts";
import { climb } from "./ladder.ts";
import type { FuzzLimits } from "./meters.ts";
import { Probe } from "./probe.ts";
import { seededRandom } from "./random.ts";
import { Sampler } from "./samples.ts";
import type { Samples } from "./samples.ts";
import { scatter } from "./scatter.ts";
import type { CreateSubject } from "./subject.ts";

/** How a protocol is fuzzed. */
export interface FuzzOptions {
  /** How many messages are chosen at random, behind those that count up; 500 by default. */
  readonly messages?: number;
  /** An integer, 1 by default: the same seed sends the same messages. */
  readonly seed?: number;
  /** Payloads that get past what schemas do not show, such as signatures. */
  readonly samples?: Samples;
  /** How long what waits for a disk or another process is waited for, in real ms; 10,000 by default. */
  readonly patienceMs?: number;
  /** What one message may cost. */
  readonly limits?: Partial<FuzzLimits>;
}

/** What came of it. */
export interface FuzzReport {
  readonly seed: number;
  readonly connections: number;
  /** Messages sent to the protocol, and those that came back. */
  readonly messages: number;
  readonly received: number;
  /** Connections that the protocol, or the server for it, has ended. */
  readonly refused: number;
  /** What must not happen; of faults that are alike, the first. */
  readonly faults: readonly FuzzFault[];
}

const DEFAULT_LIMITS: FuzzLimits = {
  memoryBytes: 64 * 1024 * 1024,
  answerBytes: 1024 * 1024,
  cpuMs: 1_000,
};

/**
 * Sends malformed messages to protocols, and reports what they did that they must not.
 *
 * First every number in every message goes up, four times as much from one message to the next, until it
 * costs too much; then come messages at random, drawn from the schemas of declared protocols and from
 * `samples`: right, extreme, wrong in one place, no RLP at all, before the handshake, as answers to
 * requests and as answers to what was never asked. All of it runs in memory and virtual time, and is the
 * same for the same seed. What happens without end as soon as a message comes cannot be interrupted.
 *
 * @param subject - one protocol, or what `implement` returns, or what makes it, when it needs a clock
 * @throws TypeError when a schema takes none of the payloads drawn for it: give some as `samples`
 * @example
 * const { faults } = await fuzzProtocol(createFoo());
 * expect(faults).toEqual([]);
 */
export async function fuzzProtocol(
  subject: Protocol | readonly Protocol[] | CreateSubject,
  options: FuzzOptions = {},
): Promise<FuzzReport> {
  const { messages = 500, seed = 1, samples = {}, patienceMs = 10_000 } = options;
  if (!Number.isSafeInteger(messages) || messages < 0) {
    throw new RangeError(`messages: expected an integer >= 0, got ${messages}`);
  }
  const random = seededRandom(seed);
  const sampler = new Sampler(samples);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const probe = await Probe.open(toCreate(subject), { seed, patienceMs });
  try {
    if (probe.protocols.length === 0) throw new TypeError("there is no protocol to fuzz");
    const session = new FuzzSession(probe, { random, sampler, limits });
    const caps = await climb(session, sampler);
    await scatter(session, messages, caps);
    await session.close();
    return { seed, ...session.counts, faults: session.faults };
  } finally {
    await probe.close();
  }
}

function toCreate(subject: Protocol | readonly Protocol[] | CreateSubject): CreateSubject {
  if (typeof subject === "function") return subject;
  const protocols = "run" in subject ? [subject] : subject;
  return () => protocols;
}
